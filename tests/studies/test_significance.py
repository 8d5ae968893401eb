import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pyg_advinfonce.studies.significance import holm, paired_bootstrap, paired_t_test

ps = st.lists(st.floats(0, 1), max_size=8)


def rejected(p, level):
    """Return what Holm's procedure rejects, step by step."""
    order, found = sorted(range(len(p)), key=lambda i: p[i]), set()
    for step, i in enumerate(order):
        if p[i] * (len(p) - step) > level:
            break
        found.add(i)
    return found


@given(ps, st.floats(0.01, 0.5))
def test_rejects_what_the_stepwise_procedure_rejects(p, level):
    assert {i for i, v in enumerate(holm(p)) if v <= level} == rejected(p, level)


@given(ps)
def test_lies_between_p_and_bonferroni(p):
    for before, after in zip(p, holm(p), strict=True):
        assert before <= after <= min(1, len(p) * before)


@given(ps, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    adjusted = holm(p)
    assert holm([p[i] for i in order]) == [adjusted[i] for i in order]


@given(ps)
def test_no_comparison_does_not_count(p):
    with_nan = holm([math.nan, *p, math.nan])
    assert with_nan[1:-1] == holm(p)
    assert all(math.isnan(v) for v in (with_nan[0], with_nan[-1]))


def test_a_textbook_s_numbers():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


value = st.sampled_from([0.0, 0.0, 0.125, 0.5, 1.0])
few = st.lists(st.tuples(value, value), min_size=2, max_size=30)


def p(one, other, **options):
    return paired_bootstrap(np.asarray(one), np.asarray(other), **options).p


@settings(max_examples=60)
@given(few, st.randoms(use_true_random=False))
def test_neither_order_nor_side_nor_scale_matter(pairs, random):
    values, other = map(list, zip(*pairs, strict=True))
    order = list(range(len(values)))
    random.shuffle(order)
    found = p(values, other, samples=200)
    assert p(other, values, samples=200) == found
    shuffled = [[side[i] for i in order] for side in (values, other)]
    assert p(*shuffled, samples=200) == found
    assert p([4 * v for v in values], [4 * v for v in other], samples=200) == found


def test_two_pairs_have_a_closed_form():
    # Differences 1 and 3: a sample's mean is never as far from 2 as 2 from 0.
    assert p([1.0, 3.0], [0.0, 0.0], samples=999) == 1 / 1000
    # Differences -1 and 3: two of four equally likely means are 2 from the mean 1.
    assert p([-1.0, 3.0], [0.0, 0.0], samples=20_000) == pytest.approx(0.5, abs=0.02)


def test_on_many_pairs_it_is_the_t_test():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=500), generator.normal(0.12, size=500)
    expected = stats.ttest_rel(a, b).pvalue
    assert 0.02 < expected < 0.5
    assert p(a, b, samples=20_000) == pytest.approx(expected, abs=0.015)


def test_p_is_uniform_without_a_difference():
    generator = np.random.default_rng(1)
    found = [
        p(*generator.normal(size=(2, 100)), samples=200, seed=i) for i in range(500)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_the_smallest_p_is_that_of_the_number_of_samples():
    assert p([1.0, 1.1] * 20, [0.0] * 40, samples=99) == 0.01


def test_pieces_of_samples_are_all_samples(monkeypatch):
    generator = np.random.default_rng(2)
    a, b = generator.normal(size=(2, 50))
    whole = p(a, b, samples=1000)
    module = "pyg_advinfonce.studies.significance.MOST_DRAWS"
    monkeypatch.setattr(module, 120)
    assert p(a, b, samples=1000) == whole


def test_users_without_a_difference_are_users():
    some = [0.5, 0.25, 0.125]
    assert p([*some, *[0.0] * 10], [0.0] * 13) > p(some, [0.0] * 3)


@pytest.mark.parametrize(
    ("one", "other", "expected", "reason"),
    [
        ([0.5] * 9, [0.5] * 9, 1.0, "all pairs are equal"),
        ([], [], math.nan, "too few pairs for a bootstrap (0)"),
        ([1.0], [2.0], math.nan, "too few pairs for a bootstrap (1)"),
        ([1.0] * 3, [1.0] * 4, math.nan, "no pairs: 3 and 4 values"),
        ([1.0, math.nan], [1.0, 2.0], math.nan, "a value is missing"),
    ],
)
def test_what_allows_no_test(one, other, expected, reason):
    found = paired_bootstrap(one, other)
    assert found.p == pytest.approx(expected, nan_ok=True)
    assert found.note == reason


def samples(seed=0, size=12, shift=0.3):
    generator = np.random.default_rng(seed)
    return generator.normal(size=size), generator.normal(shift, size=size)


def test_paired_t_test_two_pairs_have_a_closed_form():
    # One degree of freedom is Cauchy's distribution; differences 1 and 3 give t = 2.
    expected = 1 - 2 / math.pi * math.atan(2)
    found = paired_t_test([1.0, 3.0], [0.0, 0.0])
    assert found.p == pytest.approx(expected)
    assert found.note == "few pairs for a t-test (2)"


def test_agrees_with_scipy():
    a, b = samples()
    assert paired_t_test(a, b).p == stats.ttest_rel(a, b).pvalue
    assert paired_t_test(a, b).note == ""


def test_what_does_not_matter():
    a, b = samples()
    p, order = paired_t_test(a, b).p, np.random.default_rng(1).permutation(len(a))
    assert paired_t_test(b, a).p == pytest.approx(p)
    assert paired_t_test(a[order], b[order]).p == pytest.approx(p)
    assert paired_t_test(5 * a + 1, 5 * b + 1).p == pytest.approx(p)


def test_paired_t_test_p_is_uniform_without_a_difference():
    found = [paired_t_test(*samples(seed, 5, 0.0)).p for seed in range(500)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_larger_difference_has_a_smaller_p():
    found = [paired_t_test(*samples(shift=shift)).p for shift in (0.5, 1, 2, 4)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


@pytest.mark.parametrize("size", [1, 2, 5, 6, 20])
def test_identical_values_differ_by_chance_alone(size):
    values = [0.1] * size
    found = paired_t_test(values, values)
    assert (found.p == 1) == (size > 1)
    assert found.note


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ([], [], "too few pairs for a t-test (0)"),
        ([1.0], [2.0], "too few pairs for a t-test (1)"),
        ([1.0, 2.0], [1.0], "no pairs: 2 and 1 values"),
        ([1.0, math.nan], [1.0, 2.0], "a value is missing"),
        ([1.0, math.inf], [1.0, math.inf], "a value is missing"),
        ([1.1, 2.1, 3.1], [1.0, 2.0, 3.0], "all pairs differ by the same amount"),
    ],
)
def test_without_a_test_there_is_a_reason(one, other, reason):
    found = paired_t_test(one, other)
    assert math.isnan(found.p)
    assert found.note == reason


def test_exact_differences_that_are_nearly_equal():
    base = [float(Fraction(i, 7)) for i in range(8)]
    assert math.isnan(paired_t_test([v + 0.25 for v in base], base).p)
