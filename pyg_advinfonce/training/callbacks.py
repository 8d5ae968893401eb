"""Callbacks: diagnostics, false negatives, other splits, history file, progress."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings
from pyg_advinfonce.files import write_text
from pyg_advinfonce.functional import align, uniform
from pyg_advinfonce.methods import Method
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.training.trainer import Callback, Record, Trainer


@torch.no_grad()
def batch_hardness(method: Method, z: Embeddings, batch: EdgeBatch) -> Tensor:
    """Return the hardness ``[B, K]`` of the negatives.

    Args:
        method: A method whose loss has a hardness; it is left in evaluation mode.
        z: What :meth:`~pyg_advinfonce.methods.Method.encode` makes of the graph that
            the batch's rows are of.
        batch: The batch.
    """
    loss: Any = method.eval().loss
    delta: Tensor = loss.hardness(*z.of_batch(batch))
    return delta


class Diagnostics(Callback):
    """Records the loss's state, align and uniform on the epoch's last batch.

    Works in epochs with a validation or with a phase beside the main one, e.g. the
    adversary's (docs/methods.md 4.4).
    """

    @torch.no_grad()
    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        if trainer.last_batch is None or not is_diagnosed(trainer, record):
            return
        graph, batch = trainer.last_batch
        method = trainer.method.eval()  # for the loss, too
        z, loss = method.encode(graph), method.loss
        found = {} if loss is None else loss.diagnostics(*z.of_batch(batch))
        user, item = z.user[batch.src_index], z.item[batch.dst_pos_index]
        found["align"] = align(user, item)
        if user.size(0) > 1:
            found["uniform"] = uniform(user) + uniform(item)
        record.diagnostics |= {name: float(value) for name, value in found.items()}


class FalseNegatives(Callback):
    """Records which share of the true false negatives the adversary softens.

    A sampled negative that its user truly likes is a false negative. Recorded are the
    share of all negatives and of the false ones whose hardness is below zero, and the
    difference, which alone is evidence (docs/methods.md 4.4.3). The hardness is that of
    the whole graph's embeddings, also where batches come with samples of the graph.

    Args:
        likes: Tells of users ``[B, 1]`` and items ``[B, K]`` whether they like them.
    """

    def __init__(self, likes: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.likes = likes

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        has_none = getattr(trainer.method.loss, "hardness", None) is None
        if has_none or not is_diagnosed(trainer, record):
            return
        counts = torch.zeros(4, dtype=torch.long, device="cpu")
        z = trainer.method.encode(trainer.graph)  # for all batches, of samples too
        for _, batch in trainer.sampler:
            delta = batch_hardness(trainer.method, z, batch.whole_graph())
            counts += self._count((delta < 0).cpu(), batch)
        negatives, soft, false, soft_false = counts.tolist()
        record.diagnostics["soft_negatives"] = soft / max(negatives, 1)
        if false:
            record.diagnostics["soft_false_negatives"] = soft_false / false
            record.diagnostics["false_negatives_identified"] = (
                soft_false / false - soft / negatives
            )

    def _count(self, soft: Tensor, batch: EdgeBatch) -> Tensor:
        user, item = batch.user_id.cpu().unsqueeze(-1), batch.neg_id.cpu()
        false = self.likes(user.expand_as(item), item)  # [B, K]
        total = torch.ones_like(soft).sum()
        return torch.stack([total, soft.sum(), false.sum(), (soft & false).sum()])


def is_diagnosed(trainer: Trainer, record: Record) -> bool:
    """Whether an epoch had a validation or a phase beside the main one."""
    return bool(record.metrics) or trainer.ran_beside_main(record)


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
        scorer = trainer.method.scorer(trainer.graph)
        for split in self.splits:
            record.diagnostics |= trainer.evaluator.metrics(scorer, split)


class HistoryFile(Callback):
    """Appends each epoch's record to a JSON-lines file.

    Args:
        path: The file; an existing one is replaced.
        history: The epochs before, of a training that goes on.
    """

    def __init__(self, path: Path, history: Iterable[Record] = ()) -> None:
        self.path = path
        write_text(path, "".join(map(_line, history)))

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(record))


def _line(record: Record) -> str:
    return json.dumps(record.flat()) + "\n"


class EpochProgress(Callback):
    """Reports a training's epochs to a listener, as a part that is now begun.

    Whoever trains ends the part when training has ended, well or not.

    Args:
        progress: The listener.
        label: What the part is called.
        epochs: The most epochs of the training, those before it goes on included.
    """

    def __init__(self, progress: Progress, label: str, epochs: int) -> None:
        self.progress, self._done = progress, 0
        progress.start(label, epochs, unit="epoch")

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        new, self._done = record.epoch + 1 - self._done, record.epoch + 1
        note, best = "", trainer.stopping
        if record.metrics:
            note = (
                f"{trainer.monitor} {record.metrics[trainer.monitor]:.4f}, "
                f"best {best.best_score:.4f} in epoch {best.best_epoch}"
            )
        self.progress.advance(new, note)
