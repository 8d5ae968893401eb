import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.analysis.holm import holm

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
