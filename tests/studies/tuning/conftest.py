from types import SimpleNamespace

import pytest

from pyg_advinfonce.config import Config
from tests import cases

TOY = {
    "train": {
        "batch_size": 4,
        "num_negatives": 3,
        "lr": 3e-4,
        "epochs": 2,
        "eval_every": 1,
    },
}


@pytest.fixture
def dataset(graph):
    """The toy graph as a data set."""
    return SimpleNamespace(graph=graph, fingerprint="toy", summary=dict)


@pytest.fixture
def configure():
    """Return a configuration of few epochs on the toy graph."""

    def resolve(model="mf", loss="infonce", /, **sections):
        toy = {"model": cases.width(model, 4)}
        return Config.resolve(model, loss, "toy", layers=[toy, TOY, sections])

    return resolve
