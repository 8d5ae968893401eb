"""A bar on a terminal, plain lines elsewhere."""

import sys
import time

from tqdm import tqdm

from pyg_advinfonce.training.callbacks import Callback, Record
from pyg_advinfonce.training.trainer import Trainer

SECONDS_BETWEEN_LINES = 10.0


class Progress(Callback):
    """Shows on standard error how far a seed has come; to be closed.

    Args:
        epochs: The most epochs that the seed may run.
        label: What is shown before the numbers.
        quiet: Show nothing.
    """

    def __init__(self, epochs: int, label: str, *, quiet: bool = False) -> None:
        self.label, self.quiet, self._said = label, quiet, time.monotonic()
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(
            total=epochs, desc=label, unit="epoch", disable=hidden, leave=False
        )

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        self._bar.update(record.epoch + 1 - self._bar.n)
        if self.quiet or not record.metrics:
            return
        stopping = trainer.stopping
        text = (
            f"{trainer.monitor} {record.metrics[trainer.monitor]:.4f}, "
            f"best {stopping.best_score:.4f} in epoch {stopping.best_epoch}"
        )
        if not self._bar.disable:
            self._bar.set_postfix_str(text)
        elif time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            print(f"{self.label}, epoch {record.epoch}: {text}", file=sys.stderr)

    def close(self) -> None:
        """Take the bar off the screen."""
        self._bar.close()
