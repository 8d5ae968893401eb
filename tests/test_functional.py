import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.functional import (
    MASKED,
    align,
    angular_margin,
    bpr,
    check_not_negative,
    check_positive,
    debiased_mass,
    distance_correlation,
    info_nce,
    kl_to_uniform,
    uniform,
    unit_rows,
    view_info_nce,
)
from tests import reference

# Fixture G1 (docs/methods.md 10, G1): one row, cosines and the adversary's logits.
TAU = 0.2
POS, NEG = (0.6,), ((0.5, 0.1, -0.2),)
LOGITS = ((0.3, -0.1, 0.2),)


def f64(values, *, grad=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def g1_scores():
    return f64(POS).div(TAU).requires_grad_(), f64(NEG).div(TAU).requires_grad_()


def g1_delta(logits):
    return logits.log_softmax(-1) + math.log(3)


def close(tensor, values, tol=5e-9):
    return torch.allclose(tensor.detach(), f64(values), rtol=0, atol=tol)


UP_TO_4, UP_TO_6 = st.integers(1, 4), st.integers(1, 6)


@st.composite
def rows(draw, *, num_rows=UP_TO_4, size=UP_TO_6, scale=3.0):
    """Draw positives' scores, negatives' scores and a row of logits for each."""
    shape = draw(num_rows), draw(size)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def normal(*size):
        return scale * torch.randn(*size, generator=generator, dtype=torch.float64)

    return normal(shape[0]), normal(*shape), normal(*shape)


def delta_of(logits):
    return logits.log_softmax(-1) + math.log(logits.size(-1))


@pytest.mark.parametrize(
    ("delta", "weight", "value"),
    [
        (False, 1.0, 0.53469720),
        (True, 1.0, 0.58221676),
        (True, 64.0, 3.94274872),
        (False, 64.0, 3.83392314),
    ],
)
def test_g1_values(delta, weight, value):
    hard = g1_delta(f64(LOGITS)) if delta else None
    loss = info_nce(*g1_scores(), hard, weight)
    assert loss.item() == pytest.approx(value, abs=5e-9)


def test_g1_gradients():
    pos, neg = g1_scores()
    logits = f64(LOGITS, grad=True)
    info_nce(pos, neg, g1_delta(logits), 64.0).backward()
    assert close(pos.grad, [-0.98060517])
    assert close(neg.grad, [[0.87707390, 0.07956635, 0.02396492]])
    assert close(neg.grad.sum(), 0.98060517)
    assert close(logits.grad, [[0.49627964, -0.17568767, -0.32059197]])
    assert close(neg.grad / neg.grad.sum(), [[0.89442104, 0.08114005, 0.02443891]])


def test_g1_bpr():
    assert close(bpr(f64([0.6]), f64([[0.5]])), 0.64439666)


def test_g1_kl():
    delta = g1_delta(f64(LOGITS))
    assert close(delta, [[0.15270161, -0.24729839, 0.05270161]])
    forward, backward = kl_to_uniform(delta)
    assert close(forward, 0.01396506)
    assert close(backward, 0.01344342)


def test_kl_of_a_negative_of_no_probability_is_finite():
    delta = torch.tensor([[math.log(2.0), -torch.inf]], requires_grad=True)
    forward, backward = kl_to_uniform(delta)
    assert backward.item() == pytest.approx(math.log(2.0))
    assert forward.item() == pytest.approx(0.5e30)
    (forward + backward).backward()
    assert delta.grad.isfinite().all()


@pytest.mark.parametrize("gap", [90.0, 800.0, 1e4])
def test_kl_where_a_probability_underflows(gap):
    for dtype in (torch.float32, torch.float64):
        delta = delta_of(torch.tensor([[0.0, -gap]], dtype=dtype))
        forward, backward = kl_to_uniform(delta)
        assert forward.item() == pytest.approx(gap / 2 - math.log(2.0), rel=1e-6)
        assert backward.item() == pytest.approx(math.log(2.0), rel=1e-6)


def test_g3():
    users = f64([[1, 0], [0, 1], [-1, 0]])
    positives = f64([[0, 1], [0, 1], [1, 0]])
    assert close(align(users, positives), 2.0)
    assert close(uniform(users), -4.39634897)
    assert close(uniform(positives), -1.06263599)
    assert close(uniform(users) + uniform(positives), -5.45898496)


@given(rows(scale=1.0), st.floats(0.5, 3.0))
@settings(max_examples=40)
def test_align_and_uniform_are_the_naive_formulas(row, t):
    _, x, y = row
    torch.testing.assert_close(align(x, y), reference.align(x, y))
    if len(x) > 1:
        torch.testing.assert_close(uniform(x, t), reference.uniform(x, t))


def debiased(pos, neg, prior, floor):
    number = torch.full(pos.shape, neg.size(-1))
    return debiased_mass(pos, neg.logsumexp(-1), number, prior, floor)


def g1_debiased(prior, floor=-5.0):
    return debiased(f64(POS) / TAU, f64(NEG) / TAU, prior, floor)


def test_g1_debiased():
    loss = torch.nn.functional.softplus(g1_debiased(0.1) - f64(POS) / TAU)
    assert close(loss, [0.37304238])


def test_the_debiased_mass_falls_as_more_negatives_are_taken_for_positives():
    """The positive scores above the mean; without correction it is the plain sum."""
    priors = (0.0, 0.01, 0.1, 0.2, 0.5)
    masses = [g1_debiased(prior).item() for prior in priors]
    assert masses == sorted(masses, reverse=True)
    assert len(set(masses)) > 3
    assert masses[0] == pytest.approx((f64(NEG) / TAU).logsumexp(-1).item())


@given(rows(), st.floats(0, 0.5), st.integers(0, 63))
@settings(max_examples=50)
def test_the_debiased_mass_is_the_naive_formula(row, prior, bits):
    pos, neg, _ = row
    keep = torch.tensor([bits >> k & 1 for k in range(neg.size(1))]).bool()
    log_sum = neg.masked_fill(~keep, MASKED).logsumexp(-1)
    found = debiased_mass(pos, log_sum, keep.sum(), prior, -4.0)
    for mass, p, r in zip(found, pos, neg, strict=True):
        kept = list(r[keep])
        expected = reference.debiased_mass(p, kept, prior, math.exp(-4.0))
        assert mass.exp().item() == pytest.approx(expected.item(), rel=1e-9)


def test_a_row_without_negatives_has_a_mass_that_nothing_notices():
    pos, log_sum = f64([1.0, 2.0]), f64([3.0, MASKED])
    mass = debiased_mass(pos, log_sum, torch.tensor([1, 0]), 0.1, -4.0)
    assert mass[1].item() == MASKED
    assert mass[0].item() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_the_floor_has_a_finite_value_and_no_gradient(dtype, scale):
    pos = (scale * f64([1.0])).to(dtype).requires_grad_()
    neg = (scale * f64([[0.0, -0.5]])).to(dtype).requires_grad_()
    mass = debiased(pos, neg, 0.5, -scale)
    assert mass.item() == pytest.approx(math.log(2) - scale, rel=1e-6)
    mass.sum().backward()
    assert not pos.grad.any()
    assert not neg.grad.any()


def column(*values):
    return f64(values).unsqueeze(-1)


def test_g8():
    x, y = column(0, 1, 2, 4), column(0, 1, 4, 16)
    assert close(distance_correlation(x, y, eps=0.0), 0.96997061)
    assert distance_correlation(x, y).item() == pytest.approx(0.96997061, abs=1e-6)
    assert distance_correlation(x, 3 * x + 1).item() == pytest.approx(1, abs=1e-6)


@given(rows(num_rows=st.integers(2, 6), size=st.integers(1, 4), scale=1.0))
@settings(max_examples=40)
def test_distance_correlation_is_the_naive_formula_symmetric_and_in_range(row):
    _, x, y = row
    found = distance_correlation(x, y)
    torch.testing.assert_close(found, reference.distance_correlation(x, y, 1e-8))
    torch.testing.assert_close(found, distance_correlation(y, x))
    assert 0 <= found <= 1 + 1e-6
    scaled = distance_correlation(x, 2 - 5 * x, eps=1e-24)
    assert scaled.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e4])
def test_distance_correlation_of_equal_rows_is_finite(dtype, scale):
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 1.0]], dtype=dtype) * scale
    x.requires_grad_()
    y = torch.ones(3, 2, dtype=dtype, requires_grad=True)
    value = distance_correlation(x, y)
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


@given(rows(num_rows=st.integers(1, 4), size=st.integers(2, 4), scale=1.0))
@settings(max_examples=40)
def test_views_are_contrasted_as_in_the_naive_formula(row):
    _, x, y = row
    expected = reference.view_info_nce(x, y, 0.3)
    torch.testing.assert_close(view_info_nce(x, y, 0.3), expected)


@given(rows(num_rows=st.integers(1, 4), size=st.integers(2, 4), scale=1.0), st.data())
@settings(max_examples=40)
def test_an_anchor_may_have_its_own_row_anywhere(row, data):
    _, anchor, other = row
    candidate = torch.cat([other, anchor.flip(0), other.flip(1)])
    place = st.integers(0, len(candidate) - 1)
    size = len(anchor)
    index = torch.tensor(data.draw(st.lists(place, min_size=size, max_size=size)))
    anchor, candidate = anchor.requires_grad_(), candidate.requires_grad_()
    found = view_info_nce(anchor, candidate, 0.3, index)
    expected = reference.view_info_nce(anchor, candidate, 0.3, index.tolist())
    torch.testing.assert_close(found, expected)
    grads = (torch.autograd.grad(z, (anchor, candidate)) for z in (found, expected))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_equal_views_at_right_angles_have_a_closed_form():
    eye = torch.eye(4, dtype=torch.float64)
    expected = math.log(math.exp(2) + 3) - 2
    assert close(view_info_nce(eye, eye, 0.5), expected)
    assert close(
        view_info_nce(eye[[2, 0, 2]], eye, 0.5, torch.tensor([2, 0, 2])), expected
    )
    other = math.log(math.exp(2) + 3)
    assert close(view_info_nce(eye[[2, 0]], eye, 0.5, torch.tensor([1, 3])), other)


def test_an_anchor_of_weight_two_counts_twice():
    generator = torch.Generator().manual_seed(0)
    anchor, candidate = torch.randn(2, 5, 3, generator=generator).double()
    index, twice = torch.tensor([4, 0]), torch.tensor([4, 0, 4])
    found = view_info_nce(
        anchor[:2], candidate, 0.3, index, weight=torch.tensor([2, 1])
    )
    expected = reference.view_info_nce(
        anchor[[0, 1, 0]], candidate, 0.3, twice.tolist()
    )
    torch.testing.assert_close(found, 3 * expected, rtol=1e-12, atol=0)


def test_identical_rows_are_uniform_to_degree_zero_and_finite():
    x = torch.ones(3, 2, requires_grad=True)
    value = uniform(x)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-6)
    assert x.grad.isfinite().all()


def test_uniform_of_one_row_is_an_error():
    with pytest.raises(ValueError, match=r"at least two rows \(got 1\)"):
        uniform(torch.ones(1, 4))


@given(rows())
@settings(max_examples=50)
def test_bpr_is_the_naive_formula(row):
    pos, neg, _ = row
    torch.testing.assert_close(bpr(pos, neg), reference.bpr(pos, neg))


def test_bpr_of_equal_scores_is_log_two():
    assert close(bpr(f64([3.0, 3.0]), f64([[3.0], [3.0]])), math.log(2))


def test_bpr_ignores_a_users_constant_and_its_gradients_are_opposite():
    pos, neg = f64([0.3, -1.0], grad=True), f64([[0.7], [0.2]], grad=True)
    shift = f64([5.0, -2.0])
    loss = bpr(pos, neg)
    torch.testing.assert_close(bpr(pos + shift, neg + shift[:, None]), loss)
    loss.backward()
    torch.testing.assert_close(pos.grad, -neg.grad[:, 0])


@given(rows())
@settings(max_examples=50)
def test_t1_mean_delta_is_minus_kl(row):
    delta = delta_of(row[2])
    torch.testing.assert_close(
        delta.exp().sum(-1), torch.full_like(row[0], delta.size(1))
    )
    wanted = [reference.kl_to_uniform(reference.softmax(g)) for g in row[2]]
    forward, backward = kl_to_uniform(delta)
    expected = [sum(column) / len(wanted) for column in zip(*wanted, strict=True)]
    torch.testing.assert_close(forward, expected[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(backward, expected[1], rtol=1e-9, atol=1e-9)
    assert forward >= -1e-12
    assert (delta.mean(-1) <= 1e-12).all()


def test_t1_equality_holds_for_uniform_hardness_alone():
    assert kl_to_uniform(torch.zeros(2, 3))[0] == 0
    assert kl_to_uniform(delta_of(f64([[0.0, 0.1]])))[0] > 0


@given(rows(), st.sampled_from([0.25, 1.0, 64.0]))
@settings(max_examples=50)
def test_t2_is_the_ratio_form(row, weight):
    pos, neg, logits = row
    delta = delta_of(logits)
    expected = reference.info_nce(pos, neg, reference.hardness(logits), weight)
    torch.testing.assert_close(info_nce(pos, neg, delta, weight), expected)


@given(rows(num_rows=st.just(1)))
@settings(max_examples=50)
def test_t2_bounds_the_largest_violation(row):
    pos, neg, logits = row
    delta, loss = delta_of(logits), info_nce(row[0], row[1], delta_of(logits))
    largest = max(0.0, (neg - pos[:, None] + delta).max().item())
    assert largest - 1e-9 <= loss.item()
    assert loss.item() <= largest + math.log(1 + neg.size(1)) + 1e-9


@given(rows(num_rows=st.just(1)), st.sampled_from([1.0, 64.0]))
@settings(max_examples=50)
def test_t3_gradients_of_the_scores(row, weight):
    pos, neg, logits = row
    pos.requires_grad_(), neg.requires_grad_()
    delta = delta_of(logits)
    info_nce(pos, neg, delta, weight).backward()
    mass = weight * (delta + neg).exp()  # [1, K]
    total = pos.exp() + mass.sum(-1)
    torch.testing.assert_close(pos.grad, -(1 - pos.exp() / total).detach())
    torch.testing.assert_close(neg.grad, (mass / total[:, None]).detach())
    assert (neg.grad > 0).all()
    torch.testing.assert_close(-pos.grad, neg.grad.sum(-1))


@given(rows())
@settings(max_examples=30)
def test_t4_no_hardness_is_info_nce_with_shifted_logits(row):
    pos, neg, _ = row
    none = torch.zeros_like(neg)
    torch.testing.assert_close(info_nce(pos, neg, none), info_nce(pos, neg))
    shifted = info_nce(pos, neg + math.log(64))
    torch.testing.assert_close(info_nce(pos, neg, none, 64.0), shifted)


@given(rows(num_rows=st.just(1)), st.sampled_from([1.0, 64.0]))
@settings(max_examples=50)
def test_t5_gradient_of_the_logits(row, weight):
    pos, neg, logits = row
    logits.requires_grad_()
    info_nce(pos, neg, delta_of(logits), weight).backward()
    p = logits.detach().softmax(-1)
    q = (logits.detach() + neg).softmax(-1)
    mass = weight * (delta_of(logits.detach()) + neg).exp().sum(-1)
    share = mass / (pos.exp() + mass)
    torch.testing.assert_close(logits.grad, share[:, None] * (q - p))
    assert logits.grad.sum().item() == pytest.approx(0.0, abs=1e-12)


@given(rows(), st.floats(-2, 2))
@settings(max_examples=30)
def test_t6_equal_scores_make_hardness_irrelevant(row, score):
    pos, neg, logits = row
    equal = torch.full_like(neg, score)
    expected = info_nce(pos, equal, None, 64.0)
    torch.testing.assert_close(info_nce(pos, equal, delta_of(logits), 64.0), expected)


@given(rows(), st.floats(-50, 50))
@settings(max_examples=30)
def test_a_rows_constant_changes_nothing(row, shift):
    pos, neg, _ = row
    torch.testing.assert_close(info_nce(pos + shift, neg + shift), info_nce(pos, neg))


@given(rows())
@settings(max_examples=30)
def test_info_nce_is_cross_entropy(row):
    pos, neg, _ = row
    logits = torch.cat([pos[:, None], neg], 1)
    target = torch.zeros(len(pos), dtype=torch.long)
    expected = torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(info_nce(pos, neg), expected)


def test_equal_scores_give_log_of_the_number_of_candidates():
    assert close(info_nce(f64([1.0]), f64([[1.0, 1.0, 1.0]])), math.log(4))


def test_gradcheck():
    pos, neg = f64([0.3, -0.2], grad=True), f64([[0.1, 0.9], [0.5, -2.0]], grad=True)
    logits = f64([[0.2, -0.4], [1.0, 0.3]], grad=True)

    def loss(pos, neg, logits):
        return info_nce(pos, neg, delta_of(logits), 64.0)

    assert torch.autograd.gradcheck(loss, (pos, neg, logits))
    assert torch.autograd.gradcheck(bpr, (pos, neg))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_scores_keep_loss_and_gradient_finite(dtype, scale, sign):
    pos = torch.tensor([sign * scale, 0.0]).to(dtype).requires_grad_()
    neg = torch.tensor([[-sign * scale, 0.5 * scale]] * 2).to(dtype).requires_grad_()
    for loss in (info_nce(pos, neg), info_nce(pos, neg, None, 64.0), bpr(pos, neg)):
        pos.grad = neg.grad = None
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert pos.grad.isfinite().all()
        assert neg.grad.isfinite().all()


def test_extreme_scores_give_the_linear_part():
    loss = info_nce(torch.tensor([-1e4]), torch.tensor([[1e4]]))
    assert loss.item() == pytest.approx(2e4)
    assert info_nce(torch.tensor([1e4]), torch.tensor([[-1e4]])).item() == 0.0


@pytest.mark.parametrize("weight", [1.0, 64.0])
def test_single_precision_keeps_six_digits(weight):
    generator = torch.Generator().manual_seed(3)
    pos, neg, logits = (
        torch.randn(*size, generator=generator, dtype=torch.float64)
        for size in ((32,), (32, 16), (32, 16))
    )
    exact = info_nce(pos, neg, delta_of(logits), weight)
    single = info_nce(pos.float(), neg.float(), delta_of(logits.float()), weight)
    assert single.item() == pytest.approx(exact.item(), rel=1e-6)


def test_masked_scores_do_not_count():
    pos, neg = f64([0.4], grad=True), f64([[0.1, 0.7, MASKED]], grad=True)
    loss = info_nce(pos, neg)
    torch.testing.assert_close(loss, info_nce(pos, neg[:, :2]))
    loss.backward()
    assert neg.grad[0, 2] == 0


def test_minus_infinity_leaves_a_negative_out():
    pos, neg = f64([0.4], grad=True), f64([[0.1, 0.7, -torch.inf]], grad=True)
    loss = info_nce(pos, neg)
    torch.testing.assert_close(loss, info_nce(pos, neg[:, :2]))
    loss.backward()
    assert neg.grad.isfinite().all()


def test_a_row_without_negatives_costs_nothing():
    pos, neg = f64([0.4], grad=True), f64([[MASKED, MASKED]], grad=True)
    loss = info_nce(pos, neg)
    loss.backward()
    assert loss.item() == 0
    assert pos.grad.item() == 0
    assert neg.grad.tolist() == [[0, 0]]


def test_unit_rows():
    rows = unit_rows(f64([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[0.6, 0.8], [0.0, 0.0]]
    assert unit_rows(torch.ones(1, 4, dtype=torch.float16)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_zero_row_has_a_finite_gradient(dtype):
    x = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    unit_rows(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("cosine", [-1.0, 1.0])
def test_an_angle_at_its_end_has_a_finite_slope(cosine):
    score = f64([cosine], grad=True)
    angular_margin(score, f64([0.3])).sum().backward()
    assert score.grad.isfinite().all()


@pytest.mark.parametrize("wrong", [-1, -0.5, math.inf, math.nan])
@pytest.mark.parametrize(
    ("check", "said"),
    [(check_positive, "be positive"), (check_not_negative, "not be negative")],
)
def test_numbers_that_are_checked_by_name(check, said, wrong):
    check(tau=0.1, dim=1)
    with pytest.raises(ValueError, match=rf"^w2 must {said} \(got {wrong}\)$"):
        check(w1=1, w2=wrong)


def test_zero_is_neither_positive_nor_negative():
    check_not_negative(x=0)
    with pytest.raises(ValueError, match="x must be positive"):
        check_positive(x=0)
