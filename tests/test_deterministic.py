import os
import subprocess
import sys

import pytest
import torch

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.deterministic import use_deterministic_algorithms
from pyg_advinfonce.experiment import train
from pyg_advinfonce.ops.propagate import default_backend
from tests.cases import PAIRS, find, pair_name
from tests.training.test_training_state import assert_same, make, outcome


@pytest.fixture
def deterministic(monkeypatch):
    """Deterministic torch, until the test ends."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr("torch.utils.deterministic.fill_uninitialized_memory", True)
    use_deterministic_algorithms()
    yield
    torch.use_deterministic_algorithms(False)


def test_torch_and_cublas_are_told(deterministic):
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_product_on_cuda_is_another_one(deterministic):
    assert default_backend(torch.device("cuda")) == "embedding_bag"
    torch.use_deterministic_algorithms(False)
    assert default_backend(torch.device("cuda")) == "csr"


def test_nothing_changes_on_the_cpu(deterministic):
    found = make("lightgcn", find("adv"))
    found.fit()
    torch.use_deterministic_algorithms(False)
    plain = make("lightgcn", find("adv"))
    plain.fit()
    assert_same(outcome(found), outcome(plain))


def test_the_command_line_has_a_flag(tmp_path):
    words = ["train", "mf", "--epochs", "1", "--deterministic", "--out", tmp_path / "r"]
    command = [sys.executable, "-m", "pyg_advinfonce.cli.main", *words]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_two_trainings_on_cuda_give_the_same_bits(deterministic, model, case):
    layers = [{"encoder": {"dim": 8}, "train": {"epochs": 3, "eval_every": 1}}]
    if case.loss == "bc":  # popularity alone, for one epoch of the three
        layers.append({"loss": {"freeze_epoch": 1}})
    config = Config.resolve(model, case.loss, layers=layers)
    dataset = load_dataset("simulated")
    one, two = (train(config, dataset, device="cuda") for _ in range(2))
    assert one.metrics == two.metrics
    for name, value in one.method.state_dict().items():
        assert torch.equal(two.method.state_dict()[name], value)
