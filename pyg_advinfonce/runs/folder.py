"""A run's folder: its files, and how it is made, continued and locked.

.. code-block:: text

    runs/coat-lightgcn-adv/
    ├── summary.json                all seeds, written when they are finished
    └── seed-0/
        ├── config.toml             the settings, written first
        ├── run.json                date, command and version of every start
        ├── history.jsonl           one record per epoch
        ├── state.safetensors       the training state after an epoch
        ├── state-12/               large tables of it, a file per process
        ├── weights.safetensors     of the best epoch
        ├── embeddings.safetensors  its embeddings, for a custom model or loss
        ├── per_user.npz            the metrics of every user
        └── metrics.json            written last: the seed is finished
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.files import locked, not_found, writing
from pyg_advinfonce.launch import launch_id, num_restarts

SUMMARY = "summary.json"
CONFIG, METRICS, HISTORY = "config.toml", "metrics.json", "history.jsonl"
STARTS = "run.json"
STATE, WEIGHTS = "state.safetensors", "weights.safetensors"
EMBEDDINGS = "embeddings.safetensors"
PER_USER = "per_user.npz"
BAD_BATCH = "non-finite-batch.safetensors"
LOCK = ".lock"
STUDY, TRIALS, BEST = "study.sqlite3", "trials.csv", "best.toml"
"""Files of ``tune``, beside ``SUMMARY``."""
RUNS = "runs"
"""The folder of the runs of ``reproduce``."""
MARK = ".advnce"
SHOWN = 3
"""Runs that an error suggests."""
MAX_NAME = 100
OTHERS = (RUNS, STUDY)
"""Content that marks a folder as one of ``reproduce`` or ``tune``."""


def create_run_folder(out: Path | None, name: str, *, overwrite: bool = False) -> Path:
    """Make a new folder for a run.

    Args:
        out: The requested folder; None for ``runs/<name>``, numbered if that exists.
        name: The run's name; characters that folder names cannot hold become a dash.
        overwrite: Replace an earlier run instead of numbering or refusing.

    A process that ``torchrun`` has started again gets the folder of its first start.

    Raises:
        ConfigError: If ``out`` exists and may not be replaced, or cannot be written.
    """
    with writing(out or Path("runs"), "choose another --out"):
        if num_restarts() and (found := _of_launch(out, name)) is not None:
            return found
        if out is None and not overwrite:
            return _numbered(name)
        return _named(out or Path("runs") / folder_name(name), overwrite)


def continue_run_folder(out: Path | None, name: str, *, mark: str) -> Path:
    """Return an existing folder to continue, or make a new one.

    Args:
        out: The requested folder; None for ``runs/<name>``.
        name: As for :func:`create_run_folder`.
        mark: The file that identifies a folder of this kind.

    Raises:
        ConfigError: If the folder holds something else, or cannot be written.
    """
    folder = out or Path("runs") / folder_name(name)
    with writing(folder, "choose another --out"):
        if _make(folder) is None and not _may_continue(folder, mark):
            raise ConfigError(f"{folder} holds no {mark}: choose another --out")
    return folder


def _may_continue(folder: Path, mark: str) -> bool:
    names = {file.name for file in folder.iterdir()}
    return mark in names or names <= {MARK}


def _numbered(name: str) -> Path:
    stem = folder_name(name)
    names = (stem if i == 1 else f"{stem}-{i}" for i in count(1))
    return next(f for n in names if (f := _make(Path("runs") / n)) is not None)


def _named(out: Path, overwrite: bool) -> Path:
    if out.exists():
        _clear(out, overwrite)
    made = _make(out)
    if made is None:
        raise ConfigError(f"{out} exists already: choose another --out")
    return made


def _make(folder: Path) -> Path | None:
    """Make a new folder; None if it exists."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return None
    (folder / MARK).write_text(_mark(), encoding="utf-8")
    return folder


def _mark() -> str:
    return f"a run of advnce\n{launch_id()}\n"


def _of_launch(out: Path | None, name: str) -> Path | None:
    """Return the folder that an earlier start of this launch has made, if any."""
    stem = folder_name(name)
    folders = [*Path("runs").glob(f"{stem}*")] if out is None else [out]
    marks = (folder / MARK for folder in folders)
    is_own = (m for m in marks if m.is_file() and m.read_text("utf-8") == _mark())
    return next((mark.parent for mark in is_own), None)


def _clear(folder: Path, overwrite: bool) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        return
    if not overwrite and _is_unfinished(folder):
        raise ConfigError(
            f"{folder} holds an unfinished run: resume it by advnce train "
            f"--resume {shlex.quote(str(folder))}, or choose another --out"
        )
    if not overwrite:
        raise ConfigError(f"{folder} exists: choose another --out, or add --overwrite")
    if not (folder / MARK).is_file():
        raise ConfigError(f"{folder} is not a run of advnce: it is not overwritten")
    other = next((name for name in OTHERS if (folder / name).exists()), None)
    if other is not None:
        raise ConfigError(f"{folder} holds {other}, not one run: it is not overwritten")
    with run_lock(folder):
        pass
    shutil.rmtree(folder)


def _is_unfinished(folder: Path) -> bool:
    has_seeds = any(folder.glob(f"seed-*/{CONFIG}"))
    return has_seeds and not (folder / SUMMARY).is_file()


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Prevent other processes from training or replacing a run.

    Args:
        folder: The run's folder, which exists.

    Raises:
        ConfigError: If another process has locked it, or it cannot be written.
    """

    def busy() -> None:
        raise ConfigError(
            f"another process is training {folder}: wait until it ends, or delete "
            f"{folder / LOCK} if no such process exists"
        )

    with locked(folder / LOCK, busy):
        yield


def folder_name(name: str) -> str:
    """Return a name without characters that folder names cannot hold."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    return stem.encode()[:MAX_NAME].decode(errors="ignore")


def seed_path(run: Path, seed: int) -> Path:
    """Return the folder of one seed of a run."""
    return run / f"seed-{seed}"


def is_seed_name(name: str) -> bool:
    """Return whether a name is one that :func:`seed_path` gives to a folder."""
    return re.fullmatch(r"seed-\d+", name) is not None


def seed_folders(run: Path | str) -> list[Path]:
    """Return the folders of a run's seeds, or the folder itself if it is a seed's."""
    run = Path(run)
    if (run / CONFIG).is_file():
        return [run]
    return sorted(run.glob("seed-*"), key=lambda seed: (len(seed.name), seed)) or [run]


def trained_seed(folder: Path | str) -> Path:
    """Return the folder of a run's only seed, after a check that it has weights.

    Raises:
        CheckpointError: If the folder holds no trained run, or several seeds.
    """
    folder = Path(folder)
    seeds = seed_folders(folder)
    if len(seeds) > 1:
        names = ", ".join(map(str, seeds))
        raise CheckpointError(f"{folder} holds several seeds: choose one of {names}")
    for name in (CONFIG, WEIGHTS):
        if not (seeds[0] / name).is_file():
            raise no_run(seeds[0], name)
    return seeds[0]


def no_run(folder: Path, lacking: str) -> CheckpointError:
    """Return the error about a folder that is not one finished run.

    Args:
        folder: The folder, which need not exist.
        lacking: The file that it lacks.
    """
    if not folder.is_dir():
        return CheckpointError(not_found(folder, "folder"))
    if (folder / CONFIG).is_file() or any(folder.glob("seed-*")):
        return CheckpointError(f"{folder} holds no finished run: it has no {lacking}")
    files = folder.rglob(f"seed-*/{CONFIG}")
    found = sorted({file.parent.parent for file in files})
    names = ", ".join([*map(str, found[:SHOWN]), *["..."] * (len(found) > SHOWN)])
    if len(found) > 1:
        return CheckpointError(f"{folder} holds several runs: name one: {names}")
    hint = f"; choose {names}" if found else ""
    return CheckpointError(f"{folder} is not a run: it has no {lacking}{hint}")
