"""Objectives: weighted terms of a step, optimised in phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import ConfigError

if TYPE_CHECKING:
    from pyg_advinfonce.encoders import Embeddings, Encoder


class Step:
    """One batch, and the encoder's view of the graph it lies in.

    Args:
        encoder: The encoder that is trained.
        graph: The graph, or the sampled part of it that the batch's rows refer to.
        batch: The edges.
        epoch: The epoch, counted from 0.
        index: The step within the epoch, counted from 0.
        embeddings: The whole graph's clean embeddings, if they are constant in this
            phase; then the batch's rows become those of the whole graph.
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
        """The embeddings of the graph, computed once a step."""
        return self._given or self.encode()

    @cached_property
    def clean(self) -> Embeddings:
        """The embeddings without noise or dropped messages, computed once a step."""
        return self._given or self.encode(perturb=False)

    def encode(
        self,
        graph: HeteroData | Sequence[HeteroData] | None = None,
        *,
        perturb: bool | None = None,
    ) -> Embeddings:
        """Run the encoder again, over another view of the graph or perturbed anew."""
        view = self.graph if graph is None else graph
        found: Embeddings = self.encoder(view, perturb=perturb)
        return found


class Term(nn.Module):
    """One part of an objective; it may look at all that a step may look at.

    Attributes:
        needs_whole_graph: Whether a sample of the graph around the batch is too little.
    """

    needs_whole_graph: bool = False

    def forward(self, step: Step) -> Tensor:
        """Return a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Update state that lasts an epoch."""


class RankingLoss(nn.Module):
    """What ranks: the loss of a step, and what it wants of sampler and trainer.

    One that needs tensors only is a :class:`~pyg_advinfonce.losses.Criterion`, one that
    needs the encoder or the graph a :class:`RankingTerm`.

    Attributes:
        cosine: Whether scores are cosines, in training and in ranking.
        negatives: What the loss wants of a sampler.
        needs_whole_graph: Whether a sample of the graph around the batch is too little.
    """

    cosine: bool = True
    negatives: Literal["sampled", "in_batch", "none"] = "sampled"
    needs_whole_graph: bool = False

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build a loss that may need counts or degrees of the graph."""
        return cls(**options)

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        """Return the loss of a step, averaged over its batch.

        Args:
            step: The step.
            perturb: ``False`` asks for the clean embeddings.
        """
        raise NotImplementedError(f"{type(self).__name__} has no on_step")

    def diagnostics(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> dict[str, Tensor]:
        """Return scalars worth logging."""
        return {}

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        """Return the phases of an epoch, in order."""
        return (main,)

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Update state that lasts an epoch."""


class RankingTerm(RankingLoss):
    """A ranking loss that needs the encoder or the graph, which no criterion sees."""

    def forward(self, step: Step) -> Tensor:
        """Return the loss, averaged over the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        """Return the loss of a step.

        Raises:
            ConfigError: If it is to be that of the clean embeddings.
        """
        if not perturb:
            raise ConfigError(
                f"{type(self).__name__} runs the encoder itself, it cannot be given "
                "clean embeddings: choose a loss that is a Criterion"
            )
        loss: Tensor = self(step)
        return loss


class Supervised(Term):
    """The ranking loss of a step.

    Args:
        loss: Any ranking loss.
        perturb: ``False`` takes the clean embeddings, another pass of the encoder.
    """

    def __init__(self, loss: RankingLoss, *, perturb: bool = True) -> None:
        super().__init__()
        self.loss, self.perturb = loss, perturb
        self.needs_whole_graph = loss.needs_whole_graph

    def forward(self, step: Step) -> Tensor:
        found = self.loss.on_step(step, perturb=self.perturb)
        if found.dim() > 0:
            raise ConfigError(
                f"{type(self.loss).__name__} must return a scalar, the batch's mean "
                f"(got shape {list(found.shape)})"
            )
        return found

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        self.loss.on_epoch_start(encoder, graph, epoch)


class Objective(nn.Module):
    """A weighted sum of named terms, the ranking loss among them as ``rec``.

    Args:
        terms: The terms by name.
        weights: Their weights by name (default: 1). A term of weight 0 is left out.
    """

    def __init__(
        self, terms: Mapping[str, Term], weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.weights = {name: (weights or {}).get(name, 1.0) for name in terms}
        self.terms = nn.ModuleDict({n: t for n, t in terms.items() if self.weights[n]})

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Return each term's weighted value."""
        return {n: self.weights[n] * term(step) for n, term in self._terms().items()}

    def only(self, *names: str) -> Objective:
        """Return an objective of some of the terms, shared with this one.

        Raises:
            ConfigError: If a name is not among the terms.
        """
        missing = [name for name in names if name not in self.terms]
        if missing:
            raise ConfigError(f"no term {missing}: there are {list(self.terms)}")
        terms = self._terms()
        return Objective({n: terms[n] for n in names}, self.weights)

    def plus(
        self, name: str, function: Callable[[Step], Tensor], weight: float
    ) -> Objective:
        """Return an objective that adds a function of the step to these terms."""
        terms = {**self._terms(), name: _FunctionTerm(function)}
        return Objective(terms, {**self.weights, name: weight})

    def needing_whole_graph(self) -> list[str]:
        """Return the names of the terms that look at the whole graph."""
        return [n for n, term in self._terms().items() if term.needs_whole_graph]

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Let every term update state that lasts an epoch."""
        for term in self._terms().values():
            term.on_epoch_start(encoder, graph, epoch)

    def _terms(self) -> dict[str, Term]:
        return dict(self.terms.items())  # type: ignore[arg-type]


class _FunctionTerm(Term):
    """A term without state of its own: a function of the step."""

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
    """Run in epoch ``first`` and ever after."""
    return lambda epoch: epoch >= first


def before_epoch(end: int) -> EpochPredicate:
    """Run in the epochs before ``end``."""
    return lambda epoch: epoch < end


def every(period: int, *, first: int, times: int) -> EpochPredicate:
    """Run ``times`` times: in epoch ``first`` and then once in ``period`` epochs.

    Raises:
        ValueError: If the period is not positive or another argument is negative.
    """
    if period < 1 or first < 0 or times < 0:
        raise ValueError(
            "period must be positive, first and times not negative "
            f"(got {period}, {first}, {times})"
        )

    def active(epoch: int) -> bool:
        passed, rest = divmod(epoch - first, period)
        return rest == 0 and 0 <= passed < times

    return active


OptimizerFactory = Callable[[list[nn.Parameter]], Optimizer]


def adam(lr: float = 1e-3, *, maximize: bool = False) -> OptimizerFactory:
    """Make a phase's Adam, which may have nothing to train yet.

    Args:
        lr: The learning rate.
        maximize: Ascend instead of descend.
    """

    def make(params: list[nn.Parameter]) -> Optimizer:
        group = {"params": params}  # may be empty, unlike a list of parameters
        return Adam([group], lr=lr, maximize=maximize, fused=True)

    return make


@dataclass(frozen=True)
class Phase:
    """One pass over the data within an epoch.

    Attributes:
        name: A name for the history; it means nothing.
        objective: What is optimised.
        params: The parameters that this phase, and no other, trains, but for frozen
            ones; None marks the main phase and means every parameter that no other
            phase owns.
        optimizer: Makes the phase's own optimiser of these parameters, in one group or
            in several.
        active: Tells whether the phase runs in an epoch, counted from 0.
    """

    name: str
    objective: Objective
    params: tuple[nn.Parameter, ...] | None = None
    optimizer: OptimizerFactory = adam(1e-3)  # noqa: RUF009 (a function)
    active: EpochPredicate = always
