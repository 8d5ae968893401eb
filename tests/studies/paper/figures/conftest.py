import pytest

from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.studies.paper.figures.figures import FIGURES
from pyg_advinfonce.studies.paper.figures.trainings import default_config

SIGNATURE = b"\x89PNG"


@pytest.fixture(scope="session")
def dataset():
    """Simulated data in the size of Coat."""
    return Simulated()


@pytest.fixture(scope="session")
def config(dataset):
    """Settings with which the adversary is done in a few epochs."""
    settings = {
        "loss": {"adversary_every": 3, "adversary_epochs": 3},
        "train": {"eval_every": 2, "lr": 0.01},
    }
    return default_config(dataset).updated(settings)


class Lines(Progress):
    """Keeps the lines that it is told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def lines():
    """A listener."""
    return Lines()


@pytest.fixture
def is_written(tmp_path):
    """Check that a panel's files are there and are what they are called."""

    def check(figure, number, table):
        panel = FIGURES[figure].panels[number]._replace(make=lambda _: table)
        paths, names = panel.write(None, tmp_path), panel.drawings
        assert sorted(p.name for p in paths) == sorted(
            f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")
        )
        for path in paths:
            content = path.read_bytes()
            if path.suffix == ".png":
                assert content.startswith(SIGNATURE)
            if path.suffix == ".svg":
                assert b"<svg" in content

    return check
