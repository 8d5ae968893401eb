import os

import pytest
import torch

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.training import EdgeSampler, Evaluator, Trainer, memory_estimate
from pyg_advinfonce.training.memory_estimate import MemoryEstimate, memory_of
from tests import cases

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
        "training needs at least 6.0 GB, cpu has 5.0 GB: lower encoder.dim (embeddings "
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
