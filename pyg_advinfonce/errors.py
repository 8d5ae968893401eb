"""The exceptions of this library.

.. code-block:: text

    AdvInfoNCEError
    ├── GraphError (ValueError)         a malformed user-item graph
    ├── ConfigError (ValueError)        a run that cannot be what was asked for
    │   └── UnknownNameError            a name that no table knows
    ├── DataError (ValueError)          a file whose content is wrong
    │   ├── DatasetNotFoundError        a file that is not there
    │   │   └── DownloadError           and that cannot be downloaded
    │   └── DatasetIntegrityError       a known file with another content
    ├── CheckpointError (ValueError)    a run folder that cannot be loaded
    ├── MissingExtraError (ImportError) an optional package that is not installed
    ├── MemoryShortageError (MemoryError)       training does not fit into memory
    └── NonFiniteLossError (ArithmeticError)    training left the real numbers

The command line prints the message of any of them as one line. All but the last two
(exit code 1) are bad input (exit code 2).
"""

import importlib
from collections.abc import Mapping
from typing import Any


class AdvInfoNCEError(Exception):
    """Any error that this library raises on purpose."""


class GraphError(AdvInfoNCEError, ValueError):
    """A user-item graph breaks the contract of :mod:`pyg_advinfonce.graph`."""


class ConfigError(AdvInfoNCEError, ValueError):
    """A run's configuration is invalid."""


class UnknownNameError(ConfigError):
    """A model, loss, data set or key is not one of the known names."""


class DataError(AdvInfoNCEError, ValueError):
    """A data file cannot be understood; the message names file and line."""


class DatasetNotFoundError(DataError):
    """A data set's file is missing; the message says what to put where."""


class DownloadError(DatasetNotFoundError):
    """A file cannot be downloaded; the message says why and what to put where."""


class DatasetIntegrityError(DataError):
    """A published file has another content than the one that was published."""


class CheckpointError(AdvInfoNCEError, ValueError):
    """A run folder is incomplete, corrupt or from another format."""


class NonFiniteLossError(AdvInfoNCEError, ArithmeticError):
    """A loss or a gradient became infinite or NaN during training.

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
    """Data is usable, but is not what its name or its files promise."""


EXTRAS: Mapping[str, str] = {
    "faiss": "ann",
    "matplotlib": "plot",
    "onnx": "onnx",
    "optuna": "tune",
    "pyarrow": "data",
    "tensorboard": "track",
}
"""The extra that installs each package."""


def optional_package(name: str) -> Any:  # noqa: ANN401
    """Import a package that this library can do without, or a module of it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # it is installed, but something that it needs is not
        known = package in EXTRAS
        source = f"'pyg-advinfonce[{EXTRAS[package]}]'" if known else package
        raise MissingExtraError(
            f"{package} is not installed: pip install {source}"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell what Python, CUDA and torch's allocator for the CPU raise from the rest."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(w in str(error) for w in words)
