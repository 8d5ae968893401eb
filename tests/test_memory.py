"""Bytes per edge that a training holds."""

import gc
from types import ModuleType

import torch
from torch import Tensor

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config
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
