"""What the terms that contrast two views share."""

from typing import Literal

from torch import Tensor

from pyg_advinfonce.functional import view_info_nce
from pyg_advinfonce.losses.base import check_tau
from pyg_advinfonce.terms.base import Term

Tables = tuple[Tensor, Tensor]  # users' rows [U, D] and items' rows [I, D]


class Contrast(Term):
    r"""Pull a node's two views together, and away from other nodes' second views.

    .. math::
        \mathrm{NCE}(V, V') = \frac{1}{|T|} \sum_{t \in T} \Bigl[\log \sum_{k \in C}
        e^{c(V_t, V'_k)/\tau} - c(V_t, V'_t)/\tau\Bigr]

    over the nodes ``T`` of a batch, each once, for users and for items, added up.

    Args:
        tau: The temperature.
        candidates: ``C``: ``all`` users (items), or those of the ``batch`` (methods.md
            D11).
    """

    def __init__(
        self, tau: float = 0.2, candidates: Literal["all", "batch"] = "batch"
    ) -> None:
        super().__init__()
        if candidates not in ("all", "batch"):
            raise ValueError(
                f"candidates must be 'all' or 'batch' (got '{candidates}')"
            )
        self.tau, self.candidates = check_tau(tau), candidates
        self.needs_whole_graph = candidates == "all"

    def contrast(
        self, first: Tables, second: Tables, users: Tensor, items: Tensor
    ) -> Tensor:
        """Return NCE of users plus NCE of items.

        Args:
            first: The first view of all users and items.
            second: The second view.
            users: ``[B]`` rows of users, also repeated ones.
            items: ``[B]`` rows of items.
        """
        pairs = zip(first, second, (users, items), strict=True)
        user, item = (self._nce(x, y, index.unique()) for x, y, index in pairs)
        return user + item

    def _nce(self, anchor: Tensor, candidate: Tensor, index: Tensor) -> Tensor:
        """Contrast the rows ``index [T]`` of two views."""
        rows = anchor.index_select(0, index)  # [T, D]
        if self.candidates == "all":
            return view_info_nce(rows, candidate, self.tau, index)
        return view_info_nce(rows, candidate.index_select(0, index), self.tau)
