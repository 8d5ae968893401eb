"""AutoCF loss."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch_geometric.data import Data, HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings
from pyg_advinfonce.functional import (
    at_least_float32,
    check_not_negative,
    check_positive,
    unit_rows,
)
from pyg_advinfonce.graph import INTERACTS, TensorCache, num_nodes, stored_tensors
from pyg_advinfonce.losses.base import refuse_neg_rows
from pyg_advinfonce.objective import RankingTerm, Step
from pyg_advinfonce.ops import Adjacency, propagate, sum_log_partitions
from pyg_advinfonce.transforms import JointGraph, RandomLinks, SubgraphMask


def centrality(x: Tensor, adjacency: Adjacency) -> Tensor:
    r"""Cosine of each node with the mean of its one- and two-hop neighbours.

    .. math::
        c_i = \cos\Bigl(x_i, \frac{f_i + g_i}{n_i + 10^{-8}}\Bigr), \quad
        f = A_1 x - x, \quad g = A_1 f - f - o \odot x

    where :math:`o = A_1 1` counts a node's links, including its self-loop, and
    :math:`n = A_1 o - o` counts links at a distance of up to two, as in `"Automated
    Self-Supervised Learning for Recommendation" <https://arxiv.org/abs/2303.07797>`_.

    Args:
        x: ``[N, D]`` node embeddings.
        adjacency: :math:`A_1`, ``[N, N]`` of ones with self-loops.

    Returns:
        ``[N]`` cosines.
    """
    links = propagate(adjacency, x.new_ones(x.size(0), 1))  # [N, 1]
    first = propagate(adjacency, x) - x
    second = propagate(adjacency, first) - first - links * x
    number = propagate(adjacency, links) - links  # [N, 1]
    around = (first + second) / (number + 1e-8)
    return (unit_rows(around) * unit_rows(x)).sum(-1)


class AutoCFLoss(RankingTerm):
    r"""Reconstruct a graph whose most informative parts are masked, from `"Automated
    Self-Supervised Learning for Recommendation" <https://arxiv.org/abs/2303.07797>`_.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \Bigl[\log \sum_k e^{\langle z_u, z_k \rangle}
        - \langle z_u, z_i \rangle\Bigr] + \lambda \Bigl[
        \overline{\log \sum_v e^{\langle z_u, z_v \rangle}} +
        \overline{\log \sum_k e^{\langle z_i, z_k \rangle}}\Bigr]

    The sums run over all users or items, the means with a bar over the batch's users
    and items, each counted once. The encoder propagates over a masked graph and applies
    its transformer to a rebuilt graph. Both are redrawn in the first of every
    ``fix_steps`` steps of an epoch: nodes are ranked by
    :math:`\nu_i = \log \sigma(c_i) - \log(-\log r_i)`, where :math:`c` is their
    :func:`~pyg_advinfonce.losses.centrality` and :math:`r` is uniform; the first
    ``num_seeds`` are the seeds of :class:`~pyg_advinfonce.transforms.SubgraphMask`, and
    :math:`-\overline{\nu}` is added to the loss of this step.

    The authors' code sums exponentials; this implementation uses a stable log-sum-exp
    (docs/methods.md 3.6). In eval mode both parts use the whole graph and nothing is
    drawn.

    Args:
        num_seeds: Number of seeds, the nodes masked with their surroundings.
        mask_depth: Number of hops around a seed within which edges are masked.
        fix_steps: Number of steps that use the same graphs.
        keep_rate: Fraction of all nodes, drawn with replacement, that random links may
            touch besides the seeds, in [0, 1].
        ssl_weight: ``lambda``, weight of the two contrasts within users and items.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    needs_whole_graph = True
    waits = True
    cosine = False
    negatives = "none"

    def __init__(
        self,
        num_seeds: int = 100,
        mask_depth: int = 2,
        fix_steps: int = 10,
        keep_rate: float = 0.2,
        ssl_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(mask_depth=mask_depth, fix_steps=fix_steps)
        check_not_negative(num_seeds=num_seeds, ssl_weight=ssl_weight)
        if not 0 <= keep_rate <= 1:
            raise ValueError(f"keep_rate must be in [0, 1] (got {keep_rate})")
        self.num_seeds, self.mask = num_seeds, SubgraphMask(mask_depth)
        self.fix_steps, self.keep_rate = fix_steps, keep_rate
        self.ssl_weight = ssl_weight
        self.views: tuple[Data, Data] | None = None
        self._wholes: TensorCache[tuple[Data, Adjacency]] = TensorCache()

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        self.views = None

    def forward(self, step: Step) -> Tensor:
        refuse_neg_rows(step.batch)
        if not self.training:
            return self._contrast(step.embeddings, step.batch)
        if self.views is not None and step.index % self.fix_steps:
            return self._contrast(step.encode(self.views), step.batch)
        noisy = self._redraw(step)
        return self._contrast(step.encode(self.views), step.batch) - noisy.mean()

    def _contrast(self, z: Embeddings, batch: EdgeBatch) -> Tensor:
        user, item = at_least_float32(z.user), at_least_float32(z.item)
        users, count = batch.src_index.unique(return_counts=True)
        items = batch.dst_pos_index.unique()
        anchor, positive = user[batch.src_index], item[batch.dst_pos_index]  # [B, D]
        of_users, of_items = user[users], item[items]
        share = count.to(user.dtype) / count.sum()
        rank = sum_log_partitions(of_users, item, share)
        rank = rank - torch.linalg.vecdot(anchor, positive).mean()
        if self.ssl_weight == 0:
            return rank
        among_users = sum_log_partitions(of_users, user, _equal(of_users))
        among_items = sum_log_partitions(of_items, item, _equal(of_items))
        return rank + self.ssl_weight * (among_users + among_items)

    def _redraw(self, step: Step) -> Tensor:
        """Draw new views; return the noisy scores ``[N]`` that rank the nodes."""
        whole, ones = self._whole(step.graph)
        user, item = map(step.encoder.get_parameter, ("user", "item"))
        score = logsigmoid(centrality(torch.cat([user, item]), ones))
        noisy = score + _gumbel(score)
        view = Data(edge_index=whole.edge_index, num_nodes=whole.num_nodes)
        view.seed_mask = self._top(noisy)
        masked = self.mask(view)
        rebuilt = RandomLinks(whole.edge_index.size(1), self.keep_rate)(masked)
        self.views = masked, rebuilt
        return noisy

    def _top(self, noisy: Tensor) -> Tensor:
        """Return the mask of the seeds, bool ``[N]``."""
        seeds = noisy.topk(min(self.num_seeds, noisy.numel())).indices
        return torch.zeros_like(noisy, dtype=torch.bool).index_fill(0, seeds, True)

    def _whole(self, graph: HeteroData) -> tuple[Data, Adjacency]:
        """Return the joint graph of users and items, and its adjacency of ones."""
        edges = stored_tensors(graph, INTERACTS)
        return self._wholes(edges, lambda: _joined(graph), num_nodes(graph))


def _equal(x: Tensor) -> Tensor:
    """Return equal weights ``[N]`` of sum one for the rows of a table."""
    return x.new_full(x.shape[:1], 1 / len(x))


def _joined(graph: HeteroData) -> tuple[Data, Adjacency]:
    joint, size = JointGraph()(graph), sum(num_nodes(graph))
    ones = torch.ones(joint.num_edges, device=joint.edge_index.device)
    return joint, Adjacency.from_edge_index(joint.edge_index, ones, size, size)


def _gumbel(x: Tensor) -> Tensor:
    """Draw standard Gumbel noise of the shape of ``x``."""
    uniform = torch.rand_like(x).clamp_(min=torch.finfo(x.dtype).tiny)
    return -(-uniform.log()).log()
