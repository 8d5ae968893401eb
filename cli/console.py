"""Terminal output: progress bars, aligned tables and the next command."""

import shlex
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from pyg_advinfonce.progress import Progress
from pyg_advinfonce.registry import DATASETS
from pyg_advinfonce.registry import data_root as default_root

WIDTH = 80


def split_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return mean and deviation of each metric, one row per split, valid last."""
    from pyg_advinfonce.runs import mean_and_std_text  # loads torch

    splits = list(dict.fromkeys(name.split("/")[0] for name in metrics))
    columns = list(dict.fromkeys(name.split("/")[1] for name in metrics))
    rows = [["split", *columns]]
    for split in sorted(splits, key=lambda s: s == "valid"):
        rows.append(
            [split, *(mean_and_std_text(metrics[f"{split}/{c}"]) for c in columns)]
        )
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
    if max(map(len, lines)) <= WIDTH:
        return lines
    names, *rest = rows
    found: list[str] = []
    while rest:
        count = len(rest)
        while True:
            lines = aligned(list(zip(names, *rest[:count], strict=True)))
            if count == 1 or max(map(len, lines)) <= WIDTH:
                break
            count -= 1
        found += ["", *lines] if found else lines
        rest = rest[count:]
    return found


def wrapped(text: str, *, indent: int) -> str:
    """Wrap a text to the width of a terminal; indent all lines but the first."""
    lines = textwrap.wrap(
        text, WIDTH - indent, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


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


SECONDS_BETWEEN_LINES = 10.0


class Bar(Progress):
    """Shows progress on standard error: a bar on a terminal, else lines.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet, self._done, self._said = quiet, 0, 0.0
        self._bar: tqdm[NoReturn] | None = None

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr)

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        self.finish()
        self._done, self._said = 0, time.monotonic()
        is_file, hidden = unit == "B", self.quiet or not sys.stderr.isatty()
        if is_file and hidden:
            self.say(label if total is None else f"{label}, {total:,} bytes")
        self._bar = tqdm(
            desc=label,
            total=total,
            unit=unit,
            unit_scale=is_file,
            leave=is_file,
            disable=hidden,
        )
        self._line = f"{label}, {unit}"

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        if self._bar is None:
            return
        self._bar.update(steps)
        if not note:
            return
        if not self._bar.disable:
            self._bar.set_postfix_str(note)
        elif time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self.say(f"{self._line} {self._done - 1}: {note}")

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
