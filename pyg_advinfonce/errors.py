"""Exceptions and warnings of the library.

.. code-block:: text

    AdvInfoNCEError
    ├── GraphError (ValueError)         a malformed user-item graph
    ├── ConfigError (ValueError)        an invalid configuration or option
    │   └── UnknownNameError            an unknown name
    ├── DataError (ValueError)          a malformed data file
    │   ├── DatasetNotFoundError        a missing data file
    │   │   └── DownloadError           a file that cannot be downloaded
    │   └── DatasetIntegrityError       a published file with different content
    ├── CheckpointError (ValueError)    a run folder that cannot be loaded
    ├── MissingExtraError (ImportError) an optional package that is not installed
    ├── MemoryShortageError (MemoryError)       training does not fit into memory
    └── NonFiniteLossError (ArithmeticError)    a NaN or infinite loss or gradient

The command line prints the message of any of them as one line. The last two exit with
code 1. The others mean invalid input and exit with code 2.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class AdvInfoNCEError(Exception):
    """Base class of the errors of this library."""


class GraphError(AdvInfoNCEError, ValueError):
    """A user-item graph violates the contract of :mod:`pyg_advinfonce.graph`."""


class ConfigError(AdvInfoNCEError, ValueError):
    """A configuration or option is invalid."""


class UnknownNameError(ConfigError):
    """The name of a model, loss, data set or key is unknown."""


class DataError(AdvInfoNCEError, ValueError):
    """A data file is malformed; the message names file and line."""


class DatasetNotFoundError(DataError):
    """A data file is missing; the message says what to put where."""


class DownloadError(DatasetNotFoundError):
    """A download failed; the message says why and what to put where."""


class DatasetIntegrityError(DataError):
    """The content of a published file differs from the published one."""


class CheckpointError(AdvInfoNCEError, ValueError):
    """A run folder is incomplete, corrupt or of another format."""


class NonFiniteLossError(AdvInfoNCEError, ArithmeticError):
    """A loss or gradient became NaN or infinite in training.

    Attributes:
        batch: The :class:`~pyg_advinfonce.batch.EdgeBatch` of the step, or None.
    """

    def __init__(self, message: str, batch: object = None) -> None:
        super().__init__(message)
        self.batch = batch


class MemoryShortageError(AdvInfoNCEError, MemoryError):
    """Training ran out of memory; the message says what to lower."""


class MissingExtraError(AdvInfoNCEError, ImportError):
    """An optional package is not installed; the message names its extra."""


class DataWarning(UserWarning):
    """Data is usable but differs from what its name or files suggest."""


class TrainingLoopWarning(UserWarning):
    """A training loop leaves out what a loss needs; the message says what."""


EXTRAS: Mapping[str, str] = {
    "faiss": "ann",
    "matplotlib": "plot",
    "mlflow": "mlflow",
    "onnx": "onnx",
    "optuna": "tune",
    "pyarrow": "data",
    "tensorboard": "track",
    "wandb": "wandb",
}
"""Extra that installs each optional package."""


def optional_package(name: str) -> Any:  # noqa: ANN401
    """Import an optional package or one of its modules.

    Raises:
        MissingExtraError: If the package is not installed.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # installed, but a dependency of it is missing
        known = package in EXTRAS
        source = f"'pyg-advinfonce[{EXTRAS[package]}]'" if known else package
        raise MissingExtraError(
            f"{package} is not installed: pip install {source}"
        ) from error


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and what it counts: ``1 user``, ``2,000 users``.

    Args:
        number: The number.
        one: The text after 1.
        many: The text after any other number (default: ``one`` with an s).
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python, CUDA or torch's CPU allocator ran out of memory."""
    words = [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "Storage size calculation overflowed",
    ]
    return isinstance(error, MemoryError) or any(w in str(error) for w in words)


@contextmanager
def explaining_memory(message: str) -> Iterator[None]:
    """Raise a :class:`MemoryShortageError` if memory runs out.

    Args:
        message: What needs the memory, and what to lower.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryShortageError(f"out of memory {message}") from error
