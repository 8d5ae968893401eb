"""Writing of one seed's folder during training."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import NonFiniteLossError
from pyg_advinfonce.files import without_nan, write_text
from pyg_advinfonce.machine import peak_rss_mb, versions
from pyg_advinfonce.ranks import is_first, ranks
from pyg_advinfonce.runs.finished import save_per_user
from pyg_advinfonce.runs.folder import (
    BAD_BATCH,
    CONFIG,
    EMBEDDINGS,
    HISTORY,
    METRICS,
    PER_USER,
    STATE,
    WEIGHTS,
)
from pyg_advinfonce.runs.listing import note_start
from pyg_advinfonce.runs.resume import load_state
from pyg_advinfonce.runs.trained import Result, save_embeddings
from pyg_advinfonce.training import (
    Callback,
    HistoryFile,
    StateFile,
    Trainer,
    TrainingState,
    remove_shards,
    save_weights,
    write_tensors,
)


class SeedFolder:
    """The folder of one seed.

    Settings and history are written from the start on, and the training state is
    written between epochs. When training is finished, weights and metrics per user are
    written, and ``metrics.json`` last; it marks the seed as finished.

    Args:
        path: The folder.
        config: The seed's settings.
        fingerprint: The fingerprint of the data.
        device: The device of the training.
        data: The absolute path of the data's table or folder, if any.
        save_every: As for :class:`~pyg_advinfonce.training.StateFile`.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        fingerprint: str,
        device: str,
        *,
        data: Path | None = None,
        save_every: int | None = None,
    ) -> None:
        self.path, self.config, self.fingerprint = path, config, fingerprint
        self.device, self.data = device, data
        run = {"settings": config.flat(), "data": fingerprint, "device": device}
        self.state = StateFile(path / STATE, run, every=save_every)

    def begin(
        self, trainer: Trainer, *, resume: bool, force: bool
    ) -> Sequence[Callback]:
        """Prepare the folder; return the callbacks that write to it.

        With ``resume`` an existing state is restored into the trainer.

        Raises:
            CheckpointError: If the state is damaged or belongs to other settings or
                data.
        """
        state = self._load(force) if resume and self.state.path.is_file() else None
        if state is not None:
            state.restore(trainer)
        if (group := ranks()) is not None:  # before the file is cleared
            group.check_same("training state", len(trainer.history))
        if not is_first():
            return (self.state,)
        self.path.mkdir(parents=True, exist_ok=True)
        if state is None:
            self._clear(STATE)
            remove_shards(self.state.path)
        self._clear(METRICS, WEIGHTS, EMBEDDINGS, PER_USER, BAD_BATCH)
        self._clear(f".{STATE}.*")  # left by a killed process
        self.config.save(self.path / CONFIG)
        note_start(self.path, self.data, again=bool(trainer.history))
        history = HistoryFile(self.path / HISTORY, trainer.history)
        return history, self.state

    @contextmanager
    def keeping(self, trainer: Trainer) -> Iterator[None]:
        """Write the state of the last finished epoch, however training ends.

        An error in one of several processes leaves the state that was written last.
        """
        is_agreed = True
        try:
            yield
        except NonFiniteLossError as error:
            if best := trainer.stopping.best:
                save_weights(trainer.method, self.path / WEIGHTS, best)
            if not isinstance(error.batch, EdgeBatch):
                raise
            raise self._with_batch(error, error.batch) from error
        except KeyboardInterrupt:
            raise
        except BaseException:
            is_agreed = ranks() is None
            raise
        finally:
            if is_agreed:
                self.state.write()

    def finish(self, result: Result) -> None:
        """Write weights and metrics; ``metrics.json`` is last and marks the end."""
        save_weights(result.method, self.path / WEIGHTS)
        if not is_first():
            return
        if self.config.custom and result.method.has_embeddings:
            save_embeddings(result.method, result.graph, self.path / EMBEDDINGS)
        save_per_user(_arrays(result), self.path)
        summary = {
            "metrics": without_nan(result.metrics),
            "best_epoch": result.best_epoch,
            "epochs": result.epochs,
            "seconds_per_epoch": result.seconds_per_epoch,
            "wall_seconds": result.wall_seconds,
            "peak_rss_mb": peak_rss_mb(),
            "device": result.device,
            "versions": versions(),
            "data": self.fingerprint,
        }
        write_text(self.path / METRICS, json.dumps(summary, indent=2) + "\n")

    def _load(self, force: bool) -> TrainingState:
        file = self.state.path
        return load_state(
            file,
            self.config,
            self.fingerprint,
            self.device,
            force=force,
        )

    def _clear(self, *names: str) -> None:
        for name in names:
            for file in self.path.glob(name):
                file.unlink()

    def _with_batch(
        self, error: NonFiniteLossError, batch: EdgeBatch
    ) -> NonFiniteLossError:
        """Save an error's batch; return the error with the file's name."""
        file = self.path / BAD_BATCH
        ids = {"user_id": batch.user_id, "pos_id": batch.pos_id, "neg_id": batch.neg_id}
        ids |= {} if batch.seen is None else {"seen": batch.seen}
        if is_first():
            write_tensors(file, ids)
        return NonFiniteLossError(f"{error}; the ids of its batch are in {file}", batch)


def _arrays(result: Result) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``per_user.npz``."""
    found: dict[str, NDArray[Any]] = {}
    for split in result.per_user:
        found[f"{split.split}/user"] = split.user.cpu().numpy().astype(np.int32)
        for name, value in split.values.items():
            found[f"{split.split}/{name}"] = value.float().cpu().numpy()
    return found
