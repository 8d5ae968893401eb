import re
import shutil

import pytest

from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.studies.report.read import is_study, read_study


def test_a_run_is_its_finished_seeds_in_order(run, write_seed):
    for seed in (10, 2):
        write_seed(run / f"seed-{seed}")
    run.joinpath("seed-1/metrics.json").unlink()
    assert [seed.seed for seed in read_run(run, partly=True)] == [0, 2, 10]
    assert [seed.folder.name for seed in read_run(run / "seed-2")] == ["seed-2"]


def test_a_history_is_numbers(run):
    history = read_run(run)[0].history
    assert history["epoch"].to_list() == list(range(20))
    assert history["valid/recall@20"].notna().sum() == 4
    assert history["epoch"].dtype == "int64"
    assert set(map(str, history.dtypes.drop("epoch"))) == {"float64"}


def test_a_history_without_an_epoch(run):
    run.joinpath("seed-0/history.jsonl").write_text("", "utf-8")
    assert len(read_run(run)[0].history) == 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metrics.json", "{", "metrics.json is damaged"),
        ("metrics.json", "[]", "is damaged: expected a JSON object"),
        ("metrics.json", "{}", "is damaged: it has no 'metrics'"),
        ("metrics.json", "[" * 9999, "metrics.json is damaged"),
        ("history.jsonl", '{"epoch": 0', "history.jsonl:1 is damaged"),
        ("history.jsonl", '{"epoch": "<b>"}', "history.jsonl:1 is damaged"),
        ("history.jsonl", "3\n", "expected a JSON object"),
    ],
)
def test_a_damaged_file_is_named(run, name, text, said):
    run.joinpath("seed-0", name).write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=re.escape(said)):
        [seed.history for seed in read_run(run)]


def test_bytes_that_are_no_text(run):
    run.joinpath("seed-0/history.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(CheckpointError, match="is damaged"):
        [seed.history for seed in read_run(run)]


def test_a_damaged_configuration_is_named(run):
    run.joinpath("seed-0/config.toml").write_text("model = 3", "utf-8")
    with pytest.raises(ConfigError, match=r"config\.toml: expected a run's"):
        read_run(run)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(CheckpointError, match="is not a run"):
        read_run(tmp_path)
    assert not is_study(tmp_path)


def test_runs_that_lie_deeper_are_named(run, tmp_path):
    deep = tmp_path / "table" / "runs"
    for name in "abcd":
        shutil.copytree(run, deep / name)
    with pytest.raises(CheckpointError) as error:
        read_run(tmp_path / "table")
    names = ", ".join(str(deep / name) for name in "abc")
    assert str(error.value).endswith(f"holds several runs: name one: {names}, ...")


def test_a_study_is_its_summary_and_its_trials(study):
    assert is_study(study)
    found = read_study(study)
    assert found.summary.model == "mf"
    assert [row["state"] for row in found.trials] == ["complete", "complete", "failed"]


def test_a_study_that_has_only_begun(tmp_path):
    tmp_path.joinpath("study.sqlite3").touch()
    with pytest.raises(CheckpointError, match="no trial has ended yet"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("name", "place", "text"),
    [("summary.json", "", "{}"), ("trials.csv", ":2", "a,b\n1,2\n")],
)
def test_a_damaged_study_is_named(study, name, place, text):
    study.joinpath(name).write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=f"{name}{place} is damaged: it has no"):
        read_study(study)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("summary.json", '"trial": 1', '"trial": [1]', "best.trial: input should be"),
        ("summary.json", '"value": 0.4', '"value": NaN', "best.value: input should be"),
        ("summary.json", '"torch": "', '"torch": 2, "x": "', "versions.torch: "),
        ("summary.json", '"epochs": 500', '"epochs": 1e99', "epochs: "),
        ("trials.csv", "1,complete", "x,complete", "trial: input should be a valid"),
        ("trials.csv", "0.4", "inf", "value: input should be a finite number"),
        ("trials.csv", "failed", "lost", "state: input should be"),
    ],
)
def test_a_wrong_value_is_named(study, name, old, new, said):
    file = study / name
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(CheckpointError, match=rf"{name}\S* is damaged: {said}"):
        read_study(study)
