"""Metrics of further splits over the epochs, for looking at them."""

from collections.abc import Sequence

from pyg_advinfonce.training.callbacks import Callback, Record
from pyg_advinfonce.training.trainer import Trainer


class SplitMetrics(Callback):
    """Records how other splits rank whenever the validation split is ranked.

    The values become diagnostics: no model is selected by them.

    Args:
        splits: The splits' names, e.g. ``["test"]``.
    """

    def __init__(self, splits: Sequence[str]) -> None:
        self.splits = list(splits)

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        if not record.metrics:
            return
        z_user, z_item = trainer.method.embed(trainer.graph)
        for split in self.splits:
            record.diagnostics |= trainer.evaluator(z_user, z_item, split)
