"""What the tests of several processes run in each, or in a single one.

``python tests/column_worker.py NAME FILE ARGUMENT...`` calls a function of this module
and writes what it returned in rank 0. Numbers are in double precision.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path

import torch

from pyg_advinfonce import build
from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import AdvInfoNCEError
from pyg_advinfonce.experiment import train
from pyg_advinfonce.ops import columns
from pyg_advinfonce.ranks import Ranks, dividing, is_first, joined
from pyg_advinfonce.training import Callback, state
from pyg_advinfonce.training.trainer import FiniteCheck
from tests.cases import NUM_ITEMS, toy_graph, width

DIM = 13  # not divisible by 2 or 3
TRAIN = {"batch_size": 10, "num_negatives": 4, "epochs": 3, "eval_every": 1}
TURNS = {"adversary_every": 1, "adversary_first": 0, "adversary_epochs": 3}
LOSSES = {
    "adv": TURNS,
    "adv-mlp": TURNS,
    "adv-reverse": TURNS,
    "bc": {"freeze_epoch": 1},
    "invcf": {"lam1": 0.1, "lam2": 0.1, "lam3": 0.1},
    "xir": {"cache_size": 8},
    "adap-tau": {"warm_up_epochs": 1},
}
MODELS = {"ncl": {"first_epoch": 1, "num_prototypes": 3}}


def settings(pair, **sections):
    """Return the settings of a pair ``model+loss``."""
    model, loss = pair.split("+")
    layers = [
        {"train": {**TRAIN, "lr": 0.01, "l2": 0.01}},
        {"model": {**width(model, DIM), **MODELS.get(model, {})}},
        {"loss": LOSSES.get(loss, {})},
        sections,
    ]
    return Config.resolve(model, loss, "toy", layers=layers)


def whole(x):
    """Return a whole table, given the columns of this process."""
    return columns.whole_columns(x) if x.dim() == 2 else x


@contextmanager
def watching(note) -> Iterator[None]:
    """Call a function with every step, its terms and the check of its phase."""
    add = FiniteCheck.add

    def noting(check, step, names, values):
        note(step, values[: len(names)].tolist(), check)
        add(check, step, names, values)

    FiniteCheck.add = noting
    try:
        yield
    finally:
        FiniteCheck.add = add


def losses(pair):
    """Return each term of each step, and the metrics of each epoch."""
    trainer, found = assemble(settings(pair), toy_graph(), device="cpu"), []
    with watching(lambda _, terms, __: found.append(terms)):
        trainer.fit()
    return found, [record.metrics for record in trainer.history]


def one_step(pair):
    """Return the first gradients of each phase, and all values after SGD steps."""
    config = settings(pair, train={"batch_size": 24, "epochs": 2})
    trainer, found = assemble(config, toy_graph(), device="cpu"), {}
    trainer.monitor = None
    for place, (phase, _) in enumerate(trainer.phases):
        owned = trainer.method.owned_by(phase)
        optimizer = torch.optim.SGD([{"params": owned}], lr=1.0)
        trainer.phases[place] = phase, optimizer
    names = {id(p): name for name, p in trainer.method.named_parameters()}

    def note(_, __, check):
        for p in check.params:
            name = check.phase, names[id(p)]
            if p.grad is not None and name not in found:
                found[name] = whole(p.grad.to_dense()).clone()

    with watching(note):
        trainer.fit()
    values = {n: whole(p.detach()) for n, p in trainer.method.named_parameters()}
    return found, values


def trained(*pairs):
    return {pair: (losses(pair), one_step(pair)) for pair in pairs}


def mutant(kind, pair):
    """Return the gradients if one of the two backward passes is the other one."""
    if kind == "total":
        columns._Totals.backward = staticmethod(
            lambda ctx, *grads: (None, *dividing().sum(*grads))
        )
    else:
        sums = columns._UnitColumns.backward

        def backward(ctx, *grads):
            ctx.ranks = type("Alone", (), {"sum": staticmethod(lambda *x: x)})
            return sums(ctx, *grads)

        columns._UnitColumns.backward = staticmethod(backward)
    return one_step(pair)


def summed(pair, dim):
    """Return the bytes and sums of a step per phase, and the items that it reads."""
    config = settings(pair, model={"dim": int(dim)}, train={"epochs": 1})
    trainer, found, last = assemble(config, toy_graph(), device="cpu"), {}, [0, 0]
    trainer.monitor, group, number, plain = None, dividing(), [0], Ranks.sum

    def counting(ranks, *parts):
        number[0] += 1
        return plain(ranks, *parts)

    Ranks.sum = counting

    def note(step, _, check):
        rows = step.batch.of_rows(0, NUM_ITEMS).dst_n_id
        read = NUM_ITEMS if rows is None else len(rows)
        if step.index > 0:  # what came before is a whole step
            taken = group.num_bytes - last[0], number[0] - last[1]
            found[check.phase] = *taken, read
        last[:] = group.num_bytes, number[0]

    with watching(note):
        trainer.fit()
    return found


def refusals(most, *cases):
    """Return the errors of pairs with settings, ``model+loss key=value ...``.

    Args:
        most: Number of scores with all nodes that may be summed.
        *cases: The pairs.
    """
    build.MOST_SUMMED, found = int(most), {}
    for case in cases:
        pair, *words = case.split()
        sections: dict[str, dict[str, object]] = {}
        for word in words:
            key, value = word.split("=")
            section, name = key.split(".")
            plain = value.isdigit() or value == "true"
            sections.setdefault(section, {})[name] = (
                json.loads(value) if plain else value
            )
        try:
            assemble(settings(pair, **sections), toy_graph(), device="cpu")
        except AdvInfoNCEError as error:
            found[case] = type(error).__name__, str(error)
    return found


class Stop(Callback):
    """Ends training after an epoch, as Ctrl-C in all processes does."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, trainer, record):
        if record.epoch == self.epoch:
            raise KeyboardInterrupt


def until(folder, epoch, large="", pair="lightgcn+adv"):
    """Train in a folder, from where it is, to the end of an epoch.

    Args:
        folder: The folder.
        epoch: The epoch.
        large: Not empty: all tables are large.
        pair: What is trained.
    """
    if large:
        state.LARGE = 0
    config = settings(pair, train={"epochs": 6})
    stop = [Stop(int(epoch))]
    try:
        train(config, toy_graph(), out=Path(folder), resume=True, callbacks=stop)
    except KeyboardInterrupt:
        return "stopped"
    return "finished"


class Fault(Callback):
    """Something that goes wrong in one process after the second epoch."""

    def __init__(self, kind):
        self.kind = kind

    def on_epoch_end(self, trainer, record):
        if record.epoch != 1:
            return
        if self.kind == "nan" and not is_first():
            with torch.no_grad():
                trainer.method.encoder.user[0, 0] = torch.nan
        if self.kind == "disk" and is_first():
            raise OSError(ENOSPC, "No space left on device")
        if self.kind == "batch" and not is_first():
            trainer.seed += 1


def failing(folder, kind):
    """Train in a folder until something goes wrong in one of two processes."""
    config = settings("lightgcn+adv", train={"epochs": 6})
    if kind == "seed" and not is_first():
        config = config.updated({"train": {"seed": 1}})
    fault = [Fault(kind)]
    train(config, toy_graph(), out=Path(folder), callbacks=fault, save_every=1)


def main(name, file, *words):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    place = torch.device("cpu")
    with joined(place, columns=True):
        found = globals()[name](*words)
        if is_first():
            torch.save(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
