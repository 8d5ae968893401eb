"""Training state between two epochs, in memory and on disk."""

import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field, JsonValue
from torch import Tensor, nn
from torch.optim import Optimizer

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.ranks import Ranks, agreed, dividing
from pyg_advinfonce.schema import Count, FileData, Number, Real, check_values
from pyg_advinfonce.training.checkpoint import (
    load_tensors,
    read_columns,
    read_tensors,
    write_tensors,
)
from pyg_advinfonce.training.columns import own_tables, table_names, whole_tables
from pyg_advinfonce.training.trainer import Callback, Record, Trainer

FORMAT_VERSION = 2
SECONDS_BETWEEN_WRITES = 30.0
LARGE = 2**33
"""Bytes of tables above which each of several processes writes its own columns."""


@dataclass(frozen=True)
class TrainingState:
    """State of a trainer: weights, optimisers, best weights so far and history.

    The state has no random generators: a trainer draws from the seed, the epoch and the
    phase only. Nor has it learning rates: their schedules are repeated for the epochs
    of the history. A trainer that continues from this state gives the same result as an
    uninterrupted one, bit-identical on the CPU.

    Attributes:
        tensors: Copies of all changing tensors, by name.
        about: The other values, JSON-serialisable, without the hyperparameters of the
            optimisers, which their phases define.
        tables: Names of the tensors of which it has this process's columns only.
    """

    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]
    tables: frozenset[str] = frozenset()

    @classmethod
    def of(cls, trainer: Trainer) -> "TrainingState":
        """Copy a trainer's state after an epoch."""
        moving = {f"method/{n}": t for n, t in trainer.method.state_dict().items()}
        plain: list[dict[str, Any]] = []  # optimiser state besides tensors
        for place, (_, optimizer) in enumerate(trainer.phases):
            known = dict(_memory(optimizer))
            tensors = {n: v for n, v in known.items() if isinstance(v, Tensor)}
            moving |= {f"phase/{place}/{n}": t for n, t in tensors.items()}
            plain.append({n: v for n, v in known.items() if n not in tensors})
        copies = {n: t.detach().to("cpu", copy=True) for n, t in moving.items()}
        stopping = trainer.stopping
        copies |= {f"best/{n}": t for n, t in stopping.best.items()}  # never modified
        # Records are not modified; deep copies of all would take longer than an epoch.
        history = [dict(vars(record)) for record in trainer.history]
        about = {"stopping": stopping.state(), "history": history, "optimizers": plain}
        return cls(copies, about, _tables(trainer, copies))

    def whole(self) -> "TrainingState | None":
        """Return the state with whole tables in rank 0, and None in the others."""
        tensors = whole_tables(self.tensors, self.tables)
        return None if tensors is None else replace(self, tensors=tensors)

    def restore(self, trainer: Trainer) -> None:
        """Load this state into a new trainer with the same settings.

        Raises:
            CheckpointError: If the trainer has other settings.
        """
        reason = "state of another run"
        if dividing() is not None:
            whole = _tables(trainer, self.tensors) - self.tables
            tensors = own_tables(self.tensors, whole)
            self = replace(self, tensors=tensors)
        load_tensors(trainer.method, self._part("method"), reason)
        best = self._part("best")
        own = {name: _form(t) for name, t in trainer.method.state_dict().items()}
        if best and {name: _form(t) for name, t in best.items()} != own:
            raise CheckpointError(f"{reason}: the best weights are of another model")
        try:
            known = zip(trainer.phases, self.about["optimizers"], strict=True)
            for place, ((_, optimizer), plain) in enumerate(known):
                memory = {**self._part(f"phase/{place}"), **plain}
                _remember(optimizer, memory)
            trainer.stopping.load_state(self.about["stopping"], best)
            trainer.history = [Record(**record) for record in self.about["history"]]
            _replay_schedules(trainer)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise CheckpointError(f"{reason}: {said}") from error

    def _part(self, name: str) -> dict[str, Tensor]:
        prefix = f"{name}/"
        return {
            n.removeprefix(prefix): t
            for n, t in self.tensors.items()
            if n.startswith(prefix)
        }


def _tables(trainer: Trainer, tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the names of tables, and of the optimisers' values for them."""
    known = table_names(trainer.method)
    return frozenset(
        name
        for name, tensor in tensors.items()
        if tensor.dim() == 2
        and (name.startswith("phase/") or name.partition("/")[2] in known)
    )


def _replay_schedules(trainer: Trainer) -> None:
    """Advance the learning rates as in the epochs of the history."""
    with warnings.catch_warnings():  # torch expects steps of the optimiser in between
        warnings.filterwarnings("ignore", "Detected call of .lr_scheduler.step")
        for record in trainer.history:
            trainer.advance_schedules(record)


def _memory(optimizer: Optimizer) -> Iterator[tuple[str, Any]]:
    """Yield an optimiser's state values, named ``parameter index/key``."""
    for place, known in optimizer.state_dict()["state"].items():
        for name, value in known.items():
            yield f"{place}/{name}", value


def _remember(optimizer: Optimizer, memory: Mapping[str, Any]) -> None:
    """Load an optimiser's state values.

    Raises:
        ValueError: If the optimiser does not have such values.
    """
    state: dict[int, dict[str, Any]] = {}
    for name, value in memory.items():
        place, _, key = name.partition("/")
        state.setdefault(int(place), {})[key] = value
    expected = _forms_after_a_step(optimizer) if state else {}
    for index, found in state.items():
        if expected is not None and _forms(found) != expected.get(index):
            raise ValueError(f"the optimiser's state {index} is of another one")
        counts = [v for v in found.values() if isinstance(v, Tensor) and not v.dim()]
        if not all(0 <= float(count) < torch.inf for count in counts):
            raise ValueError("an optimiser has a wrong number of steps")
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def _forms_after_a_step(optimizer: Optimizer) -> dict[int, dict[str, object]] | None:
    """Return the form of all values that an optimiser keeps, without computing any.

    None if the optimiser looks at its values, as Adafactor does.
    """
    owned = [p for group in optimizer.param_groups for p in group["params"]]
    twins = [nn.Parameter(torch.empty_like(p, device="meta")) for p in owned]
    twin = deepcopy(optimizer, {id(p): t for p, t in zip(owned, twins, strict=True)})
    for group in twin.param_groups:
        group |= {"fused": False, "capturable": False}  # for real devices only
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    for values in twin.state.values():  # some optimisers begin with a state
        values |= {n: v.to("meta") for n, v in values.items() if _dimensions(v)}
    try:
        twin.step()
    except RuntimeError:
        return None
    kept = twin.state_dict()["state"]
    return {i: _forms(values) for i, values in kept.items()}


def _forms(values: Mapping[str, object]) -> dict[str, object]:
    """Return the form of values; the type of a number depends on the kernel."""
    return {n: _form(v) if _dimensions(v) else None for n, v in values.items()}


def _dimensions(value: object) -> int:
    return value.dim() if isinstance(value, Tensor) else 0


def _form(value: object) -> object:
    """Return shape and type of a tensor; other values may change theirs, hence None."""
    return (value.shape, value.dtype) if isinstance(value, Tensor) else None


class StateFile(Callback):
    """Keeps the state of the last finished epoch and writes it periodically.

    It must come after all callbacks that add to an epoch's record. A failed write is a
    warning, and the file keeps its previous state. If several processes divide large
    tables, each writes its columns to a folder beside the file, which names it.

    Args:
        path: The file.
        run: Identity of the run, JSON-serialisable: settings, data, device.
        every: Number of epochs between writes (default: write after an epoch if the
            last write is at least 30 seconds ago).
    """

    def __init__(
        self, path: Path, run: Mapping[str, Any], *, every: int | None = None
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"every must be at least one epoch (got {every})")
        self.path, self.run, self.every = path, dict(run), every
        self.state: TrainingState | None = None
        self._written = time.monotonic()

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        self.state = TrainingState.of(trainer)
        is_due = torch.tensor(self._is_due(record.epoch + 1), device="cpu")
        if agreed(is_due):
            self.write()

    def write(self) -> None:
        """Write the last finished epoch's state, if any."""
        if self.state is None:
            return
        self._written = time.monotonic()
        try:
            if (ranks := dividing()) is not None and _is_large(self.state, ranks):
                self._write_shards(self.state, ranks)
            elif (state := self.state.whole()) is not None:
                write_tensors(self.path, state.tensors, self._about(state))
                remove_shards(self.path)
        except OSError as error:
            warnings.warn(
                f"cannot save the training state, a previous one may remain: {error}",
                stacklevel=2,
            )

    def _about(self, state: TrainingState) -> dict[str, Any]:
        return {"format": FORMAT_VERSION, "run": self.run, **state.about}

    def _write_shards(self, state: TrainingState, ranks: Ranks) -> None:
        """Write the tables of all processes, then the file that names their folder."""
        folder = self.path.with_name(f"state-{len(state.about['history'])}")
        shards, failure = {"folder": folder.name, "size": ranks.size}, None
        tables = {name: state.tensors[name] for name in state.tables}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_tensors(shard_file(folder, ranks.rank), tables)
        except OSError as error:
            failure = error
        (lost,) = ranks.sum(torch.tensor(float(failure is not None), device="cpu"))
        if failure is not None:
            raise failure
        if lost > 0:
            raise OSError("another process could not write its columns")
        if ranks.rank == 0:
            rest = {n: t for n, t in state.tensors.items() if n not in state.tables}
            write_tensors(self.path, rest, {**self._about(state), "shards": shards})
            remove_shards(self.path, but=folder.name)

    def _is_due(self, done: int) -> bool:
        if self.every is not None:
            return done % self.every == 0
        return time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES


def _is_large(state: TrainingState, ranks: Ranks) -> bool:
    own = sum(state.tensors[name].nbytes for name in state.tables)
    return bool(agreed(torch.tensor(own * ranks.size > LARGE, device="cpu")))


def shard_file(folder: Path, rank: int) -> Path:
    """Return the file of a process's columns."""
    return folder / f"{rank}.safetensors"


def remove_shards(path: Path, *, but: str = "") -> None:
    """Remove folders of columns beside the file of a state."""
    for folder in path.parent.glob("state-*"):
        if folder.is_dir() and folder.name != but:
            shutil.rmtree(folder)


class RunIdentity(FileData):
    """What a training state belongs to.

    Attributes:
        settings: :meth:`~pyg_advinfonce.config.Config.flat` of the training.
        data: The fingerprint of the data.
        device: The device of the training.
    """

    settings: dict[str, JsonValue]
    data: str
    device: str


class _Stopping(FileData):
    """:meth:`~pyg_advinfonce.training.EarlyStopping.state`."""

    best_score: Real
    best_epoch: int = Field(ge=-1)
    num_bad: Count


class _Record(FileData):
    """A :class:`~pyg_advinfonce.training.Record`."""

    model_config = ConfigDict(extra="forbid")

    epoch: Count
    losses: dict[str, Real]
    metrics: dict[str, Real]
    diagnostics: dict[str, Real]
    seconds: Number
    phases: list[str]


class _Shards(FileData):
    """The folder of the tables, with a file per process that wrote them."""

    folder: str = Field(pattern=r"^state-\d+$")
    size: int = Field(ge=1)


class _StateData(FileData):
    """The metadata of a training state's file."""

    run: RunIdentity
    shards: _Shards | None = None
    stopping: _Stopping
    history: list[_Record] = Field(min_length=1)
    optimizers: list[dict[str, JsonValue]]


def read_state(path: Path) -> tuple[TrainingState, RunIdentity]:
    """Read a training state and the identity of its run.

    Raises:
        CheckpointError: If the file is missing, damaged or in another format.
    """
    tensors, about = read_tensors(path)
    version = about.get("format")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: expected a training state of format {FORMAT_VERSION} "
            f"(got {version}): resume with the version of pyg_advinfonce that wrote it"
        )
    found = check_values(str(path), about, _StateData)
    epochs = [record.epoch for record in found.history]
    if epochs != list(range(len(epochs))) or found.stopping.best_epoch >= len(epochs):
        raise CheckpointError(f"{path} is damaged: its epochs do not count from 0")
    if found.shards is None:
        return TrainingState(tensors, about), found.run
    folder = path.with_name(found.shards.folder)
    files = [shard_file(folder, rank) for rank in range(found.shards.size)]
    tables = read_columns(files)
    return TrainingState({**tensors, **tables}, about, frozenset(tables)), found.run
