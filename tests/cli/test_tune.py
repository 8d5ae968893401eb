import json
import sqlite3
import sys
from contextlib import closing

import pytest
import torch

from pyg_advinfonce.runs import STUDY
from pyg_advinfonce.studies.tuning import storage
from pyg_advinfonce.training import Trainer

QUICK = ["tune", "mf", "--loss", "bpr", "--epochs", 1, "--set", "train.batch_size=256"]


def test_json_is_one_object(advnce, folder):
    found = advnce(*QUICK, "--trials", 2, "--out", "study", "--json", "--quiet")
    assert (found.code, found.err, found.out.count("\n")) == (0, "", 1)
    summary = json.loads(found.out)
    saved = folder.joinpath("study/summary.json").read_text("utf-8")
    assert json.loads(saved) == summary
    assert (summary["model"], summary["loss"]) == ("mf", "bpr")
    assert (summary["epochs"], summary["study_dir"]) == (1, "study")


def test_the_table_for_a_person(advnce, folder):
    found = advnce(*QUICK, "--trials", 2, "--out", "study", "--seed", 1)
    assert found.code == 0
    head, data, _, names, best, other, _, where, following = found.out.splitlines()
    assert head == "mf + bpr, at most 1 epoch per trial: 2 complete, 0 pruned, 0 failed"
    assert data.startswith("data   simulated:coat: 290 users")
    assert names.split() == ["trial", "valid/recall@20", "epoch", "lr", "cosine"]
    values = [float(row.replace("(default)", "").split()[1]) for row in (best, other)]
    assert values == sorted(values, reverse=True)
    assert "(default)" in best + other
    assert where.startswith("study  study, ")
    assert following == (
        "next   advnce train mf --loss bpr --data simulated --config study/best.toml"
    )
    assert [line.split()[:3] for line in found.err.splitlines()] == [
        ["data:", "simulated:coat:", "290"],
        ["trial", "0", "(1"],
        ["trial", "0", "(default)"],
        ["trial", "1", "(2"],
        ["trial", "1", "complete"],
    ]


def test_the_best_settings_are_for_train(advnce, folder):
    summary = json.loads(advnce(*QUICK, "--trials", 2, "--out", "a", "--json").out)
    words = ["--config", "a/best.toml", "--epochs", 1, "--out", "b", "--json"]
    trained = json.loads(advnce("train", "mf", "--loss", "bpr", *words).out)
    assert trained["metrics"]["valid/recall@20"]["mean"] == summary["best"]["value"]
    assert trained["config"]["train"]["batch_size"] == 256
    assert trained["epochs"] == [1]


def test_the_epochs_of_a_trial_are_not_those_of_the_training(advnce, folder):
    advnce(*QUICK, "--trials", 1, "--out", "a")
    best = folder.joinpath("a/best.toml").read_text("utf-8")
    assert "batch_size = 256" in best
    assert "epochs" not in best


def test_a_file_holds_the_space(advnce, folder):
    (folder / "my.toml").write_text("[train]\nlr = [0.001, 0.005]\n", "utf-8")
    words = ["--space", "my.toml", "--trials", 3, "--json"]
    summary = json.loads(advnce(*QUICK, *words).out)
    assert [list(row["params"]) for row in summary["top"]] == [["train.lr"]] * 3
    (folder / "my.toml").write_text("lr = [0.001, 0.005]\n", "utf-8")
    found = advnce(*QUICK, *words)
    assert found.code == 2
    assert "unknown key of the space 'lr'" in found.err.splitlines()[-1]


def test_the_same_command_continues(advnce, folder):
    first = json.loads(advnce(*QUICK, "--trials", 1, "--json").out)
    assert first["study_dir"] == "runs/tune-simulated-mf-bpr"
    second = json.loads(advnce(*QUICK, "--trials", 2, "--json").out)
    assert second["study_dir"] == first["study_dir"]
    assert second["trials"]["finished"] == 2
    found = advnce(*QUICK, "--trials", 2, "--set", "train.l2=0.5", "--quiet")
    assert found.code == 2
    assert "l2 is 1e-05 in the study, 0.5 here; choose another --out" in found.line


def test_interrupting_leaves_a_study_to_continue(advnce, folder, monkeypatch):
    fit = Trainer.fit

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupted)
    found = advnce(*QUICK, "--trials", 1, "--out", "my study", "--quiet")
    command, line = found.err.splitlines()
    assert (found.code, found.out, line) == (130, "", "advnce: interrupted")
    assert command == (
        "to continue: advnce tune mf --loss bpr --epochs 1 --set train.batch_size=256 "
        "--trials 1 --out 'my study' --quiet"
    )
    monkeypatch.setattr(Trainer, "fit", fit)
    found = advnce(*QUICK, "--trials", 1, "--out", "my study", "--json")
    assert json.loads(found.out)["trials"]["complete"] == 1


def test_a_study_is_found_again(advnce, folder):
    summary = json.loads(advnce(*QUICK, "--trials", 2, "--out", "runs/a", "--json").out)
    found = advnce("ls", "runs")
    assert (found.code, found.err) == (0, "")
    best = summary["best"]
    assert found.out.splitlines() == [
        "a  study of mf + bpr on simulated: 2 complete, 0 pruned, 0 failed",
        f"  best so far: valid/recall@20 {best['value']:.4f} in trial {best['trial']}",
    ]
    found = advnce("show", "runs/a")
    assert (found.code, found.line) == (
        2,
        "runs/a is a study: see it by `advnce ls runs runs/a`, or by `advnce report "
        "runs/a`",
    )
    folder.joinpath("runs/a/summary.json").write_text("{", "utf-8")
    found = advnce("ls", "runs")
    assert found.err.startswith("advnce: warning: runs/a/summary.json")
    folder.joinpath("runs/a/summary.json").unlink()
    assert advnce("ls", "runs").out == "a  study: no trial has ended\n"


def test_a_study_of_failures_fails(advnce, monkeypatch):
    def fails(self):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "fit", fails)
    found = advnce(*QUICK, "--trials", 1, "--out", "study")
    assert found.code == 1
    assert "trial 0 (default) failed: OutOfMemoryError: CUDA out of memory" in found.err
    assert found.err.endswith("no trial is complete: see study/trials.csv\n")
    assert "0 complete, 0 pruned, 1 failed" in found.out


def test_a_locked_study_is_one_line(advnce, folder, monkeypatch):
    advnce(*QUICK, "--trials", 1, "--out", "study")
    monkeypatch.setattr(storage, "SECONDS_TO_WAIT", 0.05)
    with closing(sqlite3.connect(folder / "study" / STUDY)) as other:
        other.execute("BEGIN EXCLUSIVE")
        found = advnce(*QUICK, "--trials", 2, "--out", "study", "--quiet")
    assert found.code == 1
    assert found.line == (
        "study/study.sqlite3: locked by another process; run the command again "
        "to continue"
    )


def test_a_missing_package_is_named_with_its_extra(advnce, folder, monkeypatch):
    for name in [name for name in sys.modules if ".tuning" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "pyg_advinfonce.cli._tune", raising=False)
    monkeypatch.delattr("pyg_advinfonce.cli._tune", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    found = advnce(*QUICK)
    assert found.code == 2
    assert found.line == "optuna is not installed: pip install 'pyg-advinfonce[tune]'"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mff"], "unknown model 'mff', did you mean 'mf'?"),
        (["mf", "--loss", "bprr"], "unknown loss 'bprr', did you mean 'bpr'?"),
        (["mf", "--set", "loss.tua=1"], "'loss.tua', did you mean 'loss.tau'?"),
        (["mf", "--set", "loss.tau=0"], "loss.tau must be positive"),
        (["mf", "--epochs", "0"], "train.epochs: "),
        (["mf", "--trials", "0"], "'--trials': "),
        (["mf", "--timeout", "-1"], "'--timeout': "),
        (["mf", "--device", "warp"], "device 'warp' is not available"),
        (["mf", "--data", "cota"], "unknown data set 'cota'"),
        (["mf", "--seed", "-1"], "train.seed: "),
        (["mf", "--out", "/dev/null/study"], "Not a directory; choose another --out"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(advnce, folder, words, said):
    found = advnce("tune", *words, "--quiet")
    assert found.code == 2
    assert said in found.line
    assert list(folder.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(advnce, folder):
    folder.joinpath("mine").mkdir()
    folder.joinpath("mine/thesis.tex").touch()
    found = advnce(*QUICK, "--out", "mine", "--quiet")
    assert found.code == 2
    assert found.line == "mine holds no study.sqlite3: choose another --out"
    assert [file.name for file in folder.joinpath("mine").iterdir()] == ["thesis.tex"]
