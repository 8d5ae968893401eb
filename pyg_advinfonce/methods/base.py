"""A method: an encoder, an objective and the phases of an epoch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import Embeddings, Encoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.objective import (
    Objective,
    Phase,
    RankingLoss,
    Supervised,
    Term,
    adam,
)
from pyg_advinfonce.terms import EmbeddingL2


class Method(nn.Module):
    """What a trainer trains.

    The encoder and the objective hold all state; phases refer to it. Each trainable
    parameter belongs to exactly one phase. A frozen one (``requires_grad`` is False)
    is trained by none, and may be frozen or released at any time between epochs.

    Args:
        encoder: Turns the graph into embeddings.
        objective: All terms, so that their state moves and is saved with the method.
        phases: The phases of an epoch, in order; exactly one has ``params=None`` and
            owns what no other phase owns. There are none where nothing is trained.
        cosine: Whether nodes are ranked by cosine instead of by inner product.

    Raises:
        ConfigError: If a parameter has two owners, or a trainable one has none; or if
            two phases have the same name.
    """

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        phases: Sequence[Phase],
        *,
        cosine: bool,
    ) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective
        self.phases, self.cosine = tuple(phases), cosine
        self._check_names()
        self._check_owners()

    @classmethod
    def compose(
        cls,
        encoder: Encoder,
        loss: RankingLoss | None,
        *,
        terms: Mapping[str, tuple[float, Term]] | None = None,
        lr: float = 1e-3,
        l2: float = 1e-5,
        l2_negatives: bool = False,
        perturb: bool = True,
    ) -> Self:
        """Put a method together whose terms are one sum, trained as its loss says.

        Args:
            encoder: The encoder.
            loss: The ranking loss; its term is ``rec``. None is for an encoder that is
                not trained: it is frozen, ranks by inner product, and has no terms.
            terms: Further terms with their weights, by name. One named ``l2`` takes the
                place of the penalty below.
            lr: The learning rate of the main phase.
            l2: The weight of the L2 penalty on the batch's layer-0 rows.
            l2_negatives: Whether this counts the negatives' rows as well.
            perturb: Whether the loss sees the encoder's noise; otherwise it gets a pass
                of its own.
        """
        if loss is None:
            frozen = encoder.requires_grad_(False)
            return cls(frozen, Objective({}), (), cosine=False)
        terms = {"l2": (l2, EmbeddingL2(l2_negatives)), **(terms or {})}
        parts = {name: term for name, (_, term) in terms.items()}
        objective = Objective(
            {"rec": Supervised(loss, perturb=perturb), **parts},
            {name: weight for name, (weight, _) in terms.items()},
        )
        phases = loss.phases(Phase("main", objective, optimizer=adam(lr)))
        return cls(encoder, objective, phases, cosine=loss.cosine)

    def params_of(self, phase: Phase) -> list[nn.Parameter]:
        """Return the parameters that a phase trains: of its own, those not frozen."""
        return [p for p in self.owned_by(phase) if p.requires_grad]

    def owned_by(self, phase: Phase) -> list[nn.Parameter]:
        """Return the parameters that belong to a phase, frozen ones among them."""
        if phase.params is not None:
            return list(phase.params)
        others = {id(p) for other in self.phases for p in other.params or ()}
        return [p for p in self.parameters() if id(p) not in others]

    @property
    def loss(self) -> RankingLoss | None:
        """The ranking loss; None where no term ``rec`` holds one."""
        term = dict(self.objective.terms.items()).get("rec")
        return term.loss if isinstance(term, Supervised) else None

    def encode(self, graph: HeteroData) -> Embeddings:
        """Return unperturbed embeddings without a gradient, in evaluation mode."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            z: Embeddings = self.encoder(graph, perturb=False)
        self.train(was_training)
        return z

    def embed(self, graph: HeteroData) -> tuple[Tensor, Tensor]:
        """Return unperturbed ``[U, D]`` and ``[I, D]`` whose dot products rank."""
        z = self.encode(graph)
        user, item = z.user.detach(), z.item.detach()
        return (unit_rows(user), unit_rows(item)) if self.cosine else (user, item)

    def _check_names(self) -> None:
        names = Counter(phase.name for phase in self.phases)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ConfigError(f"phases must differ in name (several are {twice})")

    def _check_owners(self) -> None:
        params = {id(p): (name, p) for name, p in self.named_parameters()}
        owned = [id(p) for phase in self.phases for p in self.owned_by(phase)]
        for key, (name, p) in params.items():
            owners = owned.count(key)
            if owners > 1 or (owners == 0 and p.requires_grad):
                raise ConfigError(
                    f"parameter '{name}' must belong to exactly one phase "
                    f"(it belongs to {owners})"
                )
        if set(owned) - set(params):
            raise ConfigError("a phase trains parameters that the method does not hold")
