"""Trains pairs of model and loss in one of several processes, or in a single one.

``WORLD_SIZE=2 RANK=0 ... python tests/column_worker.py FILE PAIR...`` writes what
training did, in rank 0. Numbers are in double precision.
"""

import sys
from contextlib import nullcontext

import torch

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.ranks import dividing, is_first, is_launched, joined
from pyg_advinfonce.training import trainer as trainer_module
from tests.cases import toy_graph

DIM = 13  # divided unevenly
SETTINGS = {
    "train": {
        "batch_size": 10,
        "num_negatives": 4,
        "epochs": 3,
        "eval_every": 1,
        "lr": 0.01,
        "l2": 0.01,
    },
}
TURNS = {"adversary_every": 1, "adversary_first": 0, "adversary_epochs": 3}
OPTIONS = {
    "adv": TURNS,
    "adv-mlp": TURNS,
    "adv-reverse": TURNS,
    "bc": {"freeze_epoch": 1},
    "invcf": {"lam1": 0.1, "lam2": 0.1, "lam3": 0.1},
    "xir": {"cache_size": 8},
    "adap-tau": {"warm_up_epochs": 1},
}
MODELS = {
    "ncl": {"first_epoch": 1, "num_prototypes": 3},
}


def make(pair, **train):
    """Return a trainer of a pair for the toy graph."""
    model, loss = pair.split("+")
    layers = [
        SETTINGS,
        {"model": {"dim": DIM, **MODELS.get(model, {})}, "loss": OPTIONS.get(loss, {})},
        {"train": train},
    ]
    config = Config.resolve(model, loss, "toy", layers=layers)
    return assemble(config, toy_graph(), device="cpu")


def whole(name, x):
    """Return a whole table of a parameter, also in a single process."""
    ranks = dividing()
    return x if ranks is None or x.dim() != 2 else ranks.cat(x, 1)


def losses(pair):
    """Train and return each term of each step, and the metrics of each epoch."""
    trainer, found, add = make(pair), [], trainer_module.FiniteCheck.add

    def noting(check, step, parts):
        found.append([float(x) for x in parts.values()])
        add(check, step, parts)

    trainer_module.FiniteCheck.add = noting
    try:
        trainer.fit()
    finally:
        trainer_module.FiniteCheck.add = add
    return found, [record.metrics for record in trainer.history]


def first_step(pair):
    """Return all gradients of one step of each phase, and all values after it."""
    trainer, gradients = make(pair, batch_size=24, epochs=2), {}
    for place, (phase, _) in enumerate(trainer.phases):
        owned = trainer.method.owned_by(phase)
        trainer.phases[place] = (
            phase,
            torch.optim.SGD(owned or [torch.zeros(1)], lr=1.0),
        )
    names = {id(p): name for name, p in trainer.method.named_parameters()}
    add = trainer_module.FiniteCheck.add

    def noting(check, step, parts):
        for p in check.params:
            if p.grad is not None and (check.phase, names[id(p)]) not in gradients:
                grad = p.grad.to_dense() if p.grad.is_sparse else p.grad
                name = check.phase, names[id(p)]
                gradients[name] = whole(name, grad).clone()
        add(check, step, parts)

    trainer_module.FiniteCheck.add = noting
    try:
        trainer.epochs, trainer.monitor = 2, None
        trainer.fit()
    finally:
        trainer_module.FiniteCheck.add = add
    state = trainer.method.state_dict()
    tables = {name for name, p in trainer.method.named_parameters()}
    values = {n: whole(n, t) if n in tables else t for n, t in state.items()}
    return gradients, values


def main(file, *pairs):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    launched = is_launched()
    place = joined(torch.device("cpu"), columns=True) if launched else nullcontext()
    with place:
        found = {pair: (losses(pair), first_step(pair)) for pair in pairs}
        if is_first():
            torch.save(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
