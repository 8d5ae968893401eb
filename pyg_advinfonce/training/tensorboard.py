"""TensorBoard (extra ``[track]``)."""

from pathlib import Path

from pyg_advinfonce.errors import MissingExtraError
from pyg_advinfonce.training.callbacks import Record
from pyg_advinfonce.training.tracker import Tracker

try:
    from torch.utils.tensorboard import SummaryWriter
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "tracking needs tensorboard: pip install 'pyg-advinfonce[track]'"
    ) from error


class TensorBoard(Tracker):
    """Writes every number of a history to an event file of TensorBoard.

    Args:
        folder: Where the event file goes.
    """

    def __init__(self, folder: Path) -> None:
        self.writer = SummaryWriter(str(folder))

    def write(self, record: Record) -> None:
        for name, value in record.flat().items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()

    def release(self) -> None:
        self.writer.close()
