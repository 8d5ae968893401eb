"""Objectives: weighted terms of a step, optimised in phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from torch import Tensor, nn
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


class RankingTerm(Term):
    """A ranking loss that needs the encoder or the graph, which no criterion sees.

    Otherwise it answers as a :class:`~pyg_advinfonce.losses.Criterion` does.

    Attributes:
        cosine: Whether scores are cosines, in training and in ranking.
        l2_negatives: Whether the batch's L2 penalty counts negatives as well.
        negatives: What the loss wants of a sampler.
    """

    cosine: bool = True
    l2_negatives: bool = False
    negatives: Literal["sampled", "in_batch", "none"] = "sampled"

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build a loss that may need counts or degrees of the graph."""
        return cls(**options)

    def diagnostics(
        self,
        z_user: Tensor,
        z_item: Tensor,
        batch: EdgeBatch,
        *,
        x_user: Tensor | None = None,
        x_item: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return scalars worth logging."""
        return {}

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        """Return the phases of an epoch, in order."""
        return (main,)


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


@dataclass(frozen=True)
class Phase:
    """One pass over the data within an epoch.

    Attributes:
        name: A short name for the history.
        objective: What is optimised.
        params: The parameters that this phase, and no other, trains, but for frozen
            ones; None means every parameter that no other phase owns.
        lr: The learning rate of the phase's own Adam.
        maximize: Ascend instead of descend.
        active: Tells whether the phase runs in an epoch, counted from 0.
    """

    name: str
    objective: Objective
    params: tuple[nn.Parameter, ...] | None = None
    lr: float = 1e-3
    maximize: bool = False
    active: EpochPredicate = always
