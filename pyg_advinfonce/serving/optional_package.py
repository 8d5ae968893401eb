"""Packages that only some of us need."""

import importlib
from collections.abc import Mapping
from typing import Any

from pyg_advinfonce.errors import MissingExtraError

EXTRAS: Mapping[str, str] = {"faiss": "ann", "onnx": "onnx", "pyarrow": "data"}
"""The extra that installs each package."""


def optional_package(name: str) -> Any:  # noqa: ANN401
    """Import a package of :data:`EXTRAS`, or a module of it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = EXTRAS[package]
        raise MissingExtraError(
            f"{package} is not installed: pip install 'pyg-advinfonce[{extra}]'"
        ) from error
