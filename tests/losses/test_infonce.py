import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import (
    BPR,
    AdvInfoNCE,
    EmbeddingHardness,
    InfoNCE,
    UniformHardness,
)
from tests import cases
from tests.cases import toy_batch, toy_tables

# G1 (docs/methods.md 10, G1) as embeddings: the user is (1, 0), an item's first
# coordinate its cosine; the adversary's width is 1, so that its item rows are G.
COSINES = (0.6, 0.5, 0.1, -0.2)
G1 = EdgeBatch(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1, 2, 3]]))


def g1_tables(scale=1.0):
    c = torch.tensor(COSINES, dtype=torch.float64)
    item = torch.stack([c, (1 - c * c).sqrt()], 1) * scale
    return torch.tensor([[1.0, 0.0]]).double() * scale, item


def g1_hardness():
    hardness = EmbeddingHardness(1, 4, dim=1).double()
    hardness.load_state_dict(
        {
            "user": torch.tensor([[1.0]]),
            "item": torch.tensor([[9.0], [0.3], [-0.1], [0.2]], dtype=torch.float64),
        }
    )
    return hardness


@pytest.mark.parametrize(
    ("criterion", "value"),
    [
        (InfoNCE(tau=0.2), 0.53469720),
        (InfoNCE(tau=0.2, negative_weight=64.0), 3.83392314),
        (AdvInfoNCE(g1_hardness(), tau=0.2, negative_weight=1.0), 0.58221676),
        (AdvInfoNCE(g1_hardness(), tau=0.2), 3.94274872),
        (AdvInfoNCE(UniformHardness(), tau=0.2), 3.83392314),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_g1(criterion, value, scale):
    loss = criterion(*g1_tables(scale), G1)
    assert loss.item() == pytest.approx(value, abs=5e-9)


def test_g1_bpr():
    batch = EdgeBatch(G1.src_index, G1.dst_pos_index, torch.tensor([[1]]))
    assert BPR()(*g1_tables(), batch).item() == pytest.approx(0.64439666, abs=5e-9)


def test_g1_gradient_of_the_hardness():
    criterion = AdvInfoNCE(g1_hardness(), tau=0.2)
    criterion(*g1_tables(), G1).backward()
    found = criterion.hardness.item.grad[:, 0].tolist()
    expected = [0, 0.49627964, -0.17568767, -0.32059197]
    assert found == pytest.approx(expected, abs=5e-9)


def test_g1_diagnostics():
    found = AdvInfoNCE(g1_hardness(), tau=0.2).diagnostics(*g1_tables(), G1)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {
            "kl_uniform_p": 0.01396506,
            "kl_p_uniform": 0.01344342,
            "delta_min": -0.24729839,
            "delta_max": 0.15270161,
        },
        abs=5e-9,
    )


@given(
    st.floats(0.05, 3),
    st.floats(0.1, 200),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(0, 1000),
)
@settings(max_examples=50)
def test_uniform_hardness_is_info_nce_of_the_same_weight(
    tau, weight, size, num_negatives, seed
):
    batch, tables = toy_batch(size, num_negatives, seed), toy_tables(seed=seed)
    adversarial = AdvInfoNCE(UniformHardness(), tau, weight)(*tables, batch)
    plain = InfoNCE(tau, weight)(*tables, batch)
    torch.testing.assert_close(adversarial, plain)
    pairs = (torch.autograd.grad(loss, tables) for loss in (adversarial, plain))
    for a, b in zip(*pairs, strict=True):
        torch.testing.assert_close(a, b)


def test_cosine_scores_ignore_lengths():
    tables, batch = toy_tables(), toy_batch()
    stretched = [z * (1 + torch.arange(len(z)).double())[:, None] for z in tables]
    expected = InfoNCE()(*tables, batch)
    torch.testing.assert_close(InfoNCE()(*stretched, batch), expected)
    torch.testing.assert_close(
        BPR(cosine=True)(*stretched, batch), BPR(cosine=True)(*tables, batch)
    )
    assert not torch.allclose(BPR()(*stretched, batch), BPR()(*tables, batch))


def test_a_repeated_negative_counts_twice():
    tables = toy_tables()
    user, item = torch.tensor([0]), torch.tensor([0])
    twice = EdgeBatch(user, item, torch.tensor([[5, 5]]))
    once = EdgeBatch(user, item, torch.tensor([[5]]))
    expected = InfoNCE(negative_weight=2.0)(*tables, once)
    torch.testing.assert_close(InfoNCE()(*tables, twice), expected)


def test_in_batch_negatives_ignore_the_sampled_ones():
    criterion, tables = InfoNCE(negatives="in_batch"), toy_tables()
    expected = criterion(*tables, toy_batch(6, 0))
    assert torch.equal(criterion(*tables, toy_batch(6, 3)), expected)


def test_in_batch_an_equal_item_is_no_negative():
    criterion, (z_user, z_item) = InfoNCE(negatives="in_batch"), toy_tables()
    batch = EdgeBatch(
        torch.tensor([0, 1]), torch.tensor([4, 4]), torch.empty(2, 0).long()
    )
    loss = criterion(z_user, z_item, batch)
    loss.backward()
    assert loss.item() == 0
    assert not z_user.grad.any()


def test_in_batch_an_equal_item_is_a_negative_if_hits_are_kept():
    criterion = InfoNCE(negatives="in_batch", mask_hits=False)
    twice = EdgeBatch(
        torch.tensor([0, 1]), torch.tensor([4, 4]), torch.empty(2, 0).long()
    )
    # Both scores of a row are equal, whatever the tables are.
    assert criterion(*toy_tables(), twice).item() == pytest.approx(math.log(2))


def test_unknown_negatives():
    with pytest.raises(ValueError, match="'sampled' or 'in_batch' \\(got 'hard'\\)"):
        InfoNCE(negatives="hard")


@pytest.mark.parametrize(
    ("criterion", "cosine", "negatives"),
    [
        (BPR(), False, "sampled"),
        (BPR(cosine=True), True, "sampled"),
        (InfoNCE(), True, "sampled"),
        (InfoNCE(negatives="in_batch"), True, "in_batch"),
        (AdvInfoNCE(UniformHardness()), True, "sampled"),
    ],
)
def test_what_a_criterion_tells_of_itself(criterion, cosine, negatives):
    assert criterion.cosine is cosine
    assert criterion.negatives == negatives


def test_the_default_weights_are_those_of_the_paper():
    assert InfoNCE().negative_weight == 1
    for loss in ("adv", "adv-mlp", "rand", "adv-reverse"):
        assert cases.find(loss).build().negative_weight == 64
