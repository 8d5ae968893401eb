"""Terminal output: progress bars, aligned tables and the next command."""

import math
import os
import re
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


def wrapped(text: str, *, indent: int, width: int = WIDTH) -> str:
    """Wrap a text to the width of a terminal; indent all lines but the first."""
    lines = textwrap.wrap(
        text, width - indent, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


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


SECONDS_BETWEEN_LINES = 10.0
SECONDS_WITHIN = 60.0
"""The seconds after which a file gets a line within an epoch."""

SECONDS_BETWEEN_FRAMES = 0.1
LEAST_BAR = 10
"""The least width of a bar that is shown."""


class Bar(Progress):
    """Shows progress on standard error: a bar on a terminal, else lines.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet, self._said, self._shown = quiet, 0.0, 0.0
        self._label, self._unit, self._note = "", "", ""
        self._done, self._total, self._share = 0, 0, 0.0
        self._bar: tqdm[NoReturn] | None = None

    def say(self, text: str) -> None:
        if self.quiet:
            return
        if sys.stderr.isatty():
            text = wrapped(text, indent=2, width=_width())
        tqdm.write(text, file=sys.stderr)

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        self.finish()
        self._label, self._unit, self._note = label, unit, ""
        self._done, self._total, self._share = 0, total or 0, 0.0
        self._said, self._shown = time.monotonic(), 0.0
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
            ncols=_width(),
            bar_format=None if is_file else self._layout(),
        )

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done, self._share = self._done + steps, 0.0
        self._note = note or self._note
        if self._bar is not None and self._unit == "B":
            self._bar.update(steps)
        elif note:
            self._show(f"{self._unit} {self._done - 1}: {note}", SECONDS_BETWEEN_LINES)
        else:
            self._show("", math.inf)

    def within(self, share: float) -> None:
        self._share = share
        text = f"{self._unit} {self._done}, {share:.0%}"
        self._show(f"{text}: {self._note}" if self._note else text, SECONDS_WITHIN)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, line: str, seconds: float) -> None:
        """Draw the bar, or say a line if the last one is that many seconds old."""
        now = time.monotonic()
        if self._bar is None:
            return
        if not self._bar.disable:
            if now - self._shown > SECONDS_BETWEEN_FRAMES:
                self._shown, self._bar.n = now, self._done + self._share
                self._bar.bar_format, self._bar.ncols = self._layout(), _width()
                self._bar.refresh()
        elif now - self._said > seconds:
            self._said = now
            self.say(f"{self._label}, {line}")

    def _layout(self) -> str:
        """Return tqdm's format of a line, the longest one that fits."""
        label, note = (re.sub("[{}]", "", text) for text in (self._label, self._note))
        count = f"{self._done}/{self._total} {self._share:3.0%}"
        note = f", {note}" if note else ""
        unit, time, bar = f", {self._unit}", " {elapsed}", " |{bar}|"
        layouts = [
            f"{label}{unit} {count}{bar}{time}{note}",
            f"{label}{unit} {count}{note}{time}",
            f"{label} {count}{note}{time}",
        ]
        sizes = {"{elapsed}": "00:00", "{bar}": "=" * LEAST_BAR}
        for layout in layouts:
            text = layout
            for name, example in sizes.items():
                text = text.replace(name, example)
            if len(text) <= _width():
                return layout
        return f"{label} {count}{note}"


def _width() -> int:
    """Return the columns of the terminal but the last, where some begin a line."""
    try:
        found = os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH
    except (OSError, ValueError):
        found = WIDTH
    return found - 1
