from types import SimpleNamespace

import pytest
import torch

from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.training.callbacks import Record
from pyg_advinfonce.training.hardness_profile import HardnessProfile, profile
from tests.cases import NUM_ITEMS, find, toy_batch


def by_popularity(graph, batch, sign=1.0):
    """Hardness that is a function of the negatives' popularity alone."""
    logits = sign * train_degrees(graph)[1].float()[batch.neg_id]  # [B, K]
    return logits.log_softmax(-1) + torch.tensor(float(logits.size(-1))).log()


def test_uniform_hardness_has_a_flat_profile(graph, batch):
    found = profile(torch.zeros(batch.dst_neg_index.shape), batch, graph)
    assert found.tolist() == pytest.approx([1 / 4] * 4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_profile_follows_popularity(graph, sign):
    batch = toy_batch(8, 6, seed=3)
    found = profile(by_popularity(graph, batch, sign), batch, graph)
    steps = sign * found.diff()
    assert (steps >= 0).all()
    assert steps.max() > 0
    assert float(found.sum()) == pytest.approx(1.0)


def test_the_order_of_negatives_does_not_matter(graph):
    batch = toy_batch(8, 6, seed=3)
    delta, order = by_popularity(graph, batch), torch.randperm(6)
    shuffled = SimpleNamespace(neg_id=batch.neg_id[:, order])
    found = profile(delta[:, order], shuffled, graph)
    assert torch.allclose(found, profile(delta, batch, graph))
    assert int(batch.neg_id.max()) < NUM_ITEMS


def test_before_is_kept_until_the_adversary_runs_and_after_is_its_last(graph, batch):
    method = find("adv").method(graph=graph)
    trainer = SimpleNamespace(method=method, graph=graph, last_batch=(graph, batch))
    found, seen = HardnessProfile(), []
    for epoch, phase in enumerate(["main", "main", "adversary", "main", "adversary"]):
        with torch.no_grad():
            method.criterion.hardness.user.add_(0.5)
        record = Record(epoch=epoch, losses={f"{phase}/rec": 1.0})
        found.on_epoch_end(trainer, record)
        seen.append((found.before, found.after))
    assert seen[0][1] is seen[1][1] is None
    assert not torch.equal(seen[0][0], seen[1][0])
    assert all(before is seen[1][0] for before, _ in seen[2:])
    assert seen[2][1] is seen[3][1] is not None
    assert not torch.equal(seen[4][1], seen[2][1])
