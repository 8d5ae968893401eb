"""A run's metrics of every user, in one compact file a seed."""

from collections.abc import Mapping
from pathlib import Path
from struct import error as StructError  # noqa: N812
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.whole_file import whole_file

FILE = "per_user.npz"

Values = NDArray[Any]
# What zipfile and numpy make of a file that is none of theirs, or a damaged one.
DAMAGE = (
    *(OSError, ValueError, TypeError, EOFError, RuntimeError),
    *(BadZipFile, ZlibError, StructError),
)


def save_per_user(values: Mapping[str, Values], folder: Path) -> None:
    """Write arrays by name: ``test/user`` are ids, ``test/recall@20`` theirs, ..."""
    arrays: dict[str, Any] = dict(values)
    with whole_file(folder / FILE) as unfinished, unfinished.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def load_per_user(folder: Path, metric: str) -> tuple[Values, Values]:
    """Read the users ``[N]`` of a metric's split and what they got ``[N]``.

    Raises:
        CheckpointError: If the file is missing or damaged, or has no such metric.
    """
    file = folder / FILE
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return arrays[f"{metric.split('/')[0]}/user"], arrays[metric]
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {FILE}") from error
    except KeyError as error:
        raise CheckpointError(f"{file} has no {metric}") from error
    except DAMAGE as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
