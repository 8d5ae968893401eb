"""How hard the adversary makes negatives, by their popularity."""

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.training.batch_hardness import batch_hardness
from pyg_advinfonce.training.callbacks import Callback, Record
from pyg_advinfonce.training.trainer import Trainer


class HardnessProfile(Callback):
    r"""Keeps the mean :math:`p(j \mid u, i)` by popularity on an epoch's last batch.

    Each row's ``K`` negatives are put in the order of their popularity, the least
    popular first, and :math:`p = e^{\delta} / K` is averaged over the rows (methods.md
    4.4.2).

    Attributes:
        before: ``[K]`` in the last epoch before the adversary's first; None if the
            adversary runs in the very first epoch.
        after: ``[K]`` in the adversary's last epoch so far; None if there is none.
    """

    def __init__(self) -> None:
        self.before: Tensor | None = None
        self.after: Tensor | None = None

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        attacked = any(name.startswith("adversary/") for name in record.losses)
        if trainer.last_batch is None or not (attacked or self.after is None):
            return
        graph, batch = trainer.last_batch
        delta = batch_hardness(trainer.method, trainer.method.encode(graph), batch)
        found = profile(delta, batch, trainer.graph)
        self.before, self.after = (
            (self.before, found) if attacked else (found, self.after)
        )


def profile(delta: Tensor, batch: EdgeBatch, graph: HeteroData) -> Tensor:
    """Return the mean p ``[K]`` of hardness ``[B, K]``, the least popular first."""
    count = train_degrees(graph)[1]  # [I]
    order = count[batch.neg_id].argsort(dim=-1, stable=True)  # [B, K]
    return (delta.exp() / delta.size(-1)).gather(-1, order).mean(0).cpu()
