import json
import re
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.runs import LOCK, find_run, find_seeds, list_runs, read_starts
from pyg_advinfonce.runs.folder import METRICS
from pyg_advinfonce.runs.listing import data_place, note_start
from pyg_advinfonce.version import __version__
from tests.finished_seeds import write_run


def test_a_start_is_noted_with_date_command_and_version(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/advnce", "train", "mf", "--out", "a b"])
    note_start(tmp_path, Path("/data/mine"), again=False)
    monkeypatch.setattr(sys, "argv", ["advnce", "train", "--resume", "a b"])
    assert data_place(tmp_path) == Path("/data/mine")
    note_start(tmp_path, None, again=True)
    assert data_place(tmp_path) is None
    first, second = read_starts(tmp_path)
    assert first.command == "advnce train mf --out 'a b'"
    assert second.command == "advnce train --resume 'a b'"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", first.date)
    assert first.version == __version__
    note_start(tmp_path, None, again=False)
    assert len(read_starts(tmp_path)) == 1


def test_a_run_of_an_earlier_version_has_no_start(tmp_path):
    write_run(tmp_path / "old", [0.25])
    assert find_run(tmp_path / "old").starts == []


def test_damaged_starts_are_named(tmp_path):
    tmp_path.joinpath("run.json").write_text(json.dumps({"starts": [{"date": 3}]}))
    with pytest.raises(CheckpointError, match=r"run\.json is damaged: starts\.0\.date"):
        read_starts(tmp_path)


def test_the_state_of_a_run(tmp_path):
    run = tmp_path / "run"
    write_run(run, [0.25, 0.5])
    assert find_run(run).state == "finished"
    run.joinpath("seed-1", METRICS).unlink()
    found = find_run(run)
    assert (found.state, len(found.seeds), found.num_seeds) == ("interrupted", 1, 2)
    run.joinpath(LOCK).touch()
    assert find_run(run).state == "interrupted"
    with FileLock(run / LOCK):
        assert find_run(run).state == "running"


def test_runs_are_found_at_any_depth(tmp_path):
    write_run(tmp_path / "b" / "deep", [0.25, 0.5])
    write_run(tmp_path / "a", [0.25])
    mine = tmp_path / "mine"  # of train(out=...) in Python
    mine.mkdir()
    Config.resolve("mf", "bpr", "coat").save(mine / "config.toml")
    mine.joinpath("history.jsonl").touch()
    Config.resolve("mf", "bpr", "coat").save(tmp_path / "config.toml")  # of no run
    runs, problems = list_runs(tmp_path)
    assert [run.folder.relative_to(tmp_path).as_posix() for run in runs] == [
        *("a", "b/deep", "mine"),
    ]
    assert problems == []
    assert len(find_seeds(tmp_path)) == 4


def test_a_damaged_run_hides_no_other(tmp_path):
    write_run(tmp_path / "a", [0.25])
    write_run(tmp_path / "b", [0.25])
    tmp_path.joinpath("a/seed-0", METRICS).write_text("{}")
    runs, problems = list_runs(tmp_path)
    assert [run.folder.name for run in runs] == ["b"]
    assert len(problems) == 1
    assert "a/seed-0" in problems[0]


def test_a_folder_that_holds_no_run(tmp_path):
    assert list_runs(tmp_path) == ([], [])
    with pytest.raises(ConfigError, match="no such folder"):
        list_runs(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"is not a run: it has no config\.toml"):
        find_run(tmp_path)
