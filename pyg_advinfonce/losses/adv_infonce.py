"""AdvInfoNCE, and the KL bound of its adversary."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import (
    check_choice,
    check_not_negative,
    check_positive,
    info_nce,
    kl_to_uniform,
)
from pyg_advinfonce.losses.base import Criterion, batch_scores, sum_over_ranks
from pyg_advinfonce.losses.hardness import KINDS, Hardness, build_hardness
from pyg_advinfonce.objective import Phase, Step, adam, every


class KLBound(nn.Module):
    r"""Records whether the hardness has left the ball :math:`KL(P_0 \| P) \le` limit.

    The paper's Theorem 3.1 reads AdvInfoNCE as a robust loss over such a ball. Without
    this bound, only the small number of adversarial epochs keeps the hardness in it.
    If a process group of several ranks is initialised, a batch of any rank counts, so
    that all ranks agree.

    Args:
        limit: Largest allowed divergence from uniform, positive.
    """

    exceeded: Tensor  # [] saved with the loss, so that a resumed run keeps it

    def __init__(self, limit: float) -> None:
        super().__init__()
        if not limit > 0:
            raise ValueError(f"max_kl must be positive (got {limit})")
        self.limit, self._warned = limit, False
        self.register_buffer("exceeded", torch.tensor(False, device="cpu"))

    @torch.no_grad()
    def watch(self, divergence: Tensor) -> None:
        """Check a batch's divergence from uniform, without a host sync on a GPU."""
        is_beyond = divergence > self.limit
        self.exceeded.logical_or_(sum_over_ranks(is_beyond.long()) > 0)

    def warn(self) -> None:
        """Warn once if the limit has been exceeded."""
        if self._warned or not self.exceeded:
            return
        self._warned = True
        warnings.warn(
            "the adversary is disabled for the rest of the run: its divergence from "
            f"uniform hardness exceeded loss.max_kl = {self.limit}",
            stacklevel=2,
        )


class AdvInfoNCE(Criterion):
    r"""Contrastive loss whose negatives have adversarially learned hardness, from
    `"Empowering Collaborative Filtering with Principled Adversarial Contrastive Loss"
    <https://arxiv.org/abs/2310.18700>`_.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \mathrm{softplus}\Bigl(\log w + \log \sum_j
        e^{c(u, j) / \tau + \delta_j} - c(u, i) / \tau\Bigr),
        \quad \delta_j = \log(K p_j)

    The recommender minimises the loss. The adversary, which owns the hardness,
    maximises it in some epochs (:meth:`phases`). With uniform hardness the loss equals
    InfoNCE with the same ``negative_weight``.

    Args:
        hardness: Module that computes the hardness of each negative.
        tau: Temperature.
        negative_weight: ``w``, weight of the negatives (the paper's ``K``). It stands
            in for the negatives that are not sampled: with all negatives it is 1
            (docs/methods.md 2.6).
        adversary_lr: Learning rate of the adversary.
        adversary_every: Number of epochs from one adversarial epoch to the next.
        adversary_epochs: Number of adversarial epochs.
        adversary_first: First adversarial epoch, counted from 0 (default: set by
            ``schedule``).
        schedule: ``official`` (the authors' code): the adversary runs before the
            recommender, in epochs with ``(epoch + 3) % adversary_every == 0`` except
            epoch 0. ``algorithm1`` (the paper): the adversary runs after the
            recommender, once every ``adversary_every`` epochs (docs/methods.md 4.1).
        reverse: Let the adversary minimise the loss as well (an ablation).
        hardness_l2: Weight of the L2 penalty ``hardness.penalty(batch)`` on the
            adversary's embeddings. The adversary maximises the loss minus this penalty;
            with ``reverse`` it minimises the loss plus the penalty. ``forward`` does
            not include the penalty. The default is 0, since the penalty in the authors'
            code has no effect (docs/methods.md D2).
        max_kl: Largest allowed divergence :math:`KL(P_0 \| P)` from uniform hardness.
            After an adversarial batch that exceeds it, the adversary is disabled with
            a warning. By default only ``adversary_epochs`` bounds the adversary.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]`` embeddings
        - **output:** a scalar
    """  # noqa: D205

    takes_all_negatives = True

    def __init__(
        self,
        hardness: Hardness,
        tau: float = 0.2,
        negative_weight: float = 64.0,
        *,
        adversary_lr: float = 1e-4,
        adversary_every: int = 5,
        adversary_epochs: int = 10,
        adversary_first: int | None = None,
        schedule: Literal["official", "algorithm1"] = "official",
        reverse: bool = False,
        hardness_l2: float = 0.0,
        max_kl: float = float("inf"),
    ) -> None:
        super().__init__()
        check_positive(
            tau=tau, negative_weight=negative_weight, adversary_lr=adversary_lr
        )
        check_choice("official", "algorithm1", schedule=schedule)
        self.hardness, self.hardness_l2 = hardness, _check_l2(hardness_l2, hardness)
        self.tau, self.negative_weight = tau, negative_weight
        self.adversary_lr, self.reverse = adversary_lr, reverse
        self.schedule = schedule
        first = _first(schedule, adversary_every, adversary_epochs, adversary_first)
        self.is_adversarial = every(
            adversary_every, first=first, times=adversary_epochs
        )
        self.bound = None if max_kl == float("inf") else KLBound(max_kl)

    @property
    def reads_batch(self) -> bool:  # type: ignore[override]
        """Whether the hardness is one of this library, which read the batch only."""
        return type(self.hardness) in KINDS

    @classmethod
    def from_graph(
        cls,
        graph: HeteroData,
        *,
        hardness: Hardness | Mapping[str, Any] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Self:
        """Build from a hardness or its options, e.g. ``{"kind": "mlp"}``."""
        if not isinstance(hardness, Hardness):
            hardness = build_hardness(graph, **(hardness or {}))
        return cls(hardness, **options)

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        pos, neg = batch_scores(z_user, z_item, batch, tau=self.tau)
        delta = self.hardness(z_user, z_item, batch)
        is_whole = not batch.is_dense  # else over_all_negatives watches all its parts
        if is_whole and self.bound is not None and self._trains(delta):
            self.bound.watch(kl_to_uniform(_kept(delta.detach(), batch))[0])
        return info_nce(pos, neg, delta, self.negative_weight)

    def over_all_negatives(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> Tensor:
        loss = super().over_all_negatives(z_user, z_item, batch)
        if self.bound is not None and self._trains(*self.hardness.parameters()):
            found = self.diagnostics(z_user, z_item, batch)
            self.bound.watch(found["kl_uniform_p"])
        return loss

    def _trains(self, *tensors: Tensor) -> bool:
        is_active = self.training and torch.is_grad_enabled()
        return is_active and any(tensor.requires_grad for tensor in tensors)

    @torch.no_grad()
    def diagnostics(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> dict[str, Tensor]:
        """Return both KL divergences from uniform, and the range of the hardness."""
        found, counts = [], []
        for sparse in batch.split(z_item.size(0)):
            part = sparse.dense(z_item.size(0))
            delta = _kept(self.hardness(z_user, z_item, part), part)
            found.append((*kl_to_uniform(delta), delta.min(), delta.max()))
            counts.append(delta.numel())
        forward, backward, low, high = map(torch.stack, zip(*found, strict=True))
        share = forward.new_tensor(counts) / sum(counts)  # of a part
        return {
            "kl_uniform_p": (forward * share).sum(),
            "kl_p_uniform": (backward * share).sum(),
            "delta_min": low.min(),
            "delta_max": high.max(),
        }

    def has_turn(self, epoch: int) -> bool:
        """Return whether the adversary runs in an epoch."""
        if self.bound is not None and self.bound.exceeded:
            return False
        return self.is_adversarial(epoch)

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        if self.bound is not None:
            self.bound.warn()

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        """Add the adversary's phase if the hardness has parameters."""
        params = tuple(self.hardness.parameters())
        if not params:
            return (main,)
        sign = 1 if self.reverse else -1
        adversary = replace(
            main,
            name="adversary",
            objective=main.objective.only("rec").plus(
                "hardness_l2", self._penalty, sign * self.hardness_l2
            ),
            params=params,
            optimizer=adam(self.adversary_lr, maximize=not self.reverse),
            active=self.has_turn,
        )
        official = self.schedule == "official"
        return (adversary, main) if official else (main, adversary)

    def _penalty(self, step: Step) -> Tensor:
        return self.hardness.penalty(step.batch)


def _kept(delta: Tensor, batch: EdgeBatch) -> Tensor:
    """Return the hardness of the unmasked negatives."""
    return delta if batch.neg_mask is None else delta[batch.neg_mask]


def _check_l2(weight: float, hardness: Hardness) -> float:
    check_not_negative(hardness_l2=weight)
    if weight and type(hardness).penalty is Hardness.penalty:
        raise ValueError(
            f"hardness_l2 must be 0 for {type(hardness).__name__}, which has no "
            f"embeddings (got {weight})"
        )
    return weight


def _first(schedule: str, period: int, times: int, first: int | None) -> int:
    """Check the adversary's schedule and return its first epoch."""
    check_positive(adversary_every=period)
    check_not_negative(adversary_epochs=times)
    if first is None:
        return period - 1 if schedule == "algorithm1" else (-4) % period + 1
    check_not_negative(adversary_first=first)
    return first
