import math

import numpy as np
import pytest
from scipy import stats

from pyg_advinfonce.analysis.compare import compare
from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.per_user import FILE, save_per_user
from tests.finished_seeds import USERS, write_run

RECALL = "test/recall@20"
LOW, HIGH = (0.20, 0.21, 0.23), (0.25, 0.24, 0.29)


@pytest.fixture
def runs(tmp_path):
    return write_run(tmp_path / "low", LOW), write_run(tmp_path / "high", HIGH)


def test_seeds_are_pairs_and_so_are_users(runs):
    low, high = runs
    found = compare(low, high, RECALL)
    assert found.difference == pytest.approx(sum(HIGH) / 3 - sum(LOW) / 3)
    assert found.by_seeds.p == pytest.approx(stats.ttest_rel(LOW, HIGH).pvalue)
    assert found.by_users.p < 0.001
    assert found.by_users.note == ""


def test_the_other_way_round(runs):
    low, high = runs
    there, back = compare(low, high, RECALL), compare(high, low, RECALL)
    assert back.difference == -there.difference
    assert (back.by_seeds, back.by_users) == (there.by_seeds, there.by_users)


def test_a_run_does_not_differ_from_itself(runs):
    found = compare(runs[0], runs[0], RECALL)
    assert (found.difference, found.by_seeds.p, found.by_users.p) == (0, 1, 1)


def test_the_t_test_takes_the_seeds_of_both(tmp_path, runs):
    other = write_run(tmp_path / "other", (0.5, *LOW[1:]), first=0)[1:]
    found = compare(runs[0], other, RECALL)
    assert found.by_seeds.p == 1
    assert found.by_seeds.note == "all pairs are equal"


def test_runs_without_a_common_seed(tmp_path, runs):
    found = compare(runs[0], write_run(tmp_path / "other", HIGH, first=7), RECALL)
    assert math.isnan(found.by_seeds.p)
    assert found.by_seeds.note == "too few pairs for a t-test (0)"
    assert found.by_users.p < 0.001


@pytest.mark.parametrize("users", [USERS[:-1], USERS + 1])
def test_other_users_are_no_pairs(tmp_path, runs, users):
    found = compare(runs[0], write_run(tmp_path / "other", HIGH, users=users), RECALL)
    assert math.isnan(found.by_users.p)
    assert found.by_users.note == "the runs ranked different users"
    assert found.by_seeds.p < 1


def test_seeds_of_one_run_with_other_users(tmp_path, runs):
    write_run(tmp_path / "odd", HIGH[:1])
    odd = write_run(tmp_path / "odd", HIGH[1:], users=USERS[1:], first=1)
    found = compare(runs[0], odd, RECALL)
    assert found.by_users.note.endswith("odd ranked different users")


def test_a_run_from_before_there_was_a_file(runs):
    low, high = runs
    high[1].folder.joinpath(FILE).unlink()
    found = compare(low, high, RECALL)
    assert math.isnan(found.by_users.p)
    assert found.by_users.note.endswith(f"seed-1 has no {FILE}")


def test_a_missing_value(tmp_path, runs):
    found = compare(runs[0], write_run(tmp_path / "nan", (None, 0.2, 0.2)), RECALL)
    assert math.isnan(found.difference)
    assert found.by_seeds.note == "a value is missing"


def test_an_unknown_metric(runs):
    with pytest.raises(UnknownNameError, match="unknown metric 'test/recall@7'"):
        compare(*runs, "test/recall@7")


def test_users_are_averaged_over_seeds(tmp_path):
    # What the users of seed 0 gain, those of seed 1 lose: nothing is left.
    one, two = (write_run(tmp_path / n, (0.2, 0.2)) for n in ("one", "two"))
    for seed, got in zip([*one, *two], (0.5, 0.5, 0.75, 0.25), strict=True):
        arrays = {"test/user": USERS, RECALL: np.full(len(USERS), got)}
        save_per_user(arrays, seed.folder)
    assert compare(one, two, RECALL).by_users.note == "all pairs are equal"
