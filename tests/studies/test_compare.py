import json
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError, UnknownNameError
from pyg_advinfonce.runs.finished import save_per_user
from pyg_advinfonce.runs.folder import PER_USER
from pyg_advinfonce.studies import compare, compare_runs
from pyg_advinfonce.studies.compare import setting_differences
from pyg_advinfonce.studies.significance import holm
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
    assert found.by_seeds.note == (
        "too few pairs for a t-test (0): train with --seeds 0-4"
    )
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
    high[1].folder.joinpath(PER_USER).unlink()
    found = compare(low, high, RECALL)
    assert math.isnan(found.by_users.p)
    assert found.by_users.note.endswith(f"seed-1 has no {PER_USER}")


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


COMPARE_RUNS_RECALL, NDCG = "test/recall@20", "test/ndcg@20"


@pytest.fixture
def folders(tmp_path):
    values = {"a": (0.2, 0.21, 0.22), "b": (0.22, 0.25, 0.23), "c": (0.2, 0.2, 0.23)}
    for name, value in values.items():
        write_run(tmp_path / name, value)
    return [tmp_path / name for name in values]


def test_every_run_is_set_against_the_first(folders):
    found = compare_runs(folders)
    assert found["runs"] == [str(folder) for folder in folders]
    assert found["seeds"] == [[0, 1, 2]] * 3
    assert list(found["metrics"]) == [COMPARE_RUNS_RECALL, NDCG]
    base, one, two = found["metrics"][COMPARE_RUNS_RECALL]
    assert base == {
        "mean": base["mean"],
        "std": base["std"],
        "values": [0.2, 0.21, 0.22],
    }
    assert one["difference"] == pytest.approx(one["mean"] - base["mean"])
    assert two["difference"] == pytest.approx(two["mean"] - base["mean"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_p_values_are_corrected_over_the_whole_table(folders):
    found = compare_runs(folders)["metrics"]
    rows = [row for rows in found.values() for row in rows[1:]]
    for test in ("p_seeds", "p_users"):
        assert [r[f"{test}_holm"] for r in rows] == holm([r[test] for r in rows])


def test_fewer_comparisons_are_corrected_less(folders):
    many = compare_runs(folders)["metrics"][COMPARE_RUNS_RECALL][1]
    few = compare_runs(folders[:2], [COMPARE_RUNS_RECALL])["metrics"][
        COMPARE_RUNS_RECALL
    ][1]
    assert few["p_seeds"] == many["p_seeds"] == few["p_seeds_holm"]
    assert few["p_seeds_holm"] < many["p_seeds_holm"]


def test_one_seed_s_folder_is_a_run_too(folders):
    found = compare_runs([folder / "seed-1" for folder in folders[:2]])
    assert found["seeds"] == [[1], [1]]
    row = found["metrics"][COMPARE_RUNS_RECALL][1]
    assert row["p_seeds"] is None
    assert row["p_users"] < 0.05
    assert row["notes"] == [
        "by seeds: too few pairs for a t-test (1): train with --seeds 0-4"
    ]


def test_other_data_is_refused(tmp_path, folders):
    other = tmp_path / "other"
    write_run(other, (0.1, 0.2), data="mine: sha256 def")
    with pytest.raises(ConfigError, match=r"the same data: .*abc.*other.*def"):
        compare_runs([folders[0], other])


def test_data_is_what_it_holds_not_what_it_is_called(tmp_path, folders):
    write_run(tmp_path / "same", (0.1, 0.2, 0.3), data="copy of coat: sha256 abc")
    assert compare_runs([folders[0], tmp_path / "same"])["seeds"] == [[0, 1, 2]] * 2


def test_other_seeds_are_a_warning(tmp_path, folders):
    write_run(tmp_path / "more", (0.1, 0.2, 0.3, 0.2))
    with pytest.warns(UserWarning, match=r"have different seeds \(0-2; 0-3\)"):
        found = compare_runs([folders[0], tmp_path / "more"])
    assert found["metrics"][COMPARE_RUNS_RECALL][1]["p_seeds"] is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_runs(folders)


def test_one_run_is_no_comparison(folders):
    with pytest.raises(ConfigError, match=r"at least two runs \(got 1\)"):
        compare_runs(folders[:1])


def test_what_is_no_run(tmp_path, folders):
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        compare_runs([folders[0], tmp_path / "nowhere"])


def configure(criterion, data="none", **sections):
    return Config.resolve("mf", criterion, data, layers=[sections])


def test_settings_that_differ_are_listed_in_the_order_of_the_runs():
    found = setting_differences(
        [
            configure("infonce", loss={"tau": 0.1}, train={"epochs": 60}),
            configure("infonce", train={"epochs": 40}),
        ]
    )
    assert found == {"loss.tau": [0.1, 0.2], "train.epochs": [60, 40]}


def test_a_default_that_is_spelled_out_is_no_difference():
    spelled = configure("infonce", loss={"tau": 0.2})
    assert setting_differences([configure("infonce"), spelled]) == {}
    margins = setting_differences(
        [configure("infonce"), configure("ccl", loss={"margin": 0.4})]
    )
    assert margins["loss.margin"] == [None, 0.4]


def test_seeds_and_names_of_data_are_no_settings():
    one, two = configure("adv"), configure("adv", "other", train={"seed": 7})
    assert setting_differences([one, two]) == {}


def test_losses_and_models_are():
    configs = [
        configure("infonce"),
        configure("ccl"),
        Config.resolve("lightgcn", "ccl"),
    ]
    found = setting_differences(configs)
    assert found["model.name"] == ["mf", "mf", "lightgcn"]
    assert found["loss.name"] == ["infonce", "ccl", "ccl"]
