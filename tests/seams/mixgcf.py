"""MixGCF (Huang et al., KDD 2021): negatives mixed from candidates, for any loss."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings
from pyg_advinfonce.functional import MASKED, unit_rows
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.objective import Phase, RankingLoss, Step


class MixGCF(RankingLoss):
    """A loss whose negatives are made of several drawn ones each.

    A layer's candidates are mixed with its positive by a share uniform in [0, mixing];
    the user's best one is the layer's, and the mean over layers is what is scored. It
    stands for the candidate that is the best over all layers.
    """

    def __init__(
        self, loss: Criterion, candidates: int = 4, mixing: float = 1.0
    ) -> None:
        super().__init__()
        self.loss, self.candidates, self.mixing = loss, candidates, mixing
        self.cosine, self.negatives = loss.cosine, loss.negatives
        self.needs_whole_graph = loss.needs_whole_graph

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        z = step.embeddings if perturb else step.clean
        return self.loss(*z.of_batch(self.mixed(z, step.batch)))

    def mixed(self, z: Embeddings, batch: EdgeBatch) -> EdgeBatch:
        """Return a batch of K / candidates negatives with rows of their own."""
        shape = (len(batch.src_index), -1, self.candidates)  # [B, K, candidates]
        negative, user = batch.dst_neg_index.view(shape), z.user[batch.src_index]
        masked = None if batch.neg_mask is None else ~batch.neg_mask.view(shape)
        rows, total = [], user.new_zeros(negative.shape)
        for _, item in z.layers:
            share = self.mixing * torch.rand_like(user[:, :1, None, None])
            positive = item[batch.dst_pos_index][:, None, None]  # [B, 1, 1, D]
            row = item[negative].lerp(positive, share)  # [B, K, candidates, D]
            scored = unit_rows(row) if self.cosine else row
            score = torch.einsum("bd,bknd->bkn", user, scored).detach()
            score = score if masked is None else score.masked_fill(masked, MASKED)
            best = score.argmax(-1)[..., None, None]  # [B, K, 1, 1]
            rows.append(row.take_along_dim(best, 2).squeeze(2))
            total += score
        best = total.argmax(-1, keepdim=True)
        parts = {
            name: part.view(shape).gather(-1, best).squeeze(-1)
            for name in ("dst_neg_index", "neg_mask", "neg_log_q")
            if (part := getattr(batch, name)) is not None
        }
        return replace(batch, neg_rows=torch.stack(rows).mean(0), **parts)

    def diagnostics(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> dict[str, Tensor]:
        return self.loss.diagnostics(z_user, z_item, batch)

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        return self.loss.phases(main)

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        self.loss.on_epoch_start(encoder, graph, epoch)
