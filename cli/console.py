"""Terminal output: aligned tables and the next command."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyg_advinfonce.progress import terminal_columns, wrapped
from pyg_advinfonce.registry import DATASETS
from pyg_advinfonce.registry import data_root as default_root


def split_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return mean and deviation of each metric, one row per split, valid last."""
    from pyg_advinfonce.runs import mean_and_std_text  # loads torch

    splits = list(dict.fromkeys(name.split("/")[0] for name in metrics))
    columns = list(dict.fromkeys(name.split("/")[1] for name in metrics))
    rows = [["split", *columns]]
    for split in sorted(splits, key=lambda s: s == "valid"):
        found = (metrics.get(f"{split}/{column}") for column in columns)
        cells = ("" if value is None else mean_and_std_text(value) for value in found)
        rows.append([split, *cells])
    return rows


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return the lines of a table; the first ``left`` columns are left-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def fitted(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; a table that is too wide is transposed.

    Args:
        rows: The header and the rows; the first column names them.
    """
    lines = aligned(rows)
    if max(map(len, lines)) <= terminal_columns():
        return lines
    names, *rest = rows
    found: list[str] = []
    while rest:
        count = len(rest)
        while True:
            lines = aligned(list(zip(names, *rest[:count], strict=True)))
            if count == 1 or max(map(len, lines)) <= terminal_columns():
                break
            count -= 1
        found += ["", *lines] if found else lines
        rest = rest[count:]
    return found


def on_screen(text: str, *, indent: int) -> str:
    """Wrap a text that is printed to a terminal; a file gets it in one line."""
    return wrapped(text, indent=indent) if sys.stdout.isatty() else text


def next_step(*words: object, data: str, data_root: Path) -> str:
    """Return a command to run next, with ``--data-root`` if it is needed.

    Args:
        words: The arguments of ``advnce``.
        data: The data set; simulated data needs no folder.
        data_root: The folder of the data sets.
    """
    root = [] if _is_found(data, data_root) else ["--data-root", data_root]
    return shlex.join(["advnce", *map(str, [*words, *root])])


def _is_found(data: str, root: Path) -> bool:
    """Return whether the data is found without ``--data-root``."""
    is_named = data in DATASETS or (root / data).is_dir()
    return root == default_root() or not is_named
