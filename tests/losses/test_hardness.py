import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.losses import (
    EmbeddingHardness,
    Hardness,
    MLPHardness,
    RandomHardness,
    UniformHardness,
    build_hardness,
)
from pyg_advinfonce.registry import HARDNESS
from tests import cases, reference

DIM = cases.DIM


def build(kind, dim=DIM):
    torch.manual_seed(5)
    options = {} if kind in ("uniform", "random") else {"dim": dim}
    return build_hardness(cases.toy_graph(), kind, **options)


def single():
    return cases.toy_tables(torch.float32)


class Given(Hardness):
    """Hardness of logits that are given."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def logits(self, z_user, z_item, batch):
        return self.values


def given_delta(values, mask=None):
    values = torch.as_tensor(values)
    index = torch.zeros(len(values), dtype=torch.long)
    negatives = torch.zeros(values.shape, dtype=torch.long)
    batch = EdgeBatch(index, index, negatives, neg_mask=mask)
    return Given(values)(torch.zeros(1, 2), torch.zeros(1, 2), batch)


def test_the_mean_counts_each_negative_by_its_importance():
    log_q = torch.tensor([[2.0, 0.5, 1.0, 1.0]]).double().log()
    values = torch.tensor([[0.3, -0.1, 0.2, 5.0]]).double()
    mask = torch.tensor([[True, True, True, False]])
    index = torch.zeros(1, dtype=torch.long)
    batch = EdgeBatch(index, index, torch.zeros(1, 4, dtype=torch.long), neg_mask=mask)
    delta = Given(values)(*[torch.zeros(1, 2)] * 2, replace(batch, neg_log_q=log_q))
    mass = torch.tensor([[0.5, 2.0, 1.0, 1.0]]) * delta.exp()
    assert mass[mask].mean().item() == pytest.approx(1.0)
    assert delta[0, 3] == 0
    assert (delta[0, 0] - delta[0, 1]).item() == pytest.approx(0.4)


def test_g1():
    delta = given_delta(torch.tensor([[0.3, -0.1, 0.2]], dtype=torch.float64))
    p = delta.exp() / 3
    for found, values in (
        (p, [0.38832577, 0.26030255, 0.35137169]),
        (delta, [0.15270161, -0.24729839, 0.05270161]),
    ):
        assert found[0].tolist() == pytest.approx(values, rel=0, abs=5e-9)


@pytest.mark.parametrize("kind", ["uniform", "embedding", "mlp"])
@pytest.mark.parametrize("num_negatives", [1, 4])
def test_every_row_has_mean_one(kind, num_negatives):
    batch = cases.toy_batch(num_negatives=num_negatives)
    delta = build(kind)(*single(), batch)
    assert delta.shape == (5, num_negatives)
    torch.testing.assert_close(delta.exp().mean(-1), torch.ones(5))


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=40)
def test_a_mask_normalises_over_what_is_kept(seed, size, width):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, width, generator=generator, dtype=torch.float64)
    mask = torch.rand(size, width, generator=generator) < 0.6
    delta = given_delta(logits, mask)
    for row, kept, found in zip(logits, mask, delta, strict=True):
        assert (found[~kept] == 0).all()
        if kept.any():
            expected = reference.hardness(row[kept].unsqueeze(0))[0]
            torch.testing.assert_close(found[kept], expected)


def test_a_row_without_kept_negatives_is_zero_with_zero_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    mask = torch.tensor([[False] * 3, [True] * 3])
    delta = given_delta(logits, mask)
    delta.sum().backward()
    assert delta[0].tolist() == [0, 0, 0]
    assert logits.grad[0].tolist() == [0, 0, 0]
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_half_precision_logits_are_widened(dtype, masked):
    logits = torch.tensor([[100.0, -100.0, 0.0]], dtype=dtype, requires_grad=True)
    mask = torch.tensor([[True, True, False]]) if masked else None
    delta = given_delta(logits, mask)
    delta.sum().backward()
    assert delta.dtype == torch.float32
    assert delta.isfinite().all()
    assert logits.grad.isfinite().all()


def test_uniform_hardness_is_zero():
    delta = UniformHardness()(*single(), cases.toy_batch())
    assert torch.equal(delta, torch.zeros(5, 4))


def test_embedding_logits_are_the_naive_formula():
    hardness, batch = build("embedding", dim=3), cases.toy_batch()
    logits = hardness.logits(*single(), batch)
    expected = reference.embedding_logits(
        hardness.user.double(), hardness.item.double(), batch
    )
    torch.testing.assert_close(logits.double(), expected, rtol=1e-6, atol=1e-7)


def test_the_penalty_of_tables_is_the_naive_formula():
    hardness, batch = build("embedding", dim=3).double(), cases.toy_batch()
    tables = hardness.user, hardness.item
    expected = reference.hardness_l2(*tables, batch)
    torch.testing.assert_close(hardness.penalty(batch), expected)
    kept = [0, 2, 3]
    masked = replace(batch, neg_mask=torch.tensor([[True, False, True, True]] * 5))
    fewer = replace(batch, dst_neg_index=batch.dst_neg_index[:, kept])
    torch.testing.assert_close(hardness.penalty(masked), hardness.penalty(fewer))


def test_embedding_hardness_reads_global_ids_and_ignores_embeddings():
    hardness, batch = build("embedding"), cases.toy_batch()
    expected = hardness(*single(), batch)
    n_id = torch.randperm(cases.NUM_USERS)
    local = replace(batch, src_index=n_id.argsort()[batch.src_index], src_n_id=n_id)
    z_user, z_item = (torch.zeros_like(z) for z in single())
    torch.testing.assert_close(hardness(z_user, z_item, local), expected)


def test_embedding_hardness_ignores_the_positive():
    hardness, batch = build("embedding"), cases.toy_batch()
    other = replace(batch, dst_pos_index=batch.dst_pos_index.flip(0))
    assert torch.equal(hardness(*single(), batch), hardness(*single(), other))


def test_embedding_tables_start_by_xaviers_normal_rule():
    torch.manual_seed(0)
    hardness = EmbeddingHardness(2000, 500, dim=64)
    for table in (hardness.user, hardness.item):
        expected = math.sqrt(2 / sum(table.shape))
        assert table.std().item() == pytest.approx(expected, rel=0.02)
        assert table.mean().item() == pytest.approx(0, abs=expected / 50)
    before = hardness.user.clone()
    hardness.reset_parameters()
    assert not torch.equal(before, hardness.user)


@pytest.mark.parametrize("activation", ["relu", "none"])
@pytest.mark.parametrize("reads", ["ego", "final"])
def test_mlp_logits_are_the_naive_formula(reads, activation):
    torch.manual_seed(0)
    hardness = MLPHardness(DIM, hidden=3, input=reads, activation=activation)
    z, ego = single(), cases.toy_tables(torch.float32, seed=1)
    batch = replace(cases.toy_batch(), ego=ego)
    logits = hardness.logits(*z, batch)
    read = ego if reads == "ego" else z
    expected = reference.mlp_logits(
        hardness.user,
        hardness.item,
        *(x.double() for x in read),
        batch,
        relu=activation == "relu",
    )
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-6)


def test_mlp_hardness_comes_from_the_layer_0_rows_it_is_given():
    hardness, ego = build("mlp"), cases.toy_tables(torch.float32, seed=1)
    batch = replace(cases.toy_batch(), ego=ego)
    logits = hardness.logits(*single(), batch)
    delta = hardness(*single(), batch)
    torch.testing.assert_close(delta, logits.log_softmax(-1) + math.log(4))


def test_mlp_reads_embeddings_where_there_are_no_layer_0_rows():
    hardness, batch, (z_user, z_item) = build("mlp"), cases.toy_batch(), single()
    expected = hardness(z_user, z_item, replace(batch, ego=(z_user, z_item)))
    assert torch.equal(hardness(z_user, z_item, batch), expected)


@pytest.mark.parametrize("reads", ["ego", "final"])
def test_mlp_never_trains_what_it_reads(reads):
    hardness = MLPHardness(DIM, input=reads)
    z_user, z_item = single()
    hardness(z_user, z_item, cases.toy_batch()).square().sum().backward()
    assert z_user.grad is None
    assert z_item.grad is None
    assert all(p.grad is not None for p in hardness.parameters())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"input": "ids"}, "input must be 'ego' or 'final' .got 'ids'"),
        ({"activation": "tanh"}, "activation must be 'relu' or 'none' .got 'tanh'"),
    ],
)
def test_mlp_options_are_checked(wrong, said):
    with pytest.raises(ValueError, match=said):
        MLPHardness(**wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", [*HARDNESS])
def test_embeddings_may_have_any_precision(kind, dtype):
    z_user, z_item = cases.toy_tables(dtype)
    delta = build(kind)(z_user, z_item, cases.toy_batch())
    assert delta.isfinite().all()


def test_random_hardness_is_twice_a_uniform_draw_in_single_precision():
    hardness, batch = RandomHardness(), cases.toy_batch(20, 2000)
    torch.manual_seed(0)
    mass = hardness(*single(), batch).exp()
    torch.manual_seed(0)
    draw = torch.rand(20, 2000)
    torch.testing.assert_close(mass, 2 * draw.clamp(min=1e-12))
    assert mass.max() <= 2
    assert mass.mean().item() == pytest.approx(1.0, abs=0.02)  # 7 standard errors
    assert not torch.equal(mass, hardness(*single(), batch).exp())
    assert not list(hardness.parameters())
    assert not hardness.state_dict()


def test_random_hardness_may_be_normalised():
    hardness, batch = RandomHardness(normalized=True), cases.toy_batch()
    torch.manual_seed(0)
    mass = hardness(*single(), batch).exp()
    torch.manual_seed(0)
    draw = torch.rand(5, 4)
    torch.testing.assert_close(mass, draw / draw.mean(-1, keepdim=True))


def test_a_draw_of_zero_stays_finite(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.zeros(shape))
    assert RandomHardness()(*single(), cases.toy_batch()).isfinite().all()


@pytest.mark.parametrize("normalized", [False, True])
def test_random_hardness_is_zero_where_masked(normalized):
    mask = torch.tensor([[True, False, True, False]] * 5)
    batch = replace(cases.toy_batch(), neg_mask=mask)
    delta = RandomHardness(normalized)(*single(), batch)
    assert (delta[~mask] == 0).all()


def test_kinds_are_built_by_name(graph):
    assert isinstance(build_hardness(graph), EmbeddingHardness)
    hardness = build_hardness(graph, "embedding", dim=3)
    assert tuple(hardness.user.shape) == (cases.NUM_USERS, 3)
    assert tuple(hardness.item.shape) == (cases.NUM_ITEMS, 3)
    for kind, entry in HARDNESS.items():
        assert type(build_hardness(graph, kind)) is entry.load()


def test_the_widths_are_those_of_the_authors(graph):
    table, network = EmbeddingHardness(2, 3), MLPHardness()
    assert table.user.size(1) == table.item.size(1) == 64
    assert network.user.weight.shape == network.item.weight.shape == (4, 64)


@pytest.mark.parametrize("name", ["dim", "hidden"])
def test_a_width_is_at_least_one(name):
    assert MLPHardness(**{name: 1}) is not None
    with pytest.raises(ValueError, match=f"{name} must be positive .got 0"):
        MLPHardness(**{name: 0})


def test_an_unknown_kind_is_an_error_with_a_hint(graph):
    with pytest.raises(UnknownNameError, match=r"hardness\.kind 'embed', did you"):
        build_hardness(graph, "embed")


def test_the_base_has_no_logits():
    with pytest.raises(NotImplementedError, match="Hardness has no logits"):
        Hardness()(*single(), cases.toy_batch())


@pytest.mark.parametrize(
    ("users", "items"), [(2, cases.NUM_ITEMS), (cases.NUM_USERS, 2)]
)
def test_a_hardness_of_another_graph_says_so(users, items):
    batch = EdgeBatch(torch.tensor([3]), torch.tensor([0]), torch.tensor([[4]]))
    hardness = EmbeddingHardness(users, items, dim=3)
    said = f"the batch has ids outside the hardness of {users} users and {items} items"
    with pytest.raises(IndexError, match=said):
        hardness(*single(), batch)
