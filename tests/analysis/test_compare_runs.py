import json
import warnings

import pytest

from pyg_advinfonce.analysis.compare_runs import compare_runs
from pyg_advinfonce.analysis.holm import holm
from pyg_advinfonce.errors import CheckpointError, ConfigError
from tests.finished_seeds import write_run

RECALL, NDCG = "test/recall@20", "test/ndcg@20"


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
    assert list(found["metrics"]) == [RECALL, NDCG]
    base, one, two = found["metrics"][RECALL]
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
    many = compare_runs(folders)["metrics"][RECALL][1]
    few = compare_runs(folders[:2], [RECALL])["metrics"][RECALL][1]
    assert few["p_seeds"] == many["p_seeds"] == few["p_seeds_holm"]
    assert few["p_seeds_holm"] < many["p_seeds_holm"]


def test_one_seed_s_folder_is_a_run_too(folders):
    found = compare_runs([folder / "seed-1" for folder in folders[:2]])
    assert found["seeds"] == [[1], [1]]
    row = found["metrics"][RECALL][1]
    assert row["p_seeds"] is None
    assert row["p_users"] < 0.05
    assert row["notes"] == ["by seeds: too few pairs for a t-test (1)"]


def test_other_data_is_refused(tmp_path, folders):
    other = tmp_path / "other"
    write_run(other, (0.1, 0.2), data="mine: sha256 def")
    with pytest.raises(ConfigError, match=r"other data cannot.*abc.*other.*def"):
        compare_runs([folders[0], other])


def test_data_is_what_it_holds_not_what_it_is_called(tmp_path, folders):
    write_run(tmp_path / "same", (0.1, 0.2, 0.3), data="copy of coat: sha256 abc")
    assert compare_runs([folders[0], tmp_path / "same"])["seeds"] == [[0, 1, 2]] * 2


def test_other_seeds_are_a_warning(tmp_path, folders):
    write_run(tmp_path / "more", (0.1, 0.2, 0.3, 0.2))
    with pytest.warns(UserWarning, match=r"not the same seeds \(0-2; 0-3\)"):
        found = compare_runs([folders[0], tmp_path / "more"])
    assert found["metrics"][RECALL][1]["p_seeds"] is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_runs(folders)


def test_one_run_is_no_comparison(folders):
    with pytest.raises(ConfigError, match=r"two runs or more \(got 1\)"):
        compare_runs(folders[:1])


def test_what_is_no_run(tmp_path, folders):
    with pytest.raises(CheckpointError, match="holds no finished run"):
        compare_runs([folders[0], tmp_path / "nowhere"])
