"""Bytes per edge that a training holds."""

import gc
import tracemalloc
from types import ModuleType

import torch
from torch import Tensor

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import parse_files, read_files, split_files
from pyg_advinfonce.datasets.simulated import (
    SIZES,
    Simulated,
    exposure,
    preference,
)
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, build_graph

NUM_USERS, NUM_ITEMS, NUM_PAIRS = 500, 800, 50_000


def random_graph():
    generator = torch.Generator().manual_seed(0)
    key = torch.randperm(NUM_USERS * NUM_ITEMS, generator=generator)[: 2 * NUM_PAIRS]
    train, valid = torch.stack([key // NUM_ITEMS, key % NUM_ITEMS]).chunk(2, 1)
    return build_graph(
        train,
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
        splits={"valid": valid[:, :10], "test": valid[:, 10:20]},
    )


def bytes_held(*roots):
    """Sum the storages of all tensors that can be reached, each once."""
    seen, found, todo = set(), {}, list(roots)
    while todo:
        value = todo.pop()
        if id(value) in seen or isinstance(value, type | ModuleType):
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        todo += gc.get_referents(value)
    return sum(found.values())


def trained(**train):
    train = {"epochs": 1, "batch_size": 512, **train}
    layers = [{"model": {"dim": 4}, "train": train}]
    config = Config.resolve("lightgcn", "adv", "random", layers=layers)
    trainer = assemble(config, random_graph(), device="cpu")
    trainer.fit()
    return trainer


def test_a_training_holds_at_most_24_bytes_per_edge():
    trainer = trained()
    encoder = trainer.method.encoder
    parts = (trainer.graph, encoder._relations, trainer.sampler)
    held = bytes_held(*parts)
    assert encoder._relations(trainer.graph, (encoder.user, encoder.item))
    assert bytes_held(*parts) == held  # the matrices were there
    assert held >= 20 * NUM_PAIRS  # two columns, two weights, the sampler's cells
    assert held <= 22 * NUM_PAIRS
    reverse = trainer.graph[REV_INTERACTS].edge_index
    assert torch.equal(reverse, trainer.graph[INTERACTS].edge_index.flip(0))


def peak_bytes(call):
    """Return the most bytes that numpy and Python hold during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_text_takes_little_more_than_its_pairs(monkeypatch, tmp_path):
    monkeypatch.setattr(split_files, "_BLOCK_BYTES", 2**14)
    lines = [" ".join(map(str, range(u, u + 100))) for u in range(2000)]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    files = read_files(tmp_path)
    assert peak_bytes(lambda: parse_files(files)) < 22 * 2000 * 99


def test_a_simulation_takes_little_more_than_its_pairs(monkeypatch):
    monkeypatch.setattr(exposure, "_MAX_DRAWS", 2**12)
    monkeypatch.setattr(preference, "_CHUNK", 2**12)
    size = SIZES["yahoo"]
    number = size.num_train + size.num_valid + size.num_test
    assert peak_bytes(lambda: Simulated("yahoo")) < 60 * number


def test_the_order_of_edges_is_held_by_a_training_that_drops_messages_only():
    trainer = trained()
    to_user, to_item = trainer.method.encoder._relations(
        trainer.graph, (trainer.method.encoder.user, trainer.method.encoder.item)
    )
    for csr in (to_user.matrix, to_item.matrix):
        assert csr.place is None
        assert "order" not in vars(csr)
    to_user.drop(0.5)
    assert {"order"} <= set(vars(to_item.matrix))
