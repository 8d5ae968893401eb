"""What a person sees while a verb trains one run after another."""

import sys
from collections.abc import Sequence

from pyg_advinfonce.config import Config
from pyg_advinfonce.training.callbacks import Callback

from .progress import Progress


class Teller:
    """Says lines on standard error and shows a bar a training; to be closed.

    Args:
        quiet: Whether it does neither.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        """Say something on standard error, unless told to be quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def show_bar(self, label: str, config: Config) -> Sequence[Callback]:
        """Return the callbacks of a training that begins."""
        self._bar = Progress(config.train.epochs, label, quiet=self.quiet)
        return [self._bar]

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
