"""Adap-tau, a contrastive loss with one temperature per user."""

import math
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy.special import lambertw
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import (
    check_choice,
    check_not_negative,
    check_positive,
    unit_rows,
)
from pyg_advinfonce.graph import num_nodes, split_edges, train_degrees
from pyg_advinfonce.losses.base import (
    Criterion,
    UpdateWatch,
    batch_scores,
    num_ranks,
    sum_over_ranks,
)
from pyg_advinfonce.ops import total
from pyg_advinfonce.ranks import agreed

WARM_UP_GAP = 0.7  # as the authors' code assumes for mu_+ - mu
MAX_EXCESS = 1000.0


class AdapTau(Criterion):
    r"""Contrastive loss with one temperature per user, adapted to the user's loss, from
    `"Adap-tau: Adaptively Modulating Embedding Magnitude for Recommendation"
    <https://arxiv.org/abs/2302.04775>`_.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \Bigl(\log \sum_{k \in \{i\} \cup J}
        e^{w_u c(u, k)} - w_0 c(u, i)\Bigr), \quad
        w_u = w_0 \, e^{-W(\max(-1/e, (l_u - \bar{l}) / \beta))}

    Here :math:`W` is the Lambert function and :math:`l_u` the user's mean loss at
    temperature 1 in the previous epoch: hard users get a high temperature. After the
    warm-up, :math:`w_0 = \log(I U' / 2 Y') / (\mu_+ - \mu)` with the mean cosines
    :math:`\mu_+` of the train pairs and :math:`\mu` of all pairs, over the ``U'``
    users above the 20 % quantile of the degrees and their ``Y'`` pairs. Both
    temperatures are constants, computed once per epoch (:meth:`on_epoch_start`). If
    :math:`\mu_+ \le \mu`, :math:`w_0` keeps its warm-up value.

    Defaults are those of AdvInfoNCE's authors (docs/methods.md 2.5, D8).

    A :class:`~pyg_advinfonce.errors.TrainingLoopWarning` tells of a loop that has never
    called :meth:`on_epoch_start` in ten passes over the train pairs (1000 positives per
    user if the loss is not built by :meth:`from_graph`). If a process group of several
    ranks is initialised, every training call sums the batch's losses per user over the
    ranks, inside ``DistributedDataParallel`` or not: the temperatures are those of one
    process with all batches. Every rank makes the same calls.

    Args:
        num_users: Number of users.
        tau: :math:`1 / w_0` during the warm-up.
        warm_up_epochs: Number of warm-up epochs.
        warm_up: ``tau`` sets the warm-up's :math:`w_0` from ``tau``. ``gap`` computes
            it from the graph with :math:`\mu_+ - \mu = 0.7`, as the original authors
            do.
        beta: Spread of the temperatures; a larger value makes them more equal.
        per_user: Adapt the temperature per user. If False, every user has
            :math:`w_0`.
        unseen: A user without samples in the previous epoch is left out of
            :math:`\bar{l}` and has :math:`w_0` (``skip``), or has the loss 0 (``zero``)
            as in both authors' code.
        positive_in_denominator: Include the positive in the sum. False sums over the
            negatives only, as in the original paper.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    base: Tensor
    inverse_tau: Tensor
    loss_sum: Tensor
    loss_count: Tensor

    reads_batch = True

    def __init__(
        self,
        num_users: int,
        *,
        tau: float = 0.2,
        warm_up_epochs: int = 100,
        warm_up: Literal["tau", "gap"] = "tau",
        beta: float = 1.0,
        per_user: bool = True,
        unseen: Literal["skip", "zero"] = "skip",
        positive_in_denominator: bool = True,
    ) -> None:
        super().__init__()
        check_positive(tau=tau, beta=beta)
        check_not_negative(warm_up_epochs=warm_up_epochs)
        check_choice("tau", "gap", warm_up=warm_up)
        check_choice("skip", "zero", unseen=unseen)
        self.tau, self.beta = tau, beta
        self.warm_up_epochs, self.warm_up = warm_up_epochs, warm_up
        self.per_user, self.unseen = per_user, unseen
        self.positive_in_denominator = positive_in_denominator
        self.register_buffer("base", torch.tensor(1 / tau, device="cpu"))
        ones = torch.ones(num_users, device="cpu")
        self.register_buffer("inverse_tau", ones / tau)  # [U]
        self.register_buffer("loss_sum", torch.zeros_like(ones))  # [U]
        self.register_buffer("loss_count", torch.zeros_like(ones))  # [U]
        problem = (
            "AdapTau's temperatures are constant: call on_epoch_start(encoder, graph, "
            "epoch) before each epoch"
        )
        self.watch = UpdateWatch(num_users, problem)

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from the graph's number of users."""
        found = cls(num_nodes(graph)[0], **options)
        found.watch.expect(split_edges(graph, "train").size(1))
        return found

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        pos, neg = batch_scores(z_user, z_item, batch, log_q=False)
        log_q = 0.0 if batch.neg_log_q is None else batch.neg_log_q
        if self.training:
            self.watch.count(batch)
            cosine = pos.detach()
            loss = self._contrast(cosine, neg.detach() - log_q, cosine)
            self._remember(batch.user_id, loss)
        scale = self.inverse_tau[batch.user_id]  # [B]
        pulled, pos, neg = pos * self.base, pos * scale, neg * scale.unsqueeze(-1)
        return self._contrast(pos, neg - log_q, pulled).mean()

    def _contrast(self, pos: Tensor, neg: Tensor, pulled: Tensor) -> Tensor:
        """Return the loss of each positive ``[B]``."""
        mass = neg.logsumexp(-1)
        if self.positive_in_denominator:
            mass = torch.logaddexp(mass, pos)
        return mass - pulled

    def _remember(self, user: Tensor, loss: Tensor) -> None:
        loss = loss.to(self.loss_sum.dtype)
        if num_ranks() == 1:
            self.loss_sum.index_add_(0, user, loss)
            self.loss_count.index_add_(0, user, torch.ones_like(loss))
            return
        # Summed in each step: DistributedDataParallel would overwrite what a rank keeps
        # in buffers of its own by rank 0's.
        found = torch.stack([loss, torch.ones_like(loss)])  # [2, B]
        own = loss.new_zeros(2, self.loss_sum.numel()).index_add_(1, user, found)
        total, count = sum_over_ranks(own)  # [U], [U]
        self.loss_sum += total
        self.loss_count += count

    @torch.no_grad()
    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Recompute the temperatures from the embeddings and the previous epoch."""
        self.watch.stop()
        self.base.fill_(self._base(encoder, graph, epoch))
        self.inverse_tau.copy_(self.base.expand_as(self.inverse_tau))
        seen = self.loss_count > 0
        if self.per_user and bool(seen.any()):
            counted = seen if self.unseen == "skip" else torch.ones_like(seen)
            loss = self.loss_sum[counted] / self.loss_count[counted].clamp(min=1)
            self.inverse_tau[counted] *= temper(loss, self.beta)
        self.base.copy_(agreed(self.base))
        self.inverse_tau.copy_(agreed(self.inverse_tau))
        self.loss_sum.zero_()
        self.loss_count.zero_()

    def _base(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> float:
        if epoch < self.warm_up_epochs and self.warm_up == "tau":
            return 1 / self.tau
        user, item = split_edges(graph, "train")
        degree = train_degrees(graph)[0].float()  # [U]
        active = degree > degree[degree > 0].quantile(0.2)
        pairs = active[user]
        room = num_nodes(graph)[1] * int(active.sum()) / max(1, 2 * int(pairs.sum()))
        if room <= 1:  # users have seen half of all items: the formula has no value
            return 1 / self.tau
        gap = WARM_UP_GAP
        if epoch >= self.warm_up_epochs:
            gap = _gap(encoder, graph, active, torch.stack([user, item])[:, pairs])
        if gap <= 0 and self.warm_up == "gap":
            gap = WARM_UP_GAP
        return math.log(room) / gap if gap > 0 else 1 / self.tau


def temper(loss: Tensor, beta: float) -> Tensor:
    r"""Return :math:`e^{-W(\max(-1/e, (l_u - \bar{l}) / \beta))}` of losses ``[U]``."""
    excess = ((loss - loss.mean()) / beta).double().cpu().clamp(max=MAX_EXCESS)
    at_branch = excess <= -math.exp(-1) + 1e-12  # where W is -1 but SciPy says NaN
    root = lambertw(np.where(at_branch, 0.0, excess)).real
    scale = np.exp(-np.where(at_branch, -1.0, root))
    return torch.from_numpy(scale).to(loss)


def _gap(encoder: nn.Module, graph: HeteroData, active: Tensor, pairs: Tensor) -> float:
    r"""Return :math:`\mu_+ - \mu`, mean cosines of train pairs and of all pairs."""
    was_training = encoder.training
    encoder.eval()
    z = encoder(graph, perturb=False)
    encoder.train(was_training)
    user, item = unit_rows(z.user.detach()), unit_rows(z.item.detach())
    sums = torch.zeros_like(user).index_add_(0, pairs[0], item[pairs[1]])  # [U, D]
    mean = total((user * sums).sum()) / pairs.size(1)
    return float(mean - total(user[active] @ item.mean(0)).mean())
