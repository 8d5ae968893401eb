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
from torch.nn.utils import clip_grads_with_norm_
from torch.optim import Optimizer
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings, FittedEncoder
from pyg_advinfonce.errors import ConfigError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.files import without_nan
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Phase, Step
from pyg_advinfonce.ops import default_backends
from pyg_advinfonce.ranks import agreed, dividing
from pyg_advinfonce.registry import MONITOR
from pyg_advinfonce.training.columns import AgreedStop
from pyg_advinfonce.training.cuda_graph import StepGraph, prepare_capture

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

    def on_step(self, trainer: "Trainer", share: float) -> None:
        """Run after a training step, with the share of the epoch's steps done."""

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
        backends: Backends of operations in a step, as the arguments of
            :func:`~pyg_advinfonce.ops.default_backends`.
        cuda_graph: Replay the steps of a pass as a CUDA graph, captured anew in each
            epoch and phase, after three steps without it. The numbers are the same.

    Raises:
        ConfigError: If the monitored metric is not of the validation split, or a step
            cannot be a CUDA graph.
    """

    method: Method
    graph: HeteroData
    sampler: Sampler
    evaluator: Evaluator
    epochs: int = 2000
    seed: int = 0
    eval_every: int = 5
    patience: int = 20
    monitor: str | None = MONITOR
    callbacks: Sequence[Callback] = ()
    backends: Mapping[str, str] = field(default_factory=dict)
    cuda_graph: bool = False
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
        self._num_phases = 1
        device = self.method.encoder.device
        self.check_every = 1 if device.type == "cpu" else CHECK_EVERY
        if self.cuda_graph:
            objective, optimizers = self.method.objective, [o for _, o in self.phases]
            prepare_capture(device, self.sampler, objective, optimizers)

    def fit(self) -> int:
        """Train from the end of the history; restore and return the best epoch.

        Raises:
            ConfigError: If every parameter of the main phase is frozen.
            NonFiniteLossError: If a loss, gradient or score is NaN or infinite.
        """
        self._check_trainable()
        with AgreedStop() as stop:
            self._fit(stop)
        if self.monitor is None:
            return len(self.history) - 1
        self.stopping.restore(self.method)
        return self.stopping.best_epoch

    def _fit(self, stop: AgreedStop) -> None:
        while len(self.history) < self.epochs and not self.stopping.should_stop:
            epoch = len(self.history)
            started, record = time.perf_counter(), Record(epoch=epoch)
            self._num_phases = sum(phase.active(epoch) for phase, _ in self.phases)
            for index, (phase, optimizer) in enumerate(self.phases):
                if phase.active(epoch) and self.method.params_of(phase):
                    seed_everything(self.seed, epoch, index)
                    done = len(record.phases)
                    record.losses |= self._run_phase(
                        phase, optimizer, epoch, stop, done
                    )
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
        self,
        phase: Phase,
        optimizer: Optimizer,
        epoch: int,
        stop: AgreedStop,
        done: int,
    ) -> dict[str, float]:
        """Run one pass over the batches; return the mean of each term.

        ``done`` phases of the epoch ran before it.
        """
        params = self.method.params_of(phase)
        phase.objective.on_epoch_start(self.method.encoder, self.graph, epoch)
        constant = self._constant_embeddings(params)
        _train_mode(self.method)
        check = FiniteCheck(phase.name, params, self.check_every, stop)
        steps = _Steps(self.method, phase, optimizer, check, epoch, constant)
        take: Any = steps.captured if self.cuda_graph else steps.eager
        chosen = default_backends(**self.backends)
        with train_only(self.method, params), check, chosen:
            values: Any = self._told(take(self.sampler, self.graph), done)
            total: Tensor = sum(values)  # [T + 2]
        optimizer.zero_grad(set_to_none=True)
        self.last_batch = steps.last
        return {
            f"{phase.name}/{name}": value / len(self.sampler)
            for name, value in zip(steps.names, total.tolist()[:-2], strict=True)
        }

    def _told(self, values: Iterable[Tensor], done: int) -> Iterator[Tensor]:
        """Yield the values of steps, and tell the callbacks of each."""
        for index, found in enumerate(values):
            share = (done + (index + 1) / len(self.sampler)) / self._num_phases
            for callback in self.callbacks:
                callback.on_step(self, share)
            yield found

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
            found = self.evaluator.metrics(self.method.scorer(self.graph), split)
        except NonFiniteLossError as error:
            raise NonFiniteLossError(f"epoch {record.epoch}: {error}") from error
        record.metrics = _agreed(found)
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


class _DrawnSampler(Protocol):
    """What :class:`~pyg_advinfonce.loader.EdgeSampler` has besides its batches."""

    def samples(self) -> Sequence[Tensor]: ...
    def draw(self, sample: Tensor) -> EdgeBatch: ...


@dataclass
class _Steps:
    """The steps of one pass over the batches: forward, backward, check, update.

    Attributes:
        names: Names of the terms.
        last: The last step's graph and batch.
    """

    method: Method
    phase: Phase
    optimizer: Optimizer
    check: "FiniteCheck"
    epoch: int
    constant: Embeddings | None
    names: tuple[str, ...] = field(default=(), init=False)
    last: tuple[HeteroData, EdgeBatch] | None = field(default=None, init=False)

    def eager(self, sampler: Sampler, _: HeteroData) -> Iterator[Tensor]:
        """Yield each step's values of the check, ``[T + 2]``."""
        for index, (graph, batch) in enumerate(sampler):
            if index == 0:
                _check_same_batch(batch)
            step = self._step(graph, batch, index)
            values = self._differentiate(step)
            self.check.add(step, self.names, values)
            self._update(values)
            yield values

    def captured(self, sampler: _DrawnSampler, graph: HeteroData) -> Iterator[Tensor]:
        """Yield the same of a CUDA graph, with the draw of the batch in it."""

        def take(sample: Tensor) -> tuple[Tensor, ...]:
            batch = sampler.draw(sample)
            values = self._differentiate(self._step(graph, batch, 0))
            self._update(values)
            return values, batch.src_index, batch.dst_pos_index, batch.dst_neg_index

        take_or_replay = StepGraph(take)
        for index, sample in enumerate(sampler.samples()):
            values, src, pos, neg = take_or_replay(sample)
            step = self._step(graph, EdgeBatch(src, pos, neg), index)
            self.check.add(step, self.names, values)
            yield values

    def _update(self, values: Tensor) -> None:
        """Clip the gradients by their norm, one of the values, and change weights."""
        if self.phase.clip_norm is not None:
            norm = values[-2]
            clip_grads_with_norm_(self.check.params, self.phase.clip_norm, norm)
        self.optimizer.step()

    def _step(self, graph: HeteroData, batch: EdgeBatch, index: int) -> Step:
        encoder, constant = self.method.encoder, self.constant
        step = Step(encoder, graph, batch, self.epoch, index, constant)
        self.last = graph, batch
        return step

    def _differentiate(self, step: Step) -> Tensor:
        """Set the gradients; return the values of the step."""
        parts = self.phase.objective(step)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        self.names = tuple(parts)
        return self.check.values(parts)


@dataclass(frozen=True)
class _UncheckedStep:
    """A past step: its batch, losses, gradient norm and processes that are to end."""

    epoch: int
    index: int
    batch: EdgeBatch
    names: tuple[str, ...]
    values: Tensor  # [T + 2]


def _check_same_batch(batch: EdgeBatch) -> None:
    """Check that all processes have drawn the same batch, e.g. on the same GPUs."""
    ranks = dividing()
    if ranks is not None:
        ids = batch.user_id, batch.pos_id, batch.neg_id
        ranks.check_same("batches", *(x.flatten().tolist() for x in ids))


def _agreed(metrics: dict[str, float]) -> dict[str, float]:
    """Return rank 0's metrics, on which all processes base their decisions."""
    values = torch.tensor([*metrics.values()], dtype=torch.float64, device="cpu")
    return dict(zip(metrics, agreed(values).tolist(), strict=True))


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
        stop: Signals that end training after a checked step.
    """

    def __init__(
        self,
        phase: str,
        params: Sequence[nn.Parameter],
        every: int = CHECK_EVERY,
        stop: AgreedStop | None = None,
    ) -> None:
        self.phase, self.params, self.every = phase, params, every
        self._stop = stop or AgreedStop()
        self._steps: list[_UncheckedStep] = []
        self._num_ids = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            self.check()

    def values(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return losses, the norm of the gradients and the signals, ``[T + 2]``."""
        losses = [part.detach() for part in parts.values()]
        ends = (x.to(losses[0].device) for x in self._stop.norm(self.params))
        return torch.stack([*losses, *ends])

    def add(self, step: Step, names: Sequence[str], values: Tensor) -> None:
        """Record a step's :meth:`values`, the losses by their names.

        Raises:
            NonFiniteLossError: If a check is due and a step was bad.
        """
        self._steps.append(
            _UncheckedStep(step.epoch, step.index, step.batch, tuple(names), values)
        )
        held = step.batch.dst_neg_index if step.batch.seen is None else step.batch.seen
        self._num_ids += held.numel()
        if len(self._steps) >= self.every or self._num_ids >= HELD_IDS:
            self.check()

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
        if self._stop.ranks and any(step.values[-1] > 0 for step in steps):
            self._stop.end()

    def _fail(self, step: _UncheckedStep) -> NoReturn:
        *losses, norm, _ = step.values.tolist()
        named = zip(step.names, losses, strict=True)
        raise NonFiniteLossError(
            f"loss or gradient became NaN or infinite in phase '{self.phase}', epoch "
            f"{step.epoch}, step {step.index}: "
            f"{', '.join(f'{name} = {value}' for name, value in named)}, "
            f"gradient norm {norm}; lower train.lr or raise loss.tau",
            step.batch,
        )
