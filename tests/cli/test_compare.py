import json

import pytest

QUICK = ["--epochs", "2", "--set", "model.dim=4", "--set", "train.eval_every=1"]
RECALL = "test/recall@20"


@pytest.fixture
def runs(advnce, folder):
    """Two trained runs of two seeds."""
    for loss in ("bpr", "infonce"):
        words = ["train", "mf", "--loss", loss, "--seeds", "0-1", "--out", loss]
        assert advnce(*words, *QUICK).code == 0
    return ["bpr", "infonce"]


def test_json_of_compared_runs(advnce, folder, runs):
    found = advnce("compare", *runs, "--json")
    assert (found.code, found.err) == (0, "")
    summary = json.loads(found.out)
    assert (summary["runs"], summary["seeds"]) == (runs, [[0, 1], [0, 1]])
    assert list(summary["metrics"]) == [RECALL, "test/ndcg@20"]
    for run, row in zip(runs, summary["metrics"][RECALL], strict=True):
        saved = json.loads(folder.joinpath(run, "summary.json").read_text())
        assert row | saved["metrics"][RECALL] == row
    base, other = summary["metrics"][RECALL]
    assert other["difference"] == pytest.approx(other["mean"] - base["mean"])
    assert 0 < other["p_users"] <= 1


def test_the_table_for_a_person(advnce, runs):
    found = advnce("compare", *runs, "--metric", "valid/recall@20")
    assert found.out.startswith("data  simulated:coat: 290 users")
    head, base, other = found.out.splitlines()[2:5]
    assert head.split() == [
        *("valid/recall@20", "seeds", "mean", "difference", "p", "seeds", "p", "users"),
    ]
    assert base.split()[:2] == ["bpr", "0-1"]
    assert other.split()[0] == "infonce"
    assert " %)" in other
    assert "few pairs for a t-test (2)" in found.out
    assert (
        "\nsettings differ: loss.name bpr / infonce, train.num_negatives" in found.out
    )


def test_the_same_run_twice_differs_in_nothing(advnce, runs):
    found = advnce("compare", "bpr", "bpr")
    assert "\nsettings differ: none\n" in found.out


def test_other_data_is_refused(advnce, folder, runs):
    words = ["--data", "simulated", "--set", "data.seed=7", "--out", "other"]
    assert advnce("train", "mf", "--loss", "bpr", *words, *QUICK).code == 0
    found = advnce("compare", "bpr", "other")
    assert found.code == 2
    assert found.line.startswith(
        "expected runs on the same data: bpr/seed-0 was trained on"
    )


@pytest.mark.filterwarnings("always:the runs have different seeds")
def test_other_seeds_are_a_warning(advnce, runs):
    words = ["train", "mf", "--loss", "ccl", "--seed", "1", "--out", "ccl"]
    assert advnce(*words, *QUICK).code == 0
    found = advnce("compare", "bpr", "ccl")
    assert found.code == 0
    assert found.err == (
        "advnce: warning: the runs have different seeds (0-1; 1): "
        "the t-test uses the seeds that both runs have\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bpr"], "compare expects at least two runs (got 1)"),
        (["bpr", "nowhere"], "nowhere: no such folder in the working directory"),
        (
            ["bpr", "infonce", "--metric", "test/recalls@20"],
            "did you mean 'test/recall@20'",
        ),
    ],
)
def test_a_mistake_is_one_line(advnce, runs, words, said):
    found = advnce("compare", *words)
    assert found.code == 2
    assert said in found.line


def test_metrics_of_exposure(advnce, folder):
    for loss in ("bpr", "infonce"):
        words = ["train", "mf", "--loss", loss, "--metrics", "gini,arp", "--out", loss]
        assert advnce(*words, *QUICK).code == 0
    words = ["--metric", "test/gini@20", "--metric", "test/arp@20", "--json"]
    summary = json.loads(advnce("compare", "bpr", "infonce", *words).out)
    gini, arp = (summary["metrics"][f"test/{n}@20"][1] for n in ("gini", "arp"))
    assert gini["p_users"] is None
    assert "by users: gini has no value per user" in gini["notes"]
    assert 0 < arp["p_users"] <= 1
    assert not any("train.metrics" in name for name in summary["differing"])
    advnce("train", "mf", "--loss", "bpr", "--out", "plain", *QUICK)
    found = json.loads(advnce("compare", "bpr", "plain", "--json").out)
    assert found["differing"] == {}
