"""Trackers: export of epoch records to external services."""

import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from pyg_advinfonce.errors import optional_package
from pyg_advinfonce.files import write_text
from pyg_advinfonce.training.trainer import Callback, Record, Trainer

PROJECT = "pyg_advinfonce"


class Tracker(Callback):
    """Base class of trackers, which export every epoch's record and the final metrics.

    A subclass implements :meth:`write`, and the other methods as needed. If one of them
    raises an error, the tracker warns once and is disabled, and training continues. The
    run's ``history.jsonl`` is complete in any case.

    Args:
        folder: Folder of the seed.
        settings: Settings of the training, by ``section.key``.

    Attributes:
        requires: Name of the required package, if any.

    Raises:
        MissingExtraError: If that package is not installed.
    """

    requires: str = ""
    has_begun: bool = False
    has_failed: bool = False

    def __init__(
        self, folder: Path | str, settings: Mapping[str, Any] | None = None
    ) -> None:
        if self.requires:
            optional_package(self.requires)
        self.folder, self.settings = Path(folder), dict(settings or {})
        self.name = "/".join(self.folder.parts[-2:])  # run and seed

    def begin(self, *, resumed: bool) -> None:
        """Open what the other methods need; called before the first record."""

    def write(self, record: Record) -> None:
        """Write one epoch's record."""
        raise NotImplementedError(f"{type(self).__name__} has no write")

    def write_result(self, metrics: Mapping[str, float]) -> None:
        """Write the metrics of the best epoch."""

    def release(self) -> None:
        """Release open resources; called only after :meth:`begin`."""

    def run_id(self, new: Callable[[], str], *, resumed: bool) -> str:
        """Return the service's id of the training; ``new`` makes that of a new one."""
        file = self.folder / f"{self.requires}.id"
        if not (resumed and file.is_file()):
            write_text(file, new())
        return file.read_text(encoding="utf-8")

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        self._attempt(lambda: self._begin_and_write(record), f"in epoch {record.epoch}")

    def on_result(self, metrics: Mapping[str, float | None]) -> None:
        """Write the finite ones among the metrics of the best epoch."""
        if self.has_begun:
            known = {name: v for name, v in metrics.items() if v is not None}
            self._attempt(lambda: self.write_result(known), "at the end")

    def close(self) -> None:
        """Release open resources; an error becomes a warning."""
        if self.has_begun:
            self._attempt(self.release, "at the end", again=True)

    def _begin_and_write(self, record: Record) -> None:
        if not self.has_begun:
            self.begin(resumed=record.epoch > 0)
            self.has_begun = True
        self.write(record)

    def _attempt(
        self, action: Callable[[], None], when: str, *, again: bool = False
    ) -> None:
        if self.has_failed and not again:
            return
        try:
            action()
        except Exception as error:  # a service may raise anything
            if not self.has_failed:
                warnings.warn(
                    f"{type(self).__name__} failed {when} and is disabled for this "
                    f"run: {type(error).__name__}: {error}",
                    stacklevel=3,
                )
            self.has_failed = True


def numbers(record: Record) -> dict[str, float]:
    """Return the finite numbers of a record, without the epoch."""
    values = record.flat().items()
    return {name: v for name, v in values if name != "epoch" and v is not None}


class TensorBoard(Tracker):
    """Writes every number of the history to a TensorBoard event file in the folder."""

    requires = "tensorboard"

    def begin(self, *, resumed: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.folder))

    def write(self, record: Record) -> None:
        for name, value in numbers(record).items():
            self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()

    def release(self) -> None:
        self.writer.close()


class WandB(Tracker):
    """Logs settings, history and final metrics to Weights & Biases.

    The variables of W&B apply, e.g. ``WANDB_MODE`` and ``WANDB_PROJECT`` (default:
    ``pyg_advinfonce``).
    """

    requires = "wandb"

    def begin(self, *, resumed: bool) -> None:
        wandb = optional_package("wandb")
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=self.name,
            config=self.settings,
            dir=self.folder,
            id=self.run_id(lambda: token_hex(4), resumed=resumed),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(console="off"),
        )

    def write(self, record: Record) -> None:
        self.run.log(numbers(record), step=record.epoch)

    def write_result(self, metrics: Mapping[str, float]) -> None:
        self.run.summary.update(metrics)

    def release(self) -> None:
        self.run.finish()


class MLflow(Tracker):
    """Logs settings, history and final metrics to MLflow.

    The variables of MLflow apply, e.g. ``MLFLOW_TRACKING_URI`` and
    ``MLFLOW_EXPERIMENT_NAME`` (default: ``pyg_advinfonce``). MLflow accepts no ``@`` in
    a name: ``recall@20`` becomes ``recall_at_20``. The final metrics are named
    ``best/test/recall_at_20``.
    """

    requires = "mlflow"

    def begin(self, *, resumed: bool) -> None:
        self.client = optional_package("mlflow").MlflowClient()
        self.id = self.run_id(self._create, resumed=resumed)
        self.client.update_run(self.id, status="RUNNING")

    def _create(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self.client.get_experiment_by_name(name)
        place = self.client.create_experiment(name) if known is None else None
        run = self.client.create_run(place or known.experiment_id, run_name=self.name)
        for key, value in self.settings.items():
            self.client.log_param(run.info.run_id, key, value)
        return str(run.info.run_id)

    def write(self, record: Record) -> None:
        self._log(numbers(record), record.epoch)

    def write_result(self, metrics: Mapping[str, float]) -> None:
        self._log({f"best/{name}": value for name, value in metrics.items()}, 0)

    def _log(self, values: Mapping[str, float], step: int) -> None:
        entities, now = optional_package("mlflow.entities"), time.time_ns() // 1_000_000
        named = {name.replace("@", "_at_"): value for name, value in values.items()}
        found = [entities.Metric(n, value, now, step) for n, value in named.items()]
        self.client.log_batch(self.id, found)

    def release(self) -> None:
        self.client.set_terminated(self.id)
