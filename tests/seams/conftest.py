"""Methods of other people, on the library as it is; the folder mirrors no package."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from pyg_advinfonce.config import Config
from pyg_advinfonce.experiment import train
from tests.cases import DIM

TRAIN = {"lr": 0.05, "batch_size": 6, "num_negatives": 4, "eval_every": 1}


@pytest.fixture
def dataset(graph):
    """The toy graph as a data set."""
    return SimpleNamespace(graph=graph, fingerprint="toy", summary=dict)


@pytest.fixture
def configure():
    """Make a configuration of small settings; sections add to them."""

    def make(model="lightgcn", loss="bpr", /, **sections):
        layers = [{"train": TRAIN, "model": {"dim": DIM}}, sections]
        return Config.resolve(model, loss, "none", layers=layers)

    return make


@pytest.fixture
def goes_on(dataset, tmp_path):
    """Check that an interrupted training ends, to the bit, as a whole one."""

    def check(config, make):
        """Train twice what ``make`` returns: a new model or loss, by name."""

        def run(folder, epochs, **options):
            given = config.updated({"train": {"epochs": epochs}})
            return train(given, dataset, out=tmp_path / folder, **make(), **options)

        whole = run("whole", 4)
        run("parts", 2)
        parts = run("parts", 4, resume=True, force=True)
        assert [r.losses for r in parts.history] == [r.losses for r in whole.history]
        states = [
            load_file(tmp_path / folder / "state.safetensors")
            for folder in ("whole", "parts")
        ]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])
        return whole

    return check
