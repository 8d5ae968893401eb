"""The training loop: epochs of phases, early stopping, callbacks."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings
from pyg_advinfonce.errors import ConfigError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.files import without_nan
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Phase, Step

LOOK_EVERY = 50
"""How many steps a device other than a CPU takes before they are looked at."""

HELD_IDS = 1 << 23
"""How many negatives the batches of these steps may have in all (64 MB of ids)."""


@dataclass
class Record:
    """One epoch of the history.

    Attributes:
        epoch: Counted from 0.
        losses: Mean of each term by ``phase/term``.
        metrics: The validation's metrics, where one took place.
        diagnostics: Further scalars.
        seconds: Training time, evaluation excluded.
        phases: The names of the phases that ran, in order.
    """

    epoch: int
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    phases: list[str] = field(default_factory=list)

    def flat(self) -> dict[str, float | int | None]:
        """Return one flat object for JSON; what is not finite becomes null."""
        values = {"seconds": self.seconds, **self.losses, **self.metrics}
        values |= self.diagnostics
        return {"epoch": self.epoch, **without_nan(values)}


class Callback:
    """Told of every epoch's end; may add to its record."""

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """React to a finished epoch."""


class Sampler(Iterable[tuple[HeteroData, EdgeBatch]], Sized, Protocol):
    """Yields the graph that a batch's rows refer to, and the batch."""


@dataclass
class Trainer:
    """Trains a method in epochs of phases, selects on a validation metric.

    Each phase has its own optimiser, built once; what is frozen (``requires_grad`` is
    False) when an epoch begins stays as it is. An epoch's randomness depends on the
    seed, the epoch and the phase alone. At the end the method holds the weights of the
    best validation, and ``history`` one record per epoch. A method without phases,
    which has nothing to train, has one epoch, its validation.

    Args:
        method: What is trained.
        graph: The user-item graph, on the method's device.
        sampler: Yields batches.
        evaluator: Ranks the monitored split.
        epochs: The most epochs to run.
        seed: The seed of all that is drawn.
        eval_every: Validate once in so many epochs in which the main phase ran, and
            after the last one.
        patience: Stop after so many validations without a better one.
        monitor: The metric that selects; it may only name the validation split.
        callbacks: Told of every epoch's end.

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
    monitor: str = "valid/recall@20"
    callbacks: Sequence[Callback] = ()
    history: list[Record] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not self.monitor.startswith("valid/"):
            raise ConfigError(
                "models are selected on the validation split: monitor must start "
                f"with 'valid/' (got '{self.monitor}')"
            )
        if not self.method.phases:
            self.epochs = min(self.epochs, 1)  # another would be the same
        self.stopping = EarlyStopping(self.patience)
        self.phases = [(p, self._optimizer(p)) for p in self.method.phases]
        self.last_batch: tuple[HeteroData, EdgeBatch] | None = None
        on_cpu = self.method.encoder.device.type == "cpu"
        self.look_every = 1 if on_cpu else LOOK_EVERY

    def fit(self) -> int:
        """Train on from the history's last epoch; restore and return the best one.

        Raises:
            ConfigError: If all that the main phase could train is frozen.
            NonFiniteLossError: If training leaves the real numbers.
        """
        self._check_trainable()
        for epoch in range(len(self.history), self.epochs):
            if self.stopping.should_stop:
                break
            started, record = time.perf_counter(), Record(epoch=epoch)
            for index, (phase, optimizer) in enumerate(self.phases):
                if phase.active(epoch) and self.method.params_of(phase):
                    seed_everything(self.seed, epoch, index)
                    record.losses |= self._run_phase(phase, optimizer, epoch)
                    record.phases.append(phase.name)
            self._wait()
            record.seconds = time.perf_counter() - started
            self._finish_epoch(record)
        self.stopping.restore(self.method)
        return self.stopping.best_epoch

    @property
    def seconds_per_epoch(self) -> float | None:
        """Mean training time of an epoch; the first, which warms up, is left out."""
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
                    f"phase '{phase.name}' has no parameter to train: each is frozen "
                    "or another phase's; call requires_grad_(True) on some"
                )

    def _optimizer(self, phase: Phase) -> Optimizer:
        # With the frozen ones, which get no gradient: they may be released later.
        owned = [p for p in self.method.owned_by(phase) if p.is_floating_point()]
        return phase.optimizer(owned)

    def _run_phase(
        self, phase: Phase, optimizer: Optimizer, epoch: int
    ) -> dict[str, float]:
        """Run one pass over the batches; return the terms' means."""
        params = self.method.params_of(phase)
        phase.objective.on_epoch_start(self.method.encoder, self.graph, epoch)
        constant = self._constant_embeddings(params)
        totals: dict[str, Tensor] = {}
        _train_mode(self.method)
        check = FiniteCheck(phase.name, params, self.look_every)
        with train_only(self.method, params), check:
            for index, (graph, batch) in enumerate(self.sampler):
                step = Step(self.method.encoder, graph, batch, epoch, index, constant)
                parts = phase.objective(step)
                optimizer.zero_grad(set_to_none=True)
                torch.stack(list(parts.values())).sum().backward()
                check.add(step, parts)
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
        """Encode once for a phase that trains nothing of the encoder."""
        trained = {id(p) for p in params}
        if any(id(p) in trained for p in self.method.encoder.parameters()):
            return None
        return self.method.encode(self.graph)

    def _finish_epoch(self, record: Record) -> None:
        self.history.append(record)
        done = record.epoch + 1
        trained = any(
            phase.params is None and phase.name in record.phases
            for phase, _ in self.phases
        )
        if (trained and done % self.eval_every == 0) or done == self.epochs:
            self._validate(record)
        for callback in self.callbacks:
            callback.on_epoch_end(self, record)

    def _validate(self, record: Record) -> None:
        split = self.monitor.split("/")[0]
        try:
            record.metrics = self.evaluator.metrics(
                self.method.scorer(self.graph), split
            )
        except NonFiniteLossError as error:
            raise NonFiniteLossError(f"epoch {record.epoch}: {error}") from error
        if self.monitor not in record.metrics:
            raise ConfigError(
                f"monitor '{self.monitor}' is not among {list(record.metrics)}"
            )
        self.stopping.update(record.metrics[self.monitor], record.epoch, self.method)

    def _wait(self) -> None:
        if self.method.encoder.device.type == "cuda":
            torch.cuda.synchronize(self.method.encoder.device)


class EarlyStopping:
    """Keeps the weights of the best score; says when to stop waiting for a better one.

    Args:
        patience: How many scores in a row may fail to be strictly greater.

    Attributes:
        best: The best weights, copies that are replaced and never changed.
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
        """Take note of a score and, if it is the best, of the weights."""
        if not score > self.best_score:
            self.num_bad += 1
            return
        self.best_score, self.best_epoch, self.num_bad = score, epoch, 0
        self.best = {n: t.detach().clone() for n, t in module.state_dict().items()}

    def restore(self, module: nn.Module) -> None:
        """Give a module the best weights, if there are any."""
        if self.best:
            module.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """Return all but the best weights, as JSON can say it."""
        names = ("best_score", "best_epoch", "num_bad")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: Mapping[str, Any], best: dict[str, Tensor]) -> None:
        """Go on from another one's :meth:`state` and best weights."""
        self.best_score = float(state["best_score"])
        self.best_epoch, self.num_bad = int(state["best_epoch"]), int(state["num_bad"])
        self.best = best


def seed_everything(seed: int, epoch: int, phase: int, *, stream: int = 0) -> None:
    """Seed torch's generators from a run's seed, an epoch and a phase.

    Args:
        seed: The run's seed.
        epoch: The epoch, counted from 0.
        phase: The phase's place in the epoch, counted from 0.
        stream: Tells apart what is drawn before training; 0 is training.
    """
    sequence = np.random.SeedSequence([seed, epoch, phase, stream])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


@contextmanager
def train_only(module: nn.Module, params: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let gradients reach these parameters of a module, but for frozen ones."""
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
class _Taken:
    """A step that was taken: its batch, its losses and its gradient's norm."""

    epoch: int
    index: int
    batch: EdgeBatch
    names: tuple[str, ...]
    values: Tensor  # [T + 1]


def _train_mode(module: nn.Module) -> None:
    """Set the training mode, but for parts of which every parameter is frozen."""
    module.train()
    for part in module.modules():
        params = list(part.parameters())
        if params and not any(p.requires_grad for p in params):
            part.eval()


class FiniteCheck:
    """Finds the first step of a pass whose loss or gradient is not finite.

    Who looks waits for the device. So steps are looked at several at a time, and at
    the end of the pass, also when an error ends it: a bad step may have caused it. The
    weights are lost by then, but not the batch, which is held till somebody has looked.

    Args:
        phase: The phase's name.
        params: What it trains.
        every: How many steps are looked at together; 1 looks before the weights move.
    """

    def __init__(
        self, phase: str, params: Sequence[nn.Parameter], every: int = LOOK_EVERY
    ) -> None:
        self.phase, self.params, self.every = phase, params, every
        self._taken: list[_Taken] = []
        self._num_ids = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            self.look()

    def add(self, step: Step, parts: Mapping[str, Tensor]) -> None:
        """Note a step's losses and the gradients that the parameters have.

        Raises:
            NonFiniteLossError: If it is time to look and a step was bad.
        """
        losses = [part.detach() for part in parts.values()]
        norm = get_total_norm([p.grad for p in self.params if p.grad is not None])
        values = torch.stack([*losses, norm.to(losses[0].device)])
        self._taken.append(
            _Taken(step.epoch, step.index, step.batch, tuple(parts), values)
        )
        self._num_ids += step.batch.dst_neg_index.numel()
        if len(self._taken) >= self.every or self._num_ids >= HELD_IDS:
            self.look()

    def look(self) -> None:
        """Look at the steps since the last time.

        Raises:
            NonFiniteLossError: If one of them was bad; it is about the first.
        """
        taken, self._taken, self._num_ids = self._taken, [], 0
        if not taken:
            return
        sums = torch.stack([step.values.sum() for step in taken])
        finite = sums.isfinite().tolist()
        if not all(finite):
            self._fail(taken[finite.index(False)])

    def _fail(self, step: _Taken) -> NoReturn:
        *losses, norm = step.values.tolist()
        named = zip(step.names, losses, strict=True)
        raise NonFiniteLossError(
            f"training left the real numbers in phase '{self.phase}', epoch "
            f"{step.epoch}, step {step.index}: "
            f"{', '.join(f'{name} = {value}' for name, value in named)}, "
            f"gradient norm {norm}; lower train.lr or raise loss.tau",
            step.batch,
        )
