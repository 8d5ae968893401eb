import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.datasets.split_files import distinct_pairs, pair_keys
from pyg_advinfonce.datasets.splits.divide import divide
from pyg_advinfonce.datasets.splits.interactions import Interactions
from pyg_advinfonce.datasets.splits.split_options import SplitOptions
from pyg_advinfonce.datasets.tables.logs import Log
from pyg_advinfonce.errors import ConfigError

BLOCK = np.stack(np.divmod(np.arange(1000), 50))  # 20 users with 50 items each
OPTIONS = [
    SplitOptions(),
    SplitOptions("random", 0.2, 0.3, seed=5),
    SplitOptions("leave-last"),
    SplitOptions("time"),
    SplitOptions("popularity-shift", gammas=(3, 1), num_groups=2, test_fraction=0.2),
    SplitOptions("popularity-shift", gammas=(2,), mode="notebook", num_groups=2),
]
rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)),
    min_size=8,
    max_size=60,
)


def log_of(found):
    table = np.array(found)
    none = np.zeros(0, dtype=np.int64)
    return Log(table[:, :2].T, table[:, 2].astype(float), len(table), none, none)


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.datasets.base.DataWarning")
@pytest.mark.parametrize("options", OPTIONS)
@given(rows, st.randoms())
def test_disjoint_complete_and_stable_under_the_order_of_rows(options, found, chance):
    shuffled = chance.sample(found, len(found))
    log = Interactions.of(log_of(found))
    try:
        splits = divide(log, options)
    except ConfigError:
        return
    again = divide(Interactions.of(log_of(shuffled)), options)
    keys = np.concatenate([pair_keys(pairs) for pairs in splits.values()])
    assert sorted(keys) == pair_keys(log.pairs).tolist()
    assert list(splits)[:2] == ["train", "valid"]
    assert all(np.array_equal(splits[name], again[name]) for name in splits)
    assert all(np.array_equal(p, distinct_pairs(p)) for p in splits.values())


@given(rows)
def test_no_user_becomes_cold_by_chance(found):
    log = Interactions.of(log_of(found))
    try:
        splits = divide(log, SplitOptions(valid_fraction=0.3, test_fraction=0.3))
    except ConfigError:
        return
    assert set(splits["train"][0]) == set(log.pairs[0])


def test_sizes_and_seeds():
    log = Interactions(BLOCK)
    sizes = {n: p.shape[1] for n, p in divide(log, SplitOptions()).items()}
    assert sizes == {"train": 800, "valid": 100, "test": 100}
    one, other = (divide(log, SplitOptions(seed=s)) for s in (0, 1))
    assert not np.array_equal(one["test"], other["test"])


def test_repeated_pairs_are_merged_counted_and_have_their_first_time():
    log = Interactions.of(log_of([(1, 2, 5), (0, 1, 3), (1, 2, 4), (1, 2, 9)]))
    assert log.pairs.T.tolist() == [[0, 1], [1, 2]]
    assert log.duplicates == 2
    assert log.time.tolist() == [3, 4]


@pytest.mark.parametrize("options", OPTIONS[:4])
def test_an_empty_split_is_an_error(options):
    with pytest.raises(ConfigError, match=r"leaves (train|valid|test) empty"):
        divide(Interactions(BLOCK[:, :1], 0, np.zeros(1)), options)


def test_a_split_without_its_times():
    with pytest.raises(ConfigError, match="needs the times"):
        divide(Interactions(BLOCK), SplitOptions("time"))
