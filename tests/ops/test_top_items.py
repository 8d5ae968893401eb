import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.ops import top_items


def naive_top(row, k):
    kept = [i for i in range(len(row)) if row[i] != -np.inf]
    best = sorted(kept, key=lambda i: (-row[i], i))[:k]
    return best + [-1] * (k - len(best))


@settings(max_examples=150)
@given(st.data())
def test_agrees_with_a_sort_by_score_then_index(data):
    num_rows, num_items = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 12))
    levels = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1.0, 2.0, np.inf])
    row = st.lists(levels, min_size=num_items, max_size=num_items)
    rows = data.draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    k = data.draw(st.integers(1, 15))
    value, item = top_items(torch.tensor(rows), k)
    expected = [naive_top(row, k) for row in rows]
    assert item.tolist() == expected
    assert value.tolist() == [
        [row[i] if i >= 0 else -np.inf for i in best]
        for row, best in zip(rows, expected, strict=True)
    ]


@pytest.mark.parametrize("num_items", [30, 1000, 5000])
@pytest.mark.parametrize("k", [1, 20])
def test_many_ties_at_the_boundary(num_items, k):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 6, (40, num_items), generator=generator).float()
    _, item = top_items(scores, k)
    assert item.tolist() == [naive_top(row, k) for row in scores.tolist()]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(512, 1100))
def test_wide_rows_agree_with_a_sort(seed, k, num_items):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(4, num_items, generator=generator)
    scores[1] = (scores[1] * 2).round()  # ties everywhere
    scores[2][scores[2] < 2.5] = -torch.inf  # few items or none
    scores[3, -20:] += 3  # the best among the last columns
    value, item = top_items(scores, k)
    assert item.tolist() == [naive_top(row, k) for row in scores.tolist()]
    listed = scores.gather(1, item.clamp(min=0)).masked_fill(item < 0, -torch.inf)
    assert torch.equal(value, listed)


@pytest.mark.parametrize("place", [0, 517, 999])
def test_a_wide_row_with_nan_starts_with_nan(place):
    scores = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    scores[0, place] = torch.nan
    value, _ = top_items(scores, 2)
    assert value[:, 0].isnan().tolist() == [True, False]


def test_all_equal_scores_list_the_lowest_ids():
    _, item = top_items(torch.zeros(3, 100), 5)
    assert item.tolist() == [[0, 1, 2, 3, 4]] * 3


def test_scores_are_left_as_they_are():
    scores = torch.tensor([[1.0, 1.0, 0.0, -torch.inf]])
    before = scores.clone()
    top_items(scores, 2)
    assert torch.equal(scores, before)


@pytest.mark.parametrize("row", [[torch.nan, 1, 1, 1], [1, 1, 1, torch.nan]])
def test_a_row_with_nan_starts_with_nan(row):
    value, _ = top_items(torch.tensor([row, [1.0, 2, 3, 4]]), 2)
    assert value[0, 0].isnan()
    assert not value[1].isnan().any()


def test_no_rows():
    value, item = top_items(torch.empty(0, 4), 6)
    assert value.shape == item.shape == (0, 6)
