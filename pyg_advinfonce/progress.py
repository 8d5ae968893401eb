"""Progress reports of long-running work."""

import math
import os
import re
import shutil
import sys
import textwrap
import time
import warnings
from functools import cache
from typing import Any

MOST_COLUMNS = 100
"""The most columns of a text that is easy to read."""

SECONDS_BETWEEN_LINES = 10.0
SECONDS_WITHIN = 60.0
"""The seconds after which a file gets a line within an epoch."""

SECONDS_BETWEEN_FRAMES = 0.1
LEAST_BAR = 10
"""The least width of a bar that is shown."""


class Progress:
    """Interface of a progress listener; this base class ignores all reports.

    Work reports lines of text, and parts with steps: the bytes of a file, the epochs of
    a training. One part is open at a time.
    """

    def say(self, text: str) -> None:
        """Receive a line of text."""

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        """Begin a part.

        Args:
            label: Name of the part.
            total: Number of steps, or None if unknown.
            unit: Unit of a step: ``B`` for bytes, ``epoch``.
        """

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance the open part, with a note on its state."""

    def within(self, share: float) -> None:
        """Receive the share of the open part's next step that is done."""

    def finish(self) -> None:
        """End the open part, if any; repeated calls have no effect."""


class ProgressBar(Progress):
    """Shows each part as a bar, in a notebook or in one line of a terminal.

    Elsewhere, e.g. in a log file, nothing is shown.

    Args:
        lines: Write lines elsewhere. On a terminal, remove the bar of a training at its
            end, for the line that tells how it went.
    """

    def __init__(self, *, lines: bool = False) -> None:
        self.lines, self._said, self._shown = lines, 0.0, 0.0
        self._label, self._unit, self._note = "", "", ""
        self._done, self._total = 0, 0
        self._share: float | None = None
        self._bar: Any = None

    def say(self, text: str) -> None:
        if not (self.lines or _is_watched()):
            return
        width = _width()
        if width is not None and sys.stderr.isatty():
            text = wrapped(text, indent=2, width=width)
        _tqdm().write(text, file=sys.stderr)

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        self.finish()
        self._label, self._unit, self._note = label, unit, ""
        self._done, self._total, self._share = 0, total or 0, 0.0
        self._said, self._shown = time.monotonic(), 0.0
        is_file, hidden = unit == "B", not _is_watched()
        if is_file and hidden:
            self.say(label if total is None else f"{label}, {total:,} bytes")
        self._bar = _tqdm()(
            desc=label,
            total=total,
            unit=unit,
            unit_scale=is_file,
            leave=is_file or not self.lines,
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
            if self._unit != "B":
                self._share = None
                self._set()
            self._bar.close()
            self._bar = None

    def _show(self, line: str, seconds: float) -> None:
        """Draw the bar, or say a line if the last one is that many seconds old."""
        now = time.monotonic()
        if self._bar is None:
            return
        if not self._bar.disable:
            if now - self._shown > SECONDS_BETWEEN_FRAMES:
                self._shown = now
                self._set()
                self._bar.refresh()
        elif now - self._said > seconds:
            self._said = now
            self.say(f"{self._label}, {line}")

    def _set(self) -> None:
        self._bar.n = self._done + (self._share or 0.0)
        self._bar.bar_format, self._bar.ncols = self._layout(), _width()

    def _layout(self) -> str:
        """Return tqdm's format of a line, the longest one that fits."""
        label, note = (re.sub("[{}]", "", text) for text in (self._label, self._note))
        tenth = "" if self._share is None else f".{min(int(10 * self._share), 9)}"
        count = f"{self._done}{tenth}/{self._total}"
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
            if len(text) <= (_width() or math.inf):
                return layout
        return f"{label} {count}{note}"


def listener(progress: Progress | bool, *, lines: bool = False) -> Progress:
    """Return a listener: the given one, a bar for True, or none for False.

    Args:
        progress: The listener, or whether to make a bar.
        lines: As for :class:`ProgressBar`.
    """
    if isinstance(progress, Progress):
        return progress
    return ProgressBar(lines=lines) if progress else Progress()


def terminal_columns() -> int:
    """Return the columns of the terminal that gets the output; 80 for a file."""
    return shutil.get_terminal_size().columns


def wrapped(text: str, *, indent: int, width: int | None = None) -> str:
    """Wrap a text to the width of a terminal; indent all lines but the first."""
    width = width or min(terminal_columns(), MOST_COLUMNS)
    lines = textwrap.wrap(
        text, width - indent, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


@cache
def _tqdm() -> Any:  # noqa: ANN401
    """Import tqdm, which an import of this library does without.

    Its thread, which watches for rare updates, is left out: an interrupt while it
    starts leaves a traceback.
    """
    from tqdm import TqdmWarning

    with warnings.catch_warnings():  # without ipywidgets the bar is one of text
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return type("tqdm", (tqdm,), {"monitor_interval": 0})


def _is_watched() -> bool:
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return getattr(running, "kernel", None) is not None


def _width() -> int | None:
    """Return the columns of the terminal but the last, where some begin a line.

    None in a notebook, which has no columns.
    """
    if _in_notebook():
        return None
    try:
        found = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        found = 0
    return (found or 80) - 1
