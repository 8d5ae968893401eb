"""The command that a person may want to type next."""

import shlex
from pathlib import Path

from pyg_advinfonce.registry import DATASETS


def next_step(*words: object, data: str, data_root: Path) -> str:
    """Return a command that finds the data where this one has found it.

    Args:
        words: What follows ``advnce``.
        data: The data set; a simulated one needs no folder.
        data_root: The folder of the data sets.
    """
    root = [] if _is_found(data, data_root) else ["--data-root", data_root]
    return shlex.join(["advnce", *map(str, [*words, *root])])


def _is_found(data: str, root: Path) -> bool:
    """Return whether the data is found without ``--data-root``."""
    is_named = data in DATASETS or (root / data).is_dir()
    return root == Path("data") or not is_named
