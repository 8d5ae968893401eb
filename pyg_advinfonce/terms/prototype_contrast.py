"""Prototype contrast of NCL: nodes against cluster centroids."""

from typing import Literal

import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.functional import (
    check_choice,
    check_not_negative,
    check_positive,
    unit_rows,
    view_info_nce,
)
from pyg_advinfonce.objective import Step, Term
from pyg_advinfonce.ops import own_columns, whole_columns
from pyg_advinfonce.ranks import agreed


class PrototypeContrast(Term):
    r"""Contrast layer-0 rows with the centroids of their clusters, from `"Improving
    Graph Collaborative Filtering with Neighborhood-enriched Contrastive Learning"
    <https://arxiv.org/abs/2202.06200>`_.

    .. math::
        \sum_b \Bigl[\log \sum_c e^{c(E^{(0)}_u, \mu_c)/\tau}
        - c(E^{(0)}_u, \mu_{a(u)})/\tau\Bigr]

    plus the same for items. Users and items are clustered by k-means at the start of
    each epoch. Centroids are constants and are not part of checkpoints.

    Args:
        num_prototypes: Number of clusters, at most half the number of nodes.
        tau: Temperature.
        first_epoch: First epoch with prototypes, counted from 0; the term is zero
            before.
        prototypes: Candidates: ``all`` centroids, or those assigned to the ``batch``,
            one per edge (docs/methods.md D10).

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    needs_whole_graph = True
    user_centroids: Tensor
    user_cluster: Tensor
    item_centroids: Tensor
    item_cluster: Tensor

    def __init__(
        self,
        num_prototypes: int = 1000,
        tau: float = 0.1,
        first_epoch: int = 20,
        prototypes: Literal["all", "batch"] = "all",
    ) -> None:
        super().__init__()
        check_positive(num_prototypes=num_prototypes, tau=tau)
        check_not_negative(first_epoch=first_epoch)
        check_choice("all", "batch", prototypes=prototypes)
        self.num_prototypes, self.tau = num_prototypes, tau
        self.first_epoch, self.prototypes = first_epoch, prototypes
        empty = torch.empty(0, device="cpu")
        for node in ("user", "item"):
            for part in ("centroids", "cluster"):
                self.register_buffer(f"{node}_{part}", empty, persistent=False)

    @torch.no_grad()
    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        if epoch < self.first_epoch:
            return
        user, item = encoder(graph, perturb=False).layers[0]
        self.user_centroids, self.user_cluster = self._cluster(user)
        self.item_centroids, self.item_cluster = self._cluster(item)

    def forward(self, step: Step) -> Tensor:
        user, item = step.embeddings.layers[0]
        if step.epoch < self.first_epoch:
            return user.new_zeros(())
        batch = step.batch
        return self._sum(
            user.index_select(0, batch.src_index),
            self.user_centroids,
            self.user_cluster[batch.user_id],
        ) + self._sum(
            item.index_select(0, batch.dst_pos_index),
            self.item_centroids,
            self.item_cluster[batch.pos_id],
        )

    def _cluster(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit-length centroids ``[k, D]`` and the cluster of each row ``[N]``.

        One thread makes the result independent of the machine.
        """
        seed = int(torch.randint(2**31, (), device="cpu"))
        size = max(1, min(self.num_prototypes, x.size(0) // 2))
        means = KMeans(size, init="random", n_init=1, max_iter=25, random_state=seed)
        with threadpool_limits(1):
            means.fit(whole_columns(x).detach().cpu().numpy())
        centroids = torch.from_numpy(means.cluster_centers_).to(x.device, x.dtype)
        cluster = torch.from_numpy(means.labels_).to(x.device, torch.long)
        return unit_rows(own_columns(agreed(centroids))), agreed(cluster)

    def _sum(self, anchor: Tensor, centroids: Tensor, own: Tensor) -> Tensor:
        """Contrast rows ``[B, D]`` with their ``own [B]`` and other centroids."""
        if self.prototypes == "all":
            mean = view_info_nce(anchor, centroids, self.tau, own)
        else:
            mean = view_info_nce(anchor, centroids[own], self.tau)
        return anchor.size(0) * mean
