"""A bar on a terminal, plain lines elsewhere."""

import sys
from typing import NoReturn

from tqdm import tqdm

from pyg_advinfonce.datasets.fetch_watcher import FetchWatcher


class DownloadBar(FetchWatcher):
    """Shows on standard error how a download goes; to be closed."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def start(self, file: str, size: int | None) -> None:
        hidden = not sys.stderr.isatty()
        if hidden:
            self.say(file if size is None else f"{file}, {size:,} bytes")
        self._bar = tqdm(
            desc=file, total=size, unit="B", unit_scale=True, disable=hidden
        )

    def receive(self, num_bytes: int) -> None:
        if self._bar is not None:
            self._bar.update(num_bytes)

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
