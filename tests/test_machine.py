import os
import subprocess
import sys

import pytest
import torch

from pyg_advinfonce import machine as memory_estimate
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import train
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.machine import (
    MemoryEstimate,
    memory_of,
    use_deterministic_algorithms,
)
from pyg_advinfonce.ops import default_propagate_backend
from pyg_advinfonce.training import Trainer
from tests import cases
from tests.cases import PAIRS, find, pair_name
from tests.training.test_state import assert_same, make, outcome


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
    assert default_propagate_backend(torch.device("cuda")) == "embedding_bag"
    torch.use_deterministic_algorithms(False)
    assert default_propagate_backend(torch.device("cuda")) == "csr"


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
    layers = [{"model": {"dim": 8}, "train": {"epochs": 3, "eval_every": 1}}]
    if case.loss == "bc":  # popularity alone, for one epoch of the three
        layers.append({"loss": {"freeze_epoch": 1}})
    config = Config.resolve(model, case.loss, layers=layers)
    dataset = load_dataset("simulated")
    one, two = (train(config, dataset, device="cuda") for _ in range(2))
    assert one.metrics == two.metrics
    for name, value in one.method.state_dict().items():
        assert torch.equal(two.method.state_dict()[name], value)


CPU = torch.device("cpu")


def test_the_tables_are_what_a_training_of_mf_keeps():
    graph = cases.toy_graph()
    method = cases.find("infonce").method("mf", graph)
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=4)
    trainer = Trainer(method, graph, sampler, Evaluator(graph), epochs=1)
    trainer.fit()
    (_, optimizer) = trainer.phases[0]
    kept = [p for p in method.parameters() for _ in ("value", "gradient")]
    for state in optimizer.state.values():
        kept += [state["exp_avg"], state["exp_avg_sq"]]
    found = MemoryEstimate.of(
        num_nodes=cases.NUM_USERS + cases.NUM_ITEMS,
        dim=cases.DIM,
        batch_size=6,
        num_negatives=4,
    )
    assert found.tables == sum(tensor.nbytes for tensor in kept)
    (_, batch) = trainer.last_batch
    scores = torch.empty(batch.dst_neg_index.shape)
    assert found.batch == batch.dst_neg_index.nbytes + 2 * scores.nbytes


def test_what_cannot_fit_is_refused_with_what_to_lower(monkeypatch):
    monkeypatch.setattr(memory_estimate, "memory_of", lambda device: 5e9)
    MemoryEstimate(tables=4 * 10**9, batch=10**9).check(CPU)
    with pytest.raises(ConfigError) as caught:
        MemoryEstimate(tables=4 * 10**9, batch=2 * 10**9).check(CPU)
    assert str(caught.value) == (
        "training needs at least 6.0 GB, cpu has 5.0 GB: lower model.dim (embeddings "
        "and optimiser take 4.0 GB), or train.batch_size or train.num_negatives (a "
        "batch takes 2.0 GB)"
    )


def test_the_memory_of_this_machine():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory_of(CPU) == pages
    assert memory_of(torch.device("meta")) == float("inf")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_memory_of_a_gpu():
    total = torch.cuda.get_device_properties(0).total_memory
    assert memory_of(torch.device("cuda", 0)) == pytest.approx(total, rel=0.05)
