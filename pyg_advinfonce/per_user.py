"""A run's metrics of every user, in one compact file a seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.errors import CheckpointError

FILE = "per_user.npz"

Values = NDArray[Any]


def save_per_user(values: Mapping[str, Values], folder: Path) -> None:
    """Write arrays by name: ``test/user`` are ids, ``test/recall@20`` theirs, ..."""
    arrays: dict[str, Any] = dict(values)
    np.savez_compressed(folder / FILE, **arrays)


def load_per_user(folder: Path, metric: str) -> tuple[Values, Values]:
    """Read the users ``[N]`` of a metric's split and what they got ``[N]``.

    Raises:
        CheckpointError: If the file is missing or damaged, or has no such metric.
    """
    file = folder / FILE
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays[f"{metric.split('/')[0]}/user"], arrays[metric]
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {FILE}") from error
    except KeyError as error:
        raise CheckpointError(f"{file} has no {metric}") from error
    except (OSError, ValueError, EOFError, BadZipFile, ZlibError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
