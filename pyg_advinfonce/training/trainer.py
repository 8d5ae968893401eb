"""Training loop: epochs of phases, early stopping and callbacks."""

import time
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings, FittedEncoder
from pyg_advinfonce.errors import ConfigError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.files import without_nan
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Phase, Step

CHECK_EVERY = 50
"""Number of steps between two checks for non-finite values, except on a CPU."""

HELD_IDS = 1 << 23
"""Maximum number of negatives in unchecked batches (64 MB of ids)."""

FIT = "fit"
"""Phase of an epoch that fits an encoder without a loss."""


@dataclass
class Record:
    """One epoch of the history.

    Attributes:
        epoch: Epoch, counted from 0.
        losses: Mean of each term, by ``phase/term``.
        metrics: Metrics of the validation, if it took place.
        diagnostics: Further scalars.
        seconds: Training time in seconds, without evaluation.
        phases: Names of the phases that ran, in order.
    """

    epoch: int
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    phases: list[str] = field(default_factory=list)

    @classmethod
    def of_flat(cls, values: Mapping[str, Any], splits: Collection[str]) -> Self:
        """Return the record of :meth:`flat`, whose phases are those with a loss.

        Args:
            values: The flat object.
            splits: Names of the splits, which a metric's name begins with.
        """
        found = cls(int(values["epoch"]), seconds=float(values["seconds"]))
        for name, value in values.items():
            first, slash, _ = name.partition("/")
            part = found.diagnostics
            if slash and first not in splits:
                part = found.losses
                found.phases += [] if first in found.phases else [first]
            elif slash and first == "valid":
                part = found.metrics
            if name not in ("epoch", "seconds"):
                part[name] = float("nan") if value is None else float(value)
        return found

    def flat(self) -> dict[str, float | int | None]:
        """Return a flat, JSON-serialisable object; non-finite values become null."""
        values = {"seconds": self.seconds, **self.losses, **self.metrics}
        values |= self.diagnostics
        return {"epoch": self.epoch, **without_nan(values)}


class Callback:
    """Base class of callbacks, run after every epoch; they may add to its record."""

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Run after an epoch."""


class Sampler(Iterable[tuple[HeteroData, EdgeBatch]], Sized, Protocol):
    """Iterable of batches, each with the graph that its rows refer to."""


@dataclass(repr=False)
class Trainer:
    """Trains a method in epochs of phases and selects on a validation metric.

    Each phase has its own optimiser, built once. Parameters that are frozen
    (``requires_grad`` is False) at the start of an epoch are not trained in it. The
    random numbers of an epoch depend on the seed, the epoch and the phase only. After
    training, the method has the weights of the best validation, and ``history`` has one
    record per epoch.

    A method without phases has a single epoch, its validation. If its encoder is a
    :class:`~pyg_advinfonce.encoders.FittedEncoder`, every epoch fits it, in the phase
    ``fit``; an encoder in closed form has a single epoch.

    Without a metric to monitor, all epochs are trained, and the last one is the best.

    Args:
        method: Method to train.
        graph: User-item graph, on the method's device.
        sampler: Sampler of batches.
        evaluator: Evaluator of the monitored split.
        epochs: Maximum number of epochs; a callback may lower it to end training.
        seed: Random seed.
        eval_every: Number of epochs between two validations; only epochs in which the
            main phase ran, and the last epoch, are validated.
        patience: Number of validations without improvement after which training stops.
        monitor: Metric of the validation split that selects the best epoch, or None.
        callbacks: Callbacks, run in order after every epoch.

    Raises:
        ConfigError: If the monitored metric is not of the validation split.
    """

    method: Method
    graph: HeteroData
    sampler: Sampler
    evaluator: Evaluator
    epochs: int = 2000
    seed: int = 0
    eval_every: int = 5
    patience: int = 20
    monitor: str | None = "valid/recall@20"
    callbacks: Sequence[Callback] = ()
    history: list[Record] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.monitor is not None and not self.monitor.startswith("valid/"):
            raise ConfigError(
                "models are selected on the validation split: monitor must start "
                f"with 'valid/' (got '{self.monitor}')"
            )
        self.fitted: FittedEncoder | None = None
        if not self.method.phases:
            if isinstance(self.method.encoder, FittedEncoder):
                self.fitted = self.method.encoder
            if self.fitted is None or self.fitted.closed_form:
                self.epochs = min(self.epochs, 1)  # further epochs would be equal
        self.stopping = EarlyStopping(self.patience)
        self.phases = [(p, self._optimizer(p)) for p in self.method.phases]
        self._schedules = {
            phase.name: phase.lr_schedule(optimizer)
            for phase, optimizer in self.phases
            if phase.lr_schedule is not None
        }
        self.last_batch: tuple[HeteroData, EdgeBatch] | None = None
        on_cpu = self.method.encoder.device.type == "cpu"
        self.check_every = 1 if on_cpu else CHECK_EVERY

    def fit(self) -> int:
        """Train from the end of the history; restore and return the best epoch.

        Raises:
            ConfigError: If every parameter of the main phase is frozen.
            NonFiniteLossError: If a loss, gradient or score is NaN or infinite.
        """
        self._check_trainable()
        while len(self.history) < self.epochs and not self.stopping.should_stop:
            epoch = len(self.history)
            started, record = time.perf_counter(), Record(epoch=epoch)
            for index, (phase, optimizer) in enumerate(self.phases):
                if phase.active(epoch) and self.method.params_of(phase):
                    seed_everything(self.seed, epoch, index)
                    record.losses |= self._run_phase(phase, optimizer, epoch)
                    record.phases.append(phase.name)
            if self.fitted is not None:
                seed_everything(self.seed, epoch, 0)
                with torch.no_grad():
                    self.fitted.fit(self.graph)
                record.phases.append(FIT)
            self._wait()
            record.seconds = time.perf_counter() - started
            for name, schedule in self._schedules.items():
                record.diagnostics[f"{name}_lr"] = float(schedule.get_last_lr()[0])
            self.advance_schedules(record)
            self._finish_epoch(record)
        if self.monitor is None:
            return len(self.history) - 1
        self.stopping.restore(self.method)
        return self.stopping.best_epoch

    def advance_schedules(self, record: Record) -> None:
        """Advance the learning rates of the phases that ran in an epoch."""
        for name, schedule in self._schedules.items():
            if name in record.phases:
                schedule.step()

    def __repr__(self) -> str:
        phases = ", ".join(phase.name for phase, _ in self.phases) or "no phases"
        done = f"{len(self.history)} of {self.epochs} epochs"
        return f"Trainer({phases}: {done}, seed {self.seed})"

    @property
    def seconds_per_epoch(self) -> float | None:
        """Mean training time per epoch, without the first epoch, which warms up."""
        seconds = [record.seconds for record in self.history[1:]]
        return sum(seconds) / len(seconds) if seconds else None

    def ran_beside_main(self, record: Record) -> bool:
        """Whether a phase other than the main one, e.g. an adversary's, ran."""
        return any(
            phase.params is not None and phase.name in record.phases
            for phase, _ in self.phases
        )

    def _check_trainable(self) -> None:
        for phase, _ in self.phases:
            if phase.params is None and not self.method.params_of(phase):
                raise ConfigError(
                    f"phase '{phase.name}' has no parameter to train: all are frozen "
                    "or belong to another phase; call requires_grad_(True) on some"
                )

    def _optimizer(self, phase: Phase) -> Optimizer:
        # Includes frozen parameters, which have no gradient but may be unfrozen later.
        owned = [p for p in self.method.owned_by(phase) if p.is_floating_point()]
        return phase.optimizer(owned)

    def _run_phase(
        self, phase: Phase, optimizer: Optimizer, epoch: int
    ) -> dict[str, float]:
        """Run one pass over the batches; return the mean of each term."""
        params = self.method.params_of(phase)
        phase.objective.on_epoch_start(self.method.encoder, self.graph, epoch)
        constant = self._constant_embeddings(params)
        totals: dict[str, Tensor] = {}
        _train_mode(self.method)
        check = FiniteCheck(phase.name, params, self.check_every)
        with train_only(self.method, params), check:
            for index, (graph, batch) in enumerate(self.sampler):
                step = Step(self.method.encoder, graph, batch, epoch, index, constant)
                parts = phase.objective(step)
                optimizer.zero_grad(set_to_none=True)
                torch.stack(list(parts.values())).sum().backward()
                norm = check.add(step, parts)
                if phase.clip_norm is not None:
                    clip_grads_with_norm_(params, phase.clip_norm, norm)
                optimizer.step()
                for name, part in parts.items():
                    totals[name] = totals.get(name, 0.0) + part.detach()
        optimizer.zero_grad(set_to_none=True)
        self.last_batch = (graph, batch)
        return {
            f"{phase.name}/{name}": float(total) / len(self.sampler)
            for name, total in totals.items()
        }

    def _constant_embeddings(self, params: Sequence[nn.Parameter]) -> Embeddings | None:
        """Encode once for a phase that does not train the encoder, else return None."""
        trained = {id(p) for p in params}
        if any(id(p) in trained for p in self.method.encoder.parameters()):
            return None
        return self.method.encode(self.graph)

    def _finish_epoch(self, record: Record) -> None:
        self.history.append(record)
        done = record.epoch + 1
        trained = FIT in record.phases or any(
            phase.params is None and phase.name in record.phases
            for phase, _ in self.phases
        )
        is_due = (trained and done % self.eval_every == 0) or done == self.epochs
        if is_due and self.monitor is not None:
            self._validate(record, self.monitor)
        for callback in self.callbacks:
            callback.on_epoch_end(self, record)

    def _validate(self, record: Record, monitor: str) -> None:
        split = monitor.split("/")[0]
        try:
            record.metrics = self.evaluator.metrics(
                self.method.scorer(self.graph), split
            )
        except NonFiniteLossError as error:
            raise NonFiniteLossError(f"epoch {record.epoch}: {error}") from error
        if monitor not in record.metrics:
            raise ConfigError(
                f"monitor must be one of {list(record.metrics)} (got '{monitor}')"
            )
        self.stopping.update(record.metrics[monitor], record.epoch, self.method)

    def _wait(self) -> None:
        if self.method.encoder.device.type == "cuda":
            torch.cuda.synchronize(self.method.encoder.device)


class EarlyStopping:
    """Early stopping, with a copy of the weights of the best score.

    Args:
        patience: Number of consecutive scores that do not exceed the best after which
            training stops.

    Attributes:
        best: Copies of the best weights, replaced but never modified.
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"patience must be positive (got {patience})")
        self.patience = patience
        self.best_score, self.best_epoch, self.num_bad = float("-inf"), -1, 0
        self.best: dict[str, Tensor] = {}

    @property
    def should_stop(self) -> bool:
        """Whether patience is exhausted."""
        return self.num_bad >= self.patience

    def update(self, score: float, epoch: int, module: nn.Module) -> None:
        """Record a score and, if it is the best, the weights."""
        if not score > self.best_score:
            self.num_bad += 1
            return
        self.best_score, self.best_epoch, self.num_bad = score, epoch, 0
        self.best = {n: t.detach().clone() for n, t in module.state_dict().items()}

    def restore(self, module: nn.Module) -> None:
        """Load the best weights into a module, if any."""
        if self.best:
            module.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """Return the state without the weights, JSON-serialisable."""
        names = ("best_score", "best_epoch", "num_bad")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: Mapping[str, Any], best: dict[str, Tensor]) -> None:
        """Load a :meth:`state` and the best weights."""
        self.best_score = float(state["best_score"])
        self.best_epoch, self.num_bad = int(state["best_epoch"]), int(state["num_bad"])
        self.best = best


def seed_everything(seed: int, epoch: int, phase: int, *, stream: int = 0) -> None:
    """Seed torch's generators from a run's seed, an epoch and a phase.

    Args:
        seed: Seed of the run.
        epoch: Epoch, counted from 0.
        phase: Index of the phase within the epoch, counted from 0.
        stream: Number of an independent stream; 0 is training, others are for draws
            before training.
    """
    sequence = np.random.SeedSequence([seed, epoch, phase, stream])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


@contextmanager
def train_only(module: nn.Module, params: Iterable[nn.Parameter]) -> Iterator[None]:
    """Freeze all parameters of a module except the given ones, and restore on exit.

    Given parameters that are already frozen stay frozen.
    """
    chosen = {id(p) for p in params}
    before = [(p, p.requires_grad) for p in module.parameters()]
    try:
        for p, trains in before:
            p.requires_grad_(trains and id(p) in chosen)
        yield
    finally:
        for p, flag in before:
            p.requires_grad_(flag)


@dataclass(frozen=True)
class _UncheckedStep:
    """A past step: its batch, losses and gradient norm."""

    epoch: int
    index: int
    batch: EdgeBatch
    names: tuple[str, ...]
    values: Tensor  # [T + 1]


def _train_mode(module: nn.Module) -> None:
    """Set training mode, except for modules whose parameters are all frozen."""
    module.train()
    for part in module.modules():
        params = list(part.parameters())
        if params and not any(p.requires_grad for p in params):
            part.eval()


class FiniteCheck:
    """Check that finds the first step of a pass with a non-finite loss or gradient.

    A check synchronises with the device, so several steps are checked at once. The rest
    is checked at the end of the pass, also after an error, which a bad step may have
    caused. By then the weights are lost, but the batch is not: batches are kept until
    they are checked.

    Args:
        phase: Name of the phase.
        params: Parameters that the phase trains.
        every: Number of steps per check; 1 checks before the weights change.
    """

    def __init__(
        self, phase: str, params: Sequence[nn.Parameter], every: int = CHECK_EVERY
    ) -> None:
        self.phase, self.params, self.every = phase, params, every
        self._steps: list[_UncheckedStep] = []
        self._num_ids = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            self.check()

    def add(self, step: Step, parts: Mapping[str, Tensor]) -> Tensor:
        """Record a step's losses; return the norm of all parameters' gradient.

        Raises:
            NonFiniteLossError: If a check is due and a step was bad.
        """
        losses = [part.detach() for part in parts.values()]
        norm = get_total_norm([p.grad for p in self.params if p.grad is not None])
        values = torch.stack([*losses, norm.to(losses[0].device)])
        self._steps.append(
            _UncheckedStep(step.epoch, step.index, step.batch, tuple(parts), values)
        )
        held = step.batch.dst_neg_index if step.batch.seen is None else step.batch.seen
        self._num_ids += held.numel()
        if len(self._steps) >= self.every or self._num_ids >= HELD_IDS:
            self.check()
        return norm

    def check(self) -> None:
        """Check the steps since the last check.

        Raises:
            NonFiniteLossError: If a step was bad; the error names the first one.
        """
        steps, self._steps, self._num_ids = self._steps, [], 0
        if not steps:
            return
        sums = torch.stack([step.values.sum() for step in steps])
        finite = sums.isfinite().tolist()
        if not all(finite):
            self._fail(steps[finite.index(False)])

    def _fail(self, step: _UncheckedStep) -> NoReturn:
        *losses, norm = step.values.tolist()
        named = zip(step.names, losses, strict=True)
        raise NonFiniteLossError(
            f"loss or gradient became NaN or infinite in phase '{self.phase}', epoch "
            f"{step.epoch}, step {step.index}: "
            f"{', '.join(f'{name} = {value}' for name, value in named)}, "
            f"gradient norm {norm}; lower train.lr or raise loss.tau",
            step.batch,
        )
