"""Objectives: weighted terms of a step, optimised in phases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import num_nodes

if TYPE_CHECKING:
    from pyg_advinfonce.encoders import Embeddings, Encoder


class Step:
    """One batch with its graph, and the encoder's embeddings of the graph.

    Args:
        encoder: The encoder in training.
        graph: The graph, or the sampled part of it that the batch's rows refer to.
        batch: The edges.
        epoch: Epoch, counted from 0.
        index: Step within the epoch, counted from 0.
        embeddings: Clean embeddings of the whole graph, if they are constant in this
            phase; the batch's indices then become global.
    """

    def __init__(
        self,
        encoder: Encoder,
        graph: HeteroData,
        batch: EdgeBatch,
        epoch: int,
        index: int,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.encoder, self.graph = encoder, graph
        self.batch = batch if embeddings is None else batch.whole_graph()
        self.epoch, self.index = epoch, index
        self._given = embeddings

    @cached_property
    def embeddings(self) -> Embeddings:
        """Embeddings of the graph, computed once per step."""
        return self._given or self.encode()

    @cached_property
    def clean(self) -> Embeddings:
        """Embeddings without noise or dropped messages, computed once per step."""
        return self._given or self.encode(perturb=False)

    def of_rows(self) -> Step:
        """Return the step with embeddings of the batch's rows, if that is less work."""
        batch = self.batch
        if self._given or batch.src_n_id is not None or batch.dst_n_id is not None:
            return self
        # On a GPU a step waits for launches, not for products.
        if self.encoder.device.type != "cpu":
            return self
        batch = batch.of_rows(*num_nodes(self.graph))
        if batch is self.batch:
            return self
        z = self.encoder.encode_rows(self.graph, batch.src_n_id, batch.dst_n_id)
        if z is None:
            return self
        step = Step(self.encoder, self.graph, batch, self.epoch, self.index)
        step.embeddings = step.clean = z
        return step

    def encode(
        self,
        graph: HeteroData | Sequence[HeteroData] | None = None,
        *,
        perturb: bool | None = None,
    ) -> Embeddings:
        """Run the encoder again, on another view of the graph or with new noise."""
        view = self.graph if graph is None else graph
        found: Embeddings = self.encoder(view, perturb=perturb)
        return found


class Term(nn.Module):
    """One part of an objective, a function of the step.

    Attributes:
        needs_whole_graph: Whether the term needs the whole graph, not a sample of it.
        waits: Whether a step of the term waits for its device, or depends on values of
            Python that change within an epoch: it then cannot be a CUDA graph.
        reads_batch: Whether the term reads the final and layer-0 rows of the batch's
            users and items only, so that a step may compute no others.
        contrasts_all: Whether the term scores nodes of the batch against all nodes.
    """

    contrasts_all: bool = False
    needs_whole_graph: bool = False
    waits: bool = False
    reads_batch: bool = False

    def forward(self, step: Step) -> Tensor:
        """Return a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Update state at the start of an epoch."""


class RankingLoss(nn.Module):
    """Base class of ranking losses and their requirements on sampler and trainer.

    A loss that needs tensors only is a :class:`~pyg_advinfonce.losses.Criterion`; a
    loss that needs the encoder or the graph is a :class:`RankingTerm`.

    Attributes:
        cosine: Whether the model ranks by cosine instead of by inner product.
        negatives: Negatives that the loss needs: ``sampled`` by the sampler, the other
            positives of the batch (``in_batch``), or ``none``.
        needs_whole_graph: Whether the loss needs the whole graph, not a sample of it.
        waits: As of a :class:`Term`.
        takes_all_negatives: Whether the loss accepts all of a user's other items as
            negatives, in parts of a batch: it is a mean over edges that do not affect
            each other.
        reads_batch: Whether the loss reads the rows of the batch's users and items
            only, by the batch's indices, so that a step may compute no others. It
            holds for the class that sets it, not for its subclasses.
    """

    cosine: bool = True
    negatives: Literal["sampled", "in_batch", "none"] = "sampled"
    needs_whole_graph: bool = False
    waits: bool = False
    takes_all_negatives: bool = False
    reads_batch: bool = False

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from a graph, e.g. from its counts or degrees."""
        return cls(**options)

    def extra_repr(self) -> str:
        """Return the arguments that are numbers, strings or truth values."""
        own = {
            name: getattr(self, name, None) for name in signature(type(self)).parameters
        }
        known = (int, float, str)
        return ", ".join(f"{k}={v!r}" for k, v in own.items() if isinstance(v, known))

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        """Return the loss of a step, averaged over its batch.

        Args:
            step: The step.
            perturb: ``False`` uses the clean embeddings.
        """
        raise NotImplementedError(f"{type(self).__name__} has no on_step")

    def diagnostics(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> dict[str, Tensor]:
        """Return scalars to log."""
        return {}

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        """Return the phases of an epoch, in order."""
        return (main,)

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Update state at the start of an epoch."""


class RankingTerm(RankingLoss):
    """Ranking loss that needs the encoder or the graph."""

    def forward(self, step: Step) -> Tensor:
        """Return the loss, averaged over the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        """Return the loss of a step, averaged over its batch.

        Raises:
            ConfigError: If ``perturb`` is False.
        """
        if not perturb:
            raise ConfigError(
                f"{type(self).__name__} runs the encoder itself, but this model gives "
                "its loss clean embeddings: choose a loss that is a Criterion"
            )
        loss: Tensor = self(step)
        return loss


class Supervised(Term):
    """The ranking loss as a term.

    Args:
        loss: Ranking loss.
        perturb: ``False`` uses the clean embeddings, from a separate encoder pass.
    """

    def __init__(self, loss: RankingLoss, *, perturb: bool = True) -> None:
        super().__init__()
        self.loss, self.perturb = loss, perturb
        self.needs_whole_graph, self.waits = loss.needs_whole_graph, loss.waits
        self.reads_batch = "reads_batch" in vars(type(loss)) and loss.reads_batch

    def forward(self, step: Step) -> Tensor:
        found: object = self.loss.on_step(step, perturb=self.perturb)
        name = type(self.loss).__name__
        if not isinstance(found, Tensor) or found.dim() > 0:
            shape = getattr(found, "shape", None)
            got = type(found).__name__ if shape is None else f"shape {list(shape)}"
            raise ConfigError(
                f"{name} must return a scalar tensor, the batch's mean (got {got})"
            )
        is_trained = self.training and torch.is_grad_enabled()
        lacks_gradient = is_trained and not found.requires_grad
        if lacks_gradient and any(p.requires_grad for p in step.encoder.parameters()):
            raise ConfigError(
                f"{name} must return a tensor with a gradient: do not detach it"
            )
        return found

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        self.loss.on_epoch_start(encoder, graph, epoch)


class Objective(nn.Module):
    """Weighted sum of named terms; the ranking loss is named ``rec``.

    Args:
        terms: Terms by name.
        weights: Weights by name (default: 1). Terms of weight 0 are left out.
    """

    def __init__(
        self, terms: Mapping[str, Term], weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.weights = {name: (weights or {}).get(name, 1.0) for name in terms}
        self.terms = nn.ModuleDict({n: t for n, t in terms.items() if self.weights[n]})

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Return each term's weighted value."""
        if all(term.reads_batch for term in self._terms().values()):
            step = step.of_rows()
        return {n: self.weights[n] * term(step) for n, term in self._terms().items()}

    def only(self, *names: str) -> Objective:
        """Return an objective of some of these terms; both objectives share them.

        Raises:
            ConfigError: If a name is not among the terms.
        """
        missing = [name for name in names if name not in self.terms]
        if missing:
            raise ConfigError(
                f"expected terms among {list(self.terms)} (got {missing})"
            )
        terms = self._terms()
        return Objective({n: terms[n] for n in names}, self.weights)

    def plus(
        self, name: str, function: Callable[[Step], Tensor], weight: float
    ) -> Objective:
        """Return an objective with one more term, which a function computes."""
        terms = {**self._terms(), name: _FunctionTerm(function)}
        return Objective(terms, {**self.weights, name: weight})

    def needing_whole_graph(self) -> list[str]:
        """Return the names of the terms that need the whole graph."""
        return [n for n, term in self._terms().items() if term.needs_whole_graph]

    def waiting(self) -> list[str]:
        """Return the names of the terms that wait for their device."""
        return [n for n, term in self._terms().items() if term.waits]

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Let every term update its state at the start of an epoch."""
        for term in self._terms().values():
            term.on_epoch_start(encoder, graph, epoch)

    def _terms(self) -> dict[str, Term]:
        return dict(self.terms.items())  # type: ignore[arg-type]


class _FunctionTerm(Term):
    """A function of the step as a term."""

    def __init__(self, function: Callable[[Step], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, step: Step) -> Tensor:
        return self.function(step)


EpochPredicate = Callable[[int], bool]


def always(epoch: int) -> bool:
    """Run in every epoch."""
    return True


def from_epoch(first: int) -> EpochPredicate:
    """Run from epoch ``first`` on."""
    return partial(_from_epoch, first)


def before_epoch(end: int) -> EpochPredicate:
    """Run in the epochs before ``end``."""
    return partial(_before_epoch, end)


def every(period: int, *, first: int, times: int) -> EpochPredicate:
    """Run ``times`` times: in epoch ``first`` and every ``period``-th epoch after it.

    Raises:
        ValueError: If the period is not positive or another argument is negative.
    """
    if period < 1 or first < 0 or times < 0:
        raise ValueError(
            "period must be positive, first and times must not be negative "
            f"(got {period}, {first}, {times})"
        )
    return partial(_every, period, first, times)


# Functions of the module, since a closure cannot be pickled.
def _from_epoch(first: int, epoch: int) -> bool:
    return epoch >= first


def _before_epoch(end: int, epoch: int) -> bool:
    return epoch < end


def _every(period: int, first: int, times: int, epoch: int) -> bool:
    passed, rest = divmod(epoch - first, period)
    return rest == 0 and 0 <= passed < times


OptimizerFactory = Callable[[list[nn.Parameter]], Optimizer]

ScheduleFactory = Callable[[Optimizer], LRScheduler]


def adam(
    lr: float = 1e-3,
    *,
    maximize: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> OptimizerFactory:
    """Return a factory of Adam optimisers, which accepts an empty parameter list.

    Args:
        lr: Learning rate.
        maximize: Maximise the objective instead of minimising it.
        weight_decay: Weight decay of all parameters, added to the gradient.
        decoupled: Subtract the weight decay from the parameters instead, as AdamW does.
    """
    return partial(_adam, lr, maximize, weight_decay, decoupled)


def _adam(
    lr: float,
    maximize: bool,
    weight_decay: float,
    decoupled: bool,
    params: list[nn.Parameter],
) -> Optimizer:
    group = {"params": params}  # may be empty, unlike a list of parameters
    kind = AdamW if decoupled else Adam
    return kind(
        [group], lr=lr, maximize=maximize, weight_decay=weight_decay, fused=True
    )


def stepped(epochs: int, factor: float) -> ScheduleFactory:
    """Return a schedule that multiplies the learning rate every few epochs.

    Args:
        epochs: Number of epochs between two changes.
        factor: Factor of a change.
    """
    return partial(StepLR, step_size=epochs, gamma=factor)


def cosine(epochs: int, factor: float) -> ScheduleFactory:
    """Return a schedule that lowers the learning rate along half a cosine.

    Args:
        epochs: Number of epochs after which the learning rate stays constant.
        factor: Factor of the learning rate from then on.
    """
    return partial(LambdaLR, lr_lambda=partial(_cosine, epochs, factor))


def _cosine(epochs: int, factor: float, epoch: int) -> float:
    done = min(epoch / epochs, 1.0)
    return factor + (1 - factor) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Phase:
    """One pass over the data within an epoch.

    Attributes:
        name: Label in the history.
        objective: Objective to optimise.
        params: Parameters that only this phase trains, unless frozen; None marks the
            main phase, which owns every parameter that no other phase owns.
        optimizer: Factory of the phase's optimiser, given these parameters; it may
            divide them into groups.
        active: Predicate of the epochs, counted from 0, in which the phase runs.
        lr_schedule: Factory of a learning rate scheduler of torch, given the optimiser;
            it makes one step after each epoch in which the phase runs.
        clip_norm: Maximum norm of the gradient of all these parameters together; a
            larger gradient is scaled down to it.
    """

    name: str
    objective: Objective
    params: tuple[nn.Parameter, ...] | None = None
    optimizer: OptimizerFactory = adam(1e-3)  # noqa: RUF009 (a function)
    active: EpochPredicate = always
    lr_schedule: ScheduleFactory | None = None
    clip_norm: float | None = None
