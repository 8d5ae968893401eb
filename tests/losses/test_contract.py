"""What every loss of the registry promises, one row of ``tests/cases.py`` at a time."""

import copy
import itertools
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.objective import Objective, Phase, Supervised
from pyg_advinfonce.registry import LOSSES
from tests import cases
from tests.cases import CASES, CRITERIA, FIRST, toy_batch, toy_tables

every_case = pytest.mark.parametrize("case", CRITERIA, ids=lambda case: case.id)
every_loss = pytest.mark.parametrize(
    "case", [c for c in FIRST if c.is_criterion], ids=lambda case: case.loss
)


def some_cases(keep):
    return pytest.mark.parametrize(
        "case", [c for c in CRITERIA if keep(c)], ids=lambda case: case.id
    )


tempered = some_cases(lambda case: case.takes("tau"))
weighted = some_cases(lambda case: case.takes("negative_weight"))
draws_nothing = some_cases(lambda case: not case.draws)
sampled_without_draws = some_cases(
    lambda case: not case.draws and case.build().negatives == "sampled"
)
sums_over_sampled = some_cases(
    lambda case: case.sums and case.build().negatives == "sampled"
)


def test_every_loss_of_the_registry_has_a_row():
    assert {case.loss for case in CASES} == set(LOSSES)


def loss_of(criterion, tables, batch, seed=0):
    torch.manual_seed(seed)
    return criterion(*tables, batch)


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_finite_scalar_of_the_embeddings_type(case, dtype):
    criterion, tables = case.build().to(dtype), toy_tables(dtype)
    assert isinstance(criterion, Criterion)
    loss = loss_of(criterion, tables, toy_batch())
    assert loss.shape == ()
    assert loss.isfinite()
    assert loss.dtype == dtype
    assert loss.device == tables[0].device


@every_case
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 2), (4, 1), (1, 1)])  # 2: repeats
def test_loss_and_gradients_are_those_of_the_naive_formula(case, shape):
    criterion, batch = case.build().double(), toy_batch(*shape)
    tables = toy_tables()
    torch.manual_seed(0)
    expected = case.naive(criterion, *tables, batch)  # of the state before the step
    loss = loss_of(criterion, tables, batch)
    # random hardness is drawn in single precision
    tolerance = 1e-6 if case.loss == "rand" else 1e-9
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance, abs=1e-12)
    if shape[0] == 1 and criterion.negatives == "in_batch":
        return  # no other positive: the naive loss is a constant 0
    leaves = (*tables, *criterion.parameters())
    found = torch.autograd.grad(loss, leaves)
    wanted = torch.autograd.grad(expected, leaves)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=10 * tolerance, atol=tolerance)


@every_case
def test_single_precision_keeps_six_digits(case):
    criterion, batch = case.build(), toy_batch(10, 8)
    double = loss_of(copy.deepcopy(criterion).double(), toy_tables(), batch)
    single = loss_of(criterion, toy_tables(torch.float32), batch)
    # tau divides the rounding of a cosine as well
    assert single.item() == pytest.approx(double.item(), rel=1e-6, abs=1e-6)


@every_case
def test_gradients_reach_both_tables(case):
    tables, batch = toy_tables(torch.float32), toy_batch()
    loss_of(case.build(), tables, batch).backward()
    for table, used in zip(tables, (batch.src_index, batch.dst_pos_index), strict=True):
        assert table.grad.isfinite().all()
        assert table.grad[used].abs().sum(-1).all()


@draws_nothing
@given(st.permutations(range(4)), st.integers(0, 1000))
@settings(max_examples=8)
def test_the_order_of_negatives_does_not_matter(case, order, seed):
    criterion, tables = case.build().double().eval(), toy_tables(seed=seed)
    batch = toy_batch(seed=seed)
    shuffled = replace(batch, dst_neg_index=batch.dst_neg_index[:, order])
    expected = loss_of(criterion, tables, batch)
    torch.testing.assert_close(loss_of(criterion, tables, shuffled), expected)


@some_cases(lambda case: case.loss != "adv-mlp")  # reads embeddings without gradient
def test_gradients_are_the_slopes(case):
    criterion, tables, batch = case.build().double().eval(), toy_tables(), toy_batch()
    assert torch.autograd.gradcheck(
        lambda *z: loss_of(criterion, z, batch), tables, fast_mode=True
    )


@draws_nothing
def test_the_order_of_the_batch_does_not_matter(case):
    criterion, tables, batch = case.build().double().eval(), toy_tables(), toy_batch()
    order = torch.tensor([3, 1, 4, 0, 2])
    shuffled = EdgeBatch(
        batch.src_index[order], batch.dst_pos_index[order], batch.dst_neg_index[order]
    )
    expected = loss_of(criterion, tables, batch)
    torch.testing.assert_close(loss_of(criterion, tables, shuffled), expected)


@sums_over_sampled
def test_a_masked_negative_counts_as_if_it_were_not_there(case):
    criterion, tables, batch = case.build().double().eval(), toy_tables(), toy_batch()
    mask = torch.tensor([[True, False, True, True]] * 5)
    kept = replace(batch, dst_neg_index=batch.dst_neg_index[:, [0, 2, 3]])
    loss = loss_of(criterion, tables, replace(batch, neg_mask=mask))
    torch.testing.assert_close(loss, loss_of(criterion, tables, kept))


@some_cases(
    lambda case: (
        case.sums
        and case.takes("negative_weight")
        and not hasattr(case.build(), "hardness")
        and case.build().negatives == "sampled"
    )
)
def test_log_q_is_subtracted_from_the_scores(case):
    criterion, tables, batch = case.build().double(), toy_tables(), toy_batch()
    log_q = torch.full((5, 4), 0.25).double().log()
    corrected = loss_of(criterion, tables, replace(batch, neg_log_q=log_q))
    heavier = case.build(negative_weight=4 * criterion.negative_weight).double()
    torch.testing.assert_close(corrected, loss_of(heavier, tables, batch))


@sampled_without_draws
def test_negatives_drawn_by_weights_count_as_uniform_ones_when_corrected(case):
    """Each item occurs as often as its weight says, as if the sampler had no luck."""
    criterion, tables = case.build().double().eval(), toy_tables()
    user, item = toy_batch().src_index, toy_batch().dst_pos_index
    weight = torch.tensor([1, 1, 4, 2, 1, 3, 2, 1, 5, 2, 1, 1])  # sums up to 24
    items = torch.arange(cases.NUM_ITEMS)
    uniform = EdgeBatch(user, item, items.repeat(2).expand(5, -1))
    drawn = items.repeat_interleave(weight).expand(5, -1)  # [5, 24]
    weighted = HeteroData()
    weighted["user"].src_index, weighted["item"].dst_pos_index = user, item
    weighted["item"].dst_neg_index = drawn
    found = EdgeBatch.from_hetero(weighted, dst_weight=weight.double())
    leaves = (*tables, *criterion.parameters())
    expected = loss_of(criterion, tables, uniform)
    corrected = loss_of(criterion, tables, found)
    torch.testing.assert_close(corrected, expected, rtol=1e-9, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(corrected, leaves),
        torch.autograd.grad(expected, leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    assert not loss_of(criterion, tables, replace(found, neg_log_q=None)).isclose(
        expected
    )


@every_case
def test_a_sampling_probability_of_zero_stays_finite(case):
    tables, batch = toy_tables(torch.float32), toy_batch()
    log_q = torch.tensor([0.0, 0.25, 1e-45, 1.0]).log().expand(5, 4)
    loss = loss_of(case.build(), tables, replace(batch, neg_log_q=log_q))
    loss.backward()
    assert loss.isfinite()
    assert all(table.grad.isfinite().all() for table in tables)


@every_case
def test_state_dict_round_trip(case):
    criterion, tables, batch = case.build(), toy_tables(torch.float32), toy_batch()
    loss_of(criterion, tables, batch)  # moves the state, if there is one
    other = case.build()
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1.0)
    other.load_state_dict(criterion.state_dict())
    expected = loss_of(criterion, tables, batch)
    assert torch.equal(loss_of(other, tables, batch), expected)


@every_case
def test_a_used_loss_is_pickled(case):
    criterion, tables, batch = case.build(), toy_tables(torch.float32), toy_batch()
    loss_of(criterion, tables, batch)  # moves the state, if there is one
    other = pickle.loads(pickle.dumps(criterion))
    expected = loss_of(criterion, tables, batch)
    assert torch.equal(loss_of(other, tables, batch), expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # by dynamo
@pytest.mark.parametrize("name", ["bpr", "infonce", "adv", "ccl"])
def test_a_compiled_loss_is_the_eager_one(name):
    torch.compiler.reset()
    criterion, batch = cases.find(name).build(), toy_batch()
    tables = toy_tables(torch.float32)
    expected = loss_of(criterion, tables, batch)
    compiled = torch.compile(criterion, backend="eager")
    assert torch.equal(loss_of(compiled, tables, batch), expected)


@every_case
@pytest.mark.parametrize(("size", "num_negatives"), [(1, 1), (1, 4), (5, 1)])
def test_one_row_and_one_negative_stay_finite(case, size, num_negatives):
    tables, batch = toy_tables(torch.float32), toy_batch(size, num_negatives)
    loss = loss_of(case.build(), tables, batch)
    loss.backward()
    assert loss.isfinite()
    assert all(table.grad.isfinite().all() for table in tables)


@every_case
@pytest.mark.parametrize("num_items", [1, 2])
def test_more_negatives_than_items(case, num_items):
    graph = cases.build_graph(
        cases.pairs((0, 0), (1, num_items - 1)), num_users=2, num_items=num_items
    )
    tables = toy_tables(torch.float32, users=2, items=num_items)
    index = torch.tensor([0, 1, 0])
    batch = EdgeBatch(index, index.clamp(max=num_items - 1), torch.zeros(3, 5).long())
    loss = loss_of(case.build(graph), tables, batch)
    loss.backward()
    assert loss.isfinite()


@tempered
@pytest.mark.parametrize("tau", [0.01, 1e-3])
def test_a_low_temperature_stays_finite(case, tau):
    tables = toy_tables(torch.float32)
    loss = loss_of(case.build(tau=tau), tables, toy_batch(10, 8))
    loss.backward()
    assert loss.isfinite()
    assert all(table.grad.isfinite().all() for table in tables)


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_embeddings_stay_finite(case, dtype):
    tables = toy_tables(dtype)
    loss = loss_of(case.build(), tables, toy_batch())
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    for table in tables:
        assert table.grad.dtype == dtype
        assert table.grad.isfinite().all()


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_zero_and_huge_vectors_stay_finite_at_any_temperature(case, dtype, scale):
    # over such a tau the gradient of an inner product exceeds float16
    low = [{"tau": 1e-3}] if case.takes("tau") and case.build().cosine else []
    for options, size in itertools.product([{}, *low], [(1, 1), (5, 4)]):
        tables = [z.detach().mul(scale).requires_grad_() for z in toy_tables(dtype)]
        loss = loss_of(case.build(**options), tables, toy_batch(*size))
        loss.backward()
        assert loss.isfinite()
        assert all(table.grad.isfinite().all() for table in tables)


@tempered
@pytest.mark.parametrize("tau", [0, -0.1, float("nan"), float("inf")])
def test_an_impossible_temperature(case, tau):
    with pytest.raises(ValueError, match=rf"tau must be positive \(got {tau}\)"):
        case.build(tau=tau)


@weighted
@pytest.mark.parametrize("weight", [0, -1.0, float("nan"), float("inf")])
def test_an_impossible_weight(case, weight):
    with pytest.raises(ValueError, match="negative_weight must be positive"):
        case.build(negative_weight=weight)


@every_case
def test_a_batch_without_negatives_is_an_error_that_says_what_to_do(case):
    criterion, batch = case.build(), toy_batch(5, 0)
    if criterion.negatives != "sampled":
        assert loss_of(criterion, toy_tables(torch.float32), batch).isfinite()
        return
    with pytest.raises(ValueError, match=r"at least one negative .*num_negatives"):
        loss_of(criterion, toy_tables(torch.float32), batch)


@some_cases(lambda case: case.build().negatives == "sampled" and case.loss != "invcf")
def test_users_and_items_have_the_same_width(case):
    z_user, z_item = toy_tables()
    with pytest.raises(ValueError, match=r"(z_user|x_src) .* must agree in D "):
        loss_of(case.build().double(), (z_user, z_item[:, :-1]), toy_batch())


@every_case
def test_an_eval_forward_is_pure(case):
    criterion, tables, batch = case.build().eval(), toy_tables(), toy_batch()
    criterion.double()
    before = copy.deepcopy(criterion.state_dict())
    loss_of(criterion, tables, batch)
    criterion.diagnostics(*tables, batch)
    for name, value in criterion.state_dict().items():
        assert torch.equal(value, before[name])


@every_case
def test_diagnostics_are_finite_scalars(case):
    found = case.build().diagnostics(*toy_tables(torch.float32), toy_batch())
    assert all(value.shape == () and value.isfinite() for value in found.values())
    expected = {"kl_uniform_p", "kl_p_uniform", "delta_min", "delta_max"}
    has_hardness = hasattr(case.build(), "hardness")
    assert not has_hardness or set(found) == expected


@every_case
def test_phases_own_disjoint_parameters(case):
    criterion = case.build()
    main = Phase("main", Objective({"rec": Supervised(criterion)}))
    phases = criterion.phases(main)
    owned = [id(p) for phase in phases for p in phase.params or ()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in criterion.parameters()}
    assert [p.name for p in phases if p.params is None] == ["main"]


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.TrainingLoopWarning")
@every_loss
def test_some_steps_on_one_batch_lower_the_loss(case):
    criterion, tables, batch = case.build(), toy_tables(torch.float32), toy_batch(20, 8)
    optimizer = torch.optim.Adam(tables, lr=0.05)
    losses = []
    for _ in range(30):
        loss = loss_of(criterion, tables, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@every_loss
@pytest.mark.parametrize("field", ["src_index", "dst_pos_index"])
@pytest.mark.parametrize("wrong", [-1, 99])
def test_an_index_outside_the_tables_is_named(case, field, wrong):
    batch = toy_batch()
    index = getattr(batch, field).clone()
    index[2] = wrong
    said = rf"{field} (must hold )?rows of z_.*, 0 to .*{wrong}"
    with pytest.raises(IndexError, match=said):
        loss_of(
            case.build(), toy_tables(torch.float32), replace(batch, **{field: index})
        )
