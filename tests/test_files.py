import os
import signal
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.files import (
    check_replaceable,
    locked,
    output_file,
    read_bytes,
    whole_file,
    without_formulas,
    write_text,
)
from pyg_advinfonce.progress import Progress


def test_a_file_takes_its_name_at_the_end(tmp_path):
    path = tmp_path / "new folder" / "file.txt"
    with output_file(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert [f.name for f in path.parent.iterdir()] == ["file.txt"]


def test_an_earlier_file_stays_where_writing_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")

    def fail():
        with output_file(path) as partial:
            partial.write_text("half", encoding="utf-8")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [f.read_text() for f in tmp_path.iterdir()] == ["old"]


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder: name a file"):
        output_file(tmp_path).__enter__()


def test_what_is_no_file_is_not_replaced():
    with pytest.raises(ConfigError, match=r"/dev/null cannot be replaced: name"):
        output_file(Path("/dev/null")).__enter__()


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    with output_file(link) as unfinished:
        unfinished.write_text("new", encoding="utf-8")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_folder_that_cannot_be_made(tmp_path):
    tmp_path.joinpath("file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*: File exists"):
        output_file(tmp_path / "file" / "x.csv").__enter__()


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("old", "größer"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_half_written_is_seen_by_nobody(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            assert path.read_text() == "old"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError), whole_file(path):
        pass
    assert not path.exists()


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@SUM(A1)", "\t=x", "\r@x"])
def test_a_table_without_formulas(text):
    table = pd.DataFrame({"a": [text, "fine"], "b": [-1.5, None]})
    found = without_formulas(table)
    assert found["a"].tolist() == [f"'{text.strip()}", "fine"]
    assert table["a"].tolist() == [text, "fine"]


def test_what_is_no_formula_stays_as_it_is():
    columns = {"a": ["x", "1-2"], "b": [-1, -2], "c": [-0.5, None], "d": [True, None]}
    table = pd.DataFrame(columns).assign(e=pd.Series([-1, None], dtype=object))
    for found in (table, table.iloc[:0]):
        assert without_formulas(found).to_csv() == found.to_csv()


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "lists.csv"
    with (
        pytest.raises(ConfigError, match=rf"^cannot write {path}: No space left$"),
        output_file(path) as unfinished,
    ):
        raise OSError(28, "No space left", str(unfinished))


def test_only_a_marked_file_is_read_before_it_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match=r"is not a report: it is not overwritten"):
        check_replaceable(path, "report", "<mark>")

    def refuse(*args, **more):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(path), "open", refuse)
    check_replaceable(path)
    with pytest.raises(ConfigError, match="Permission denied"):
        check_replaceable(path, "report", "<mark>")


class Told(Progress):
    """Keeps the lines of a wait; calls a function after each."""

    def __init__(self, then):
        self.lines, self.then = [], then

    def say(self, text):
        self.lines.append(text)
        self.then()


def test_a_wait_for_a_lock_is_said_once_with_its_file(tmp_path):
    file = tmp_path / "a.lock"
    other = FileLock(file)
    told = Told(other.release)
    with other, locked(file, waiting="waiting for the other", progress=told):
        assert told.lines == [
            f"waiting for the other (it holds {file}; Ctrl-C ends the wait)",
            f"waited 0 s for {file}",
        ]


def test_a_free_lock_is_taken_without_a_word(tmp_path):
    told = Told(None)
    with locked(tmp_path / "a.lock", progress=told):
        assert told.lines == []


@pytest.fixture
def ctrl_c():
    """Let SIGINT raise KeyboardInterrupt, also in a process in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_wait_for_a_lock(tmp_path):
    file = tmp_path / "a.lock"
    told = Told(lambda: signal.raise_signal(signal.SIGINT))
    with (
        FileLock(file),
        pytest.raises(KeyboardInterrupt),
        locked(file, progress=told),
    ):
        raise AssertionError
    assert len(told.lines) == 1
    with locked(file):  # nothing of the wait is left
        pass


def test_a_named_pipe_is_not_waited_for(tmp_path):
    pipe = tmp_path / "metrics.json"
    os.mkfifo(pipe)
    with pytest.raises(CheckpointError, match="expected a readable file, got a named"):
        read_bytes(pipe, 100, CheckpointError)


def test_the_pipe_of_a_shell_is_read(tmp_path):
    read, write = os.pipe()
    os.write(write, b"tau = 0.2")
    os.close(write)
    try:
        assert read_bytes(Path(f"/dev/fd/{read}"), 100, ConfigError) == b"tau = 0.2"
    finally:
        os.close(read)
