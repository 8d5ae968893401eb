"""The batch that every edge-level function reads."""

import math
from dataclasses import dataclass, replace

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import is_among, pair_keys

LEAST_LOG_Q = math.log(1e-20)
"""The least of ``neg_log_q``; float32 holds the importance that it stands for."""


@dataclass(frozen=True, repr=False)
class EdgeBatch:
    """Positive edges and their negatives, named as ``LinkNeighborLoader`` names them.

    Indices are rows of the embedding tables at hand. In a sampled batch these are local
    rows; ``src_n_id`` and ``dst_n_id`` translate them into global ids, which hardness
    tables need.

    Attributes:
        src_index: ``[B]`` rows of ``z_user``.
        dst_pos_index: ``[B]`` rows of ``z_item``.
        dst_neg_index: ``[B, K]`` rows of ``z_item``; ``[B, 0]`` without negatives.
        src_n_id: Global user id of each row of ``z_user``; None means the whole graph.
        dst_n_id: Global item id of each row of ``z_item``; None means the whole graph.
        neg_mask: ``[B, K]`` True keeps a negative, False leaves it out.
        neg_log_q: ``[B, K]`` log of how much likelier than by a uniform draw a negative
            was drawn. Losses correct for it: on the average over many batches a
            negative then counts as if it had been drawn uniformly. Less than
            :data:`LEAST_LOG_Q` counts as that: what was drawn cannot be impossible.
        neg_rows: ``[B, K, D]`` rows that are scored in place of the negatives' rows of
            ``z_item``, e.g. mixed ones that are harder. Negatives stay what
            ``dst_neg_index`` says for masks and for tables of hardness.
        ego: ``([U, D], [I, D])`` layer-0 rows of the tables that the indices refer to;
            only MLPHardness reads them, default: z. They are part of the batch as its
            indices are, which in a sampled batch are local to these rows.
    """

    src_index: Tensor
    dst_pos_index: Tensor
    dst_neg_index: Tensor
    src_n_id: Tensor | None = None
    dst_n_id: Tensor | None = None
    neg_mask: Tensor | None = None
    neg_log_q: Tensor | None = None
    neg_rows: Tensor | None = None
    ego: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        size = self.src_index.numel()
        shapes = tuple(self.src_index.shape), tuple(self.dst_pos_index.shape)
        if shapes != ((size,), (size,)):
            raise ValueError(
                "src_index and dst_pos_index must both be [B] "
                f"(got {shapes[0]} and {shapes[1]})"
            )
        if self.dst_neg_index.dim() != 2 or self.dst_neg_index.size(0) != size:
            raise ValueError(
                f"dst_neg_index must be [{size}, K] "
                f"(got {tuple(self.dst_neg_index.shape)}): one negative is [B, 1]"
            )
        shape = None if self.neg_rows is None else tuple(self.neg_rows.shape)
        drawn = tuple(self.dst_neg_index.shape)
        if shape is not None and (len(shape) != 3 or shape[:2] != drawn):
            raise ValueError(
                f"neg_rows must be [{size}, {drawn[1]}, D], a row for each of "
                f"dst_neg_index (got {shape})"
            )
        if self.neg_log_q is not None:
            least = self.neg_log_q.clamp(min=LEAST_LOG_Q)
            object.__setattr__(self, "neg_log_q", least)

    def __repr__(self) -> str:
        options = ("src_n_id", "dst_n_id", "neg_mask", "neg_log_q", "neg_rows", "ego")
        given = [name for name in options if getattr(self, name) is not None]
        shape = f"B={self.src_index.numel()}, K={self.dst_neg_index.size(1)}"
        return f"EdgeBatch({', '.join([shape, *given])})"

    @property
    def user_id(self) -> Tensor:
        """Global user ids ``[B]``."""
        return _global(self.src_index, self.src_n_id)

    @property
    def pos_id(self) -> Tensor:
        """Global ids of the positives ``[B]``."""
        return _global(self.dst_pos_index, self.dst_n_id)

    @property
    def neg_id(self) -> Tensor:
        """Global ids of the negatives ``[B, K]``."""
        return _global(self.dst_neg_index, self.dst_n_id)

    @property
    def neg_importance(self) -> Tensor | float:
        """``[B, K]`` how many uniform draws each negative stands for; or one."""
        return 1.0 if self.neg_log_q is None else (-self.neg_log_q).exp()

    @property
    def num_kept(self) -> Tensor | int:
        """``[B]`` how many negatives a positive has, at least one; or K of all."""
        if self.neg_mask is None:
            return self.dst_neg_index.size(1)
        return self.neg_mask.sum(-1).clamp(min=1)

    @classmethod
    def from_hetero(
        cls,
        batch: HeteroData,
        *,
        exclude: Tensor | None = None,
        dst_weight: Tensor | None = None,
        user: str = "user",
        item: str = "item",
    ) -> "EdgeBatch":
        """Read a batch of ``LinkNeighborLoader`` in triplet mode.

        Args:
            batch: The sampled batch.
            exclude: Global user-item pairs ``[2, E]``, on any device: negatives among
                them are masked (PyG's sampler does not avoid observed positives).
            dst_weight: ``[I]`` the loader's ``dst_weight``, if it has one: losses then
                correct for negatives that are not drawn uniformly (log-q correction).
            user: The node type of the sources.
            item: The node type of the destinations.

        Raises:
            GraphError: If the batch was not sampled in triplet mode.
            ValueError: If the weights cannot be those of a sampler, or the pairs to
                exclude have another shape.
        """
        if "src_index" not in batch[user] or "dst_neg_index" not in batch[item]:
            raise GraphError(
                f"the batch needs src_index of '{user}' and dst_neg_index of '{item}': "
                "sample with neg_sampling=dict(mode='triplet', amount=K)"
            )
        negatives = batch[item].dst_neg_index  # [B, K], or [B]: PyG squeezes K = 1
        edges = cls(
            src_index=batch[user].src_index,
            dst_pos_index=batch[item].dst_pos_index,
            dst_neg_index=negatives.view(batch[user].src_index.numel(), -1),
            src_n_id=batch[user].get("n_id"),
            dst_n_id=batch[item].get("n_id"),
        )
        if dst_weight is not None:
            weight = dst_weight.to(edges.src_index.device)
            edges = replace(edges, neg_log_q=_log_rate(weight)[edges.neg_id])
        return edges if exclude is None else edges.mask_pairs(exclude)

    def whole_graph(self) -> "EdgeBatch":
        """Return the same edges as rows of the whole graph's tables: global ids."""
        return replace(
            self,
            src_index=self.user_id,
            dst_pos_index=self.pos_id,
            dst_neg_index=self.neg_id,
            src_n_id=None,
            dst_n_id=None,
            ego=None,
        )

    def mask_pairs(self, pairs: Tensor) -> "EdgeBatch":
        """Mask the negatives that are among the global user-item ``pairs [2, E]``.

        Raises:
            ValueError: If the pairs have another shape.
        """
        if pairs.dim() != 2 or pairs.size(0) != 2:
            raise ValueError(f"pairs must be [2, E] (got {tuple(pairs.shape)})")
        if pairs.size(1) == 0 or self.dst_neg_index.numel() == 0:
            return self
        known = pair_keys(*pairs.to(self.src_index.device)).sort().values  # [E]
        asked = pair_keys(self.user_id.unsqueeze(-1), self.neg_id)  # [B, K]
        keep = ~is_among(asked, known)
        return replace(
            self, neg_mask=keep if self.neg_mask is None else keep & self.neg_mask
        )


def _global(index: Tensor, n_id: Tensor | None) -> Tensor:
    return index if n_id is None else n_id[index]


def _log_rate(weight: Tensor) -> Tensor:
    """Return the log of each item's probability, relative to a uniform one, ``[I]``."""
    total = weight.sum()
    if bool((weight < 0).any()) or not 0 < float(total) < float("inf"):
        raise ValueError(
            "dst_weight must be the weights that the loader draws negatives by: not "
            f"negative, not all zero, finite (got a sum of {float(total)})"
        )
    return (weight * (weight.numel() / total)).log()
