"""Progress reports of long-running work."""

import sys
import warnings
from typing import Any


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
    """Shows each part as a bar of tqdm, in a notebook or on a terminal.

    Elsewhere, e.g. in a log file, nothing is shown.
    """

    _bar: Any = None

    def say(self, text: str) -> None:
        if _is_watched():
            print(text, file=sys.stderr)

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        from tqdm import TqdmWarning

        with warnings.catch_warnings():  # without ipywidgets the bar is one of text
            warnings.simplefilter("ignore", TqdmWarning)
            from tqdm.auto import tqdm
        self.finish()
        scaled = unit == "B"
        self._bar = tqdm(
            desc=label,
            total=total,
            unit=unit,
            unit_scale=scaled,
            disable=not _is_watched(),
        )

    def advance(self, steps: int = 1, note: str = "") -> None:
        if self._bar is not None:
            self._bar.update(steps)
            if note:
                self._bar.set_postfix_str(note)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def listener(progress: Progress | bool) -> Progress:
    """Return a listener: the given one, a bar for True, or none for False."""
    if isinstance(progress, Progress):
        return progress
    return ProgressBar() if progress else Progress()


def _is_watched() -> bool:
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return sys.stderr.isatty() or getattr(running, "kernel", None) is not None
