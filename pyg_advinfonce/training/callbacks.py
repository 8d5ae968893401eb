"""Callbacks for diagnostics, further splits, the history file and progress."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.files import write_text
from pyg_advinfonce.functional import align, uniform
from pyg_advinfonce.methods import Method
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.training.trainer import Callback, Record, Trainer


@torch.no_grad()
def batch_hardness(method: Method, z: Embeddings, batch: EdgeBatch) -> Tensor:
    """Return the hardness ``[B, K]`` of the negatives.

    Args:
        method: Method whose loss has a hardness; it is left in evaluation mode.
        z: Embeddings from :meth:`~pyg_advinfonce.methods.Method.encode` of the graph
            that the batch's rows refer to.
        batch: The batch.

    Raises:
        ConfigError: If the batch has ``seen``, whose rows have no common ``K``.
    """
    if batch.seen is not None:
        raise ConfigError(
            "the hardness of each sampled negative needs sampled negatives: set "
            "train.num_negatives to a number (got 'all')"
        )
    loss: Any = method.eval().loss
    delta: Tensor = loss.hardness(*z.of_batch(batch))
    return delta


class Diagnostics(Callback):
    """Records alignment, uniformity and the loss's diagnostics on the last batch.

    Runs in epochs with a validation or with another phase besides the main one, e.g.
    the adversary's (docs/methods.md 4.4).
    """

    @torch.no_grad()
    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        if trainer.last_batch is None or not is_diagnosed(trainer, record):
            return
        graph, batch = trainer.last_batch
        method = trainer.method.eval()  # the loss as well
        z, loss = method.encode(graph), method.loss
        found = {} if loss is None else loss.diagnostics(*z.of_batch(batch))
        user, item = z.user[batch.src_index], z.item[batch.dst_pos_index]
        found["align"] = align(user, item)
        if user.size(0) > 1:
            found["uniform"] = uniform(user) + uniform(item)
        record.diagnostics |= {name: float(value) for name, value in found.items()}


class FalseNegatives(Callback):
    """Records the fraction of false negatives with a hardness below zero.

    A sampled negative that its user likes is a false negative. Three values are
    recorded: the fraction of negatives and the fraction of false negatives whose
    hardness is below zero, and their difference. Only the difference is evidence
    (docs/methods.md 4.4.3). The hardness is computed from embeddings of the whole
    graph, also if batches come with sampled graphs.

    Args:
        likes: Function that returns whether users ``[B, K]`` like items ``[B, K]``,
            bool ``[B, K]``.
    """

    def __init__(self, likes: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.likes = likes

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        has_none = getattr(trainer.method.loss, "hardness", None) is None
        if has_none or not is_diagnosed(trainer, record):
            return
        counts = torch.zeros(4, dtype=torch.long, device="cpu")
        z = trainer.method.encode(trainer.graph)  # of the whole graph, for all batches
        for _, batch in trainer.sampler:
            for sparse in batch.whole_graph().split(z.item.size(0)):
                part = sparse.dense(z.item.size(0))
                soft = batch_hardness(trainer.method, z, part) < 0
                counts += self._count(soft.cpu(), part)
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
        kept = torch.ones_like(soft)
        if batch.neg_mask is not None:
            kept = batch.neg_mask.cpu()
            soft, false = soft & kept, false & kept
        counts = [kept.sum(), soft.sum(), false.sum(), (soft & false).sum()]
        return torch.stack(counts)


def is_diagnosed(trainer: Trainer, record: Record) -> bool:
    """Whether an epoch had a validation or a phase besides the main one."""
    return bool(record.metrics) or trainer.ran_beside_main(record)


class SplitMetrics(Callback):
    """Records metrics of further splits in every epoch with a validation.

    The values are diagnostics and do not affect model selection.

    Args:
        splits: Names of the splits, e.g. ``["test"]``.
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
        history: Previous epochs of a resumed training.
    """

    def __init__(self, path: Path | str, history: Iterable[Record] = ()) -> None:
        path = Path(path)
        self.path = path
        write_text(path, "".join(map(_line, history)))

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(record))


def _line(record: Record) -> str:
    return json.dumps(record.flat()) + "\n"


class EpochProgress(Callback):
    """Reports epochs and their steps to a progress listener, as a task that it starts.

    The caller ends the task after training, also after an error.

    Args:
        progress: Progress listener.
        label: Name of the task.
        epochs: Maximum number of epochs, including those before a resume.
    """

    def __init__(self, progress: Progress, label: str, epochs: int) -> None:
        self.progress, self._done = progress, 0
        progress.start(label, epochs, unit="epoch")

    def on_step(self, trainer: Trainer, share: float) -> None:
        self.progress.within(share)

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        new, self._done = record.epoch + 1 - self._done, record.epoch + 1
        main = [phase.name for phase, _ in trainer.phases if phase.params is None]
        losses = [v for k, v in record.losses.items() if k.split("/")[0] in main]
        notes = [f"loss {sum(losses):.4f}"] if losses else []
        best = trainer.stopping
        if best.best_epoch >= 0:
            notes += [
                f"best {best.best_score:.4f} in {best.best_epoch}",
                f"patience {best.num_bad}/{best.patience}",
            ]
        self.progress.advance(new, ", ".join(notes))
