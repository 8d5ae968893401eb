"""Contrast of LightGCL: embeddings against those of a low-rank graph."""

from collections.abc import Sequence

import torch
from scipy.sparse import csr_array
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import at_least_float32, check_positive
from pyg_advinfonce.graph import INTERACTS, num_nodes, weighted_edges
from pyg_advinfonce.objective import Step, Term
from pyg_advinfonce.ops import sum_log_partitions, total

_POWER_ITERATIONS = 10  # the spectrum of sparse data decays slowly


class SVDContrast(Term):
    r"""Contrast embeddings with a propagation over a low-rank graph, from `"LightGCL:
    Simple Yet Effective Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2302.08191>`_.

    .. math::
        \frac{1}{|T|} \sum_{t \in T} \Bigl[\log \sum_k e^{\langle G_t, Z_k
        \rangle/\tau} - \mathrm{clamp}\bigl(\langle G_t, Z_t \rangle/\tau, -5,
        5\bigr)\Bigr], \qquad
        G = \alpha_0 E^{(0)} + \sum_{l=1}^{L} \alpha_l \hat{A}_q E^{(l-1)}

    over all users ``k`` and the batch's users ``T``, including repeated users, plus the
    same for items. :math:`Z = \sum_l \alpha_l E^{(l)}` are the embeddings, and
    :math:`\hat{A}_q = U S V^T` is the truncated SVD of the normalised adjacency.

    The factors are computed when the first epoch starts, and are part of checkpoints.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        rank: ``q``, reduced to the number of users or of items if one is smaller.
        tau: Temperature.
        alpha: Weights of the layers ``[L + 1]``, those of the encoder.
        with_negatives: Include the drawn negatives in ``T`` of items (docs/methods.md
            3.8).

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    contrasts_all = needs_whole_graph = waits = True
    user: Tensor  # [U, q]
    scale: Tensor  # [q]
    item: Tensor  # [I, q]

    def __init__(
        self,
        num_users: int,
        num_items: int,
        rank: int = 5,
        tau: float = 0.2,
        *,
        alpha: Sequence[float] = (1.0, 1.0, 1.0),
        with_negatives: bool = False,
    ) -> None:
        super().__init__()
        check_positive(rank=rank, tau=tau)
        rank = min(rank, num_users, num_items)  # that of the whole matrix, or less
        self.tau, self.alpha, self.with_negatives = tau, tuple(alpha), with_negatives
        self.register_buffer("user", torch.zeros(num_users, rank, device="cpu"))
        self.register_buffer("scale", torch.zeros(rank, device="cpu"))
        self.register_buffer("item", torch.zeros(num_items, rank, device="cpu"))
        # Drawn with the encoder's tables: the same for all losses of a seed.
        self.seed = int(torch.randint(2**31, (), device="cpu"))

    @torch.no_grad()
    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        if self.scale.any():  # computed, or loaded from a checkpoint
            return
        factors = _truncated_svd(graph, self.scale.numel(), self.seed)
        buffers = self.user, self.scale, self.item
        for buffer, factor in zip(buffers, factors, strict=True):
            buffer.copy_(factor)

    def forward(self, step: Step) -> Tensor:
        z, batch = step.embeddings, step.batch
        user, item = zip(*z.layers[: len(self.alpha) - 1], strict=True)  # E of 0 to L-1
        low_user, low_item = self._thin(self.item, item), self._thin(self.user, user)
        users = self._nce(z.user, user[0], self.user, low_user, batch.src_index)
        items = self._items(batch)
        return users + self._nce(z.item, item[0], self.item, low_item, items)

    def _thin(self, factor: Tensor, layers: Sequence[Tensor]) -> Tensor:
        """Return what all nodes of one type send over the low-rank graph, ``[q, D]``.

        Layers are summed here, where they are thin.
        """
        sent = [
            a * (factor.t() @ x) for a, x in zip(self.alpha[1:], layers, strict=True)
        ]
        return self.scale.unsqueeze(-1) * torch.stack(sent).sum(0)

    def _items(self, batch: EdgeBatch) -> Tensor:
        """Return the items to contrast, repeats included."""
        if not self.with_negatives:
            return batch.dst_pos_index
        drawn, mask = batch.dst_neg_index, batch.neg_mask
        drawn = drawn.flatten() if mask is None else drawn[mask]
        return torch.cat([batch.dst_pos_index, drawn])

    def _nce(
        self, z: Tensor, table: Tensor, factor: Tensor, thin: Tensor, index: Tensor
    ) -> Tensor:
        """Contrast the rows numbered ``index``: a repeated one is computed once."""
        nodes, count = index.unique(return_counts=True)  # [T]
        low = factor.index_select(0, nodes) @ thin  # [T, D]
        low = torch.add(low, table.index_select(0, nodes), alpha=self.alpha[0])
        anchor, z = at_least_float32(low) / self.tau, at_least_float32(z)
        own = total(torch.linalg.vecdot(anchor, z.index_select(0, nodes))).clamp(-5, 5)
        share = count.to(own.dtype) / index.numel()
        return sum_log_partitions(anchor, z, share) - share.dot(own)


def _truncated_svd(graph: HeteroData, rank: int, seed: int) -> list[Tensor]:
    """Return U ``[U, q]``, S ``[q]`` and V ``[I, q]`` of the normalised adjacency.

    One thread and the CPU make the result independent of the machine.
    """
    edges, weight = (x.cpu().numpy() for x in weighted_edges(graph, INTERACTS))
    matrix = csr_array((weight.astype("float64"), edges), shape=num_nodes(graph))
    with threadpool_limits(1):
        user, scale, item = randomized_svd(
            matrix, rank, n_iter=_POWER_ITERATIONS, random_state=seed
        )
    return [torch.from_numpy(x) for x in (user, scale, item.T.copy())]
