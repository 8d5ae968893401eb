import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from pyg_advinfonce.analysis.paired_t_test import paired_t_test


def samples(seed=0, size=12, shift=0.3):
    generator = np.random.default_rng(seed)
    return generator.normal(size=size), generator.normal(shift, size=size)


def test_two_pairs_have_a_closed_form():
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


def test_p_is_uniform_without_a_difference():
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
