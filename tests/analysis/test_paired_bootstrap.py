import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pyg_advinfonce.analysis.paired_bootstrap import paired_bootstrap

value = st.sampled_from([0.0, 0.0, 0.125, 0.5, 1.0])
few = st.lists(st.tuples(value, value), min_size=2, max_size=30)


def p(one, other, **options):
    return paired_bootstrap(np.asarray(one), np.asarray(other), **options).p


@settings(deadline=None, max_examples=60)
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
    module = "pyg_advinfonce.analysis.paired_bootstrap.MOST_DRAWS"
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
