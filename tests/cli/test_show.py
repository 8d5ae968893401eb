import json

import pytest

from tests.finished_seeds import write_run

HISTORY = [
    {"epoch": 0, "main/rec": 2.0, "main/l2": 0.5, "valid/recall@20": 0.1},
    {"epoch": 1, "main/rec": 1.0, "main/l2": 0.25, "valid/recall@20": 0.3},
]


@pytest.fixture
def run(folder):
    """A run with a history, in the default folder."""
    write_run(folder / "runs" / "mine", [0.25, 0.5])
    for seed in (0, 1):
        file = folder / "runs" / "mine" / f"seed-{seed}" / "history.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in HISTORY))
    return "runs/mine"


@pytest.mark.usefixtures("run")
def test_runs_are_listed_in_two_lines(advnce, folder):
    folder.joinpath("runs/mine/seed-1/metrics.json").unlink()
    write_run(folder / "runs" / "other", [0.5])
    found = advnce("ls", "runs")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        "mine   interrupted  1 of 2 seeds",
        "  mf + bpr on coat: recall@20 valid 0.4000, test 0.2500",
        "other  finished      1 of 1 seed",
        "  mf + bpr on coat: recall@20 valid 0.4000, test 0.5000",
    ]
    assert advnce("ls", "runs", "runs/other").out.startswith("runs/other  finished")


def test_where_no_runs_are(advnce, folder):
    assert advnce("ls", "runs").line == (
        f"runs: no such folder in the working directory {folder}: name the folder of "
        "your runs"
    )
    folder.joinpath("runs").mkdir()
    assert advnce("ls", "runs").out == "runs holds no run\n"
    assert "a folder is for `advnce ls runs`" in advnce("ls", "models", "runs").line


def test_a_damaged_run_is_a_warning(advnce, folder, run):
    write_run(folder / "runs" / "bad", [0.5])
    folder.joinpath("runs/bad/seed-0/metrics.json").write_text("{")
    found = advnce("ls", "runs")
    assert found.code == 0
    assert found.err.startswith("advnce: warning: runs/bad/seed-0/metrics.json")
    assert found.out.startswith("mine")


def test_all_about_a_run(advnce, run):
    found = advnce("show", run)
    assert (found.code, found.err) == (0, "")
    assert max(map(len, found.out.splitlines())) <= 80
    for line in [
        "run         runs/mine",
        "trained     mf + bpr on coat",
        "state       finished, 2 of 2 seeds (0-1)",
        "settings    as packaged",
        "test   0.3750 ± 0.1768  0.5000 ± 0.0000",
        "valid  0.4000 ± 0.0000",
        "0          5     4      2.5000     1.2500  0.1000      0.3000",
        "files       seed-0/: config.toml, history.jsonl, metrics.json, per_user.npz",
    ]:
        assert line in found.out


def test_what_was_changed_and_how_to_resume(advnce, folder, run):
    trained = ["train", "mf", "--loss", "bpr", "--epochs", "1", "--set", "train.lr=0.5"]
    assert advnce(*trained, "--out", "r s", "--quiet").code == 0
    found = advnce("show", "r s").out
    assert "train.epochs=1 (packaged: 2000)" in found
    assert "train.lr=0.5 (packaged: 0.001)" in found
    command = "advnce train mf --loss bpr --epochs 1 --set train.lr=0.5 --out 'r s'"
    assert command in " ".join(found.split())
    folder.joinpath("r s/seed-0/metrics.json").unlink()
    found = advnce("show", "r s").out
    assert "state       interrupted, 0 of 1 seed (none)" in found
    assert "advnce train --resume 'r s'" in " ".join(found.split())


def test_as_json(advnce, run):
    found = json.loads(advnce("show", run, "--json").out)
    assert (found["state"], found["num_seeds"], found["starts"]) == ("finished", 2, [])
    assert found["summary"]["seeds"] == [0, 1]
    assert found["changed"] == {}


def test_no_run(advnce, folder):
    assert advnce("show", "none").line.startswith("none: no such folder")
