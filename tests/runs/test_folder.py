import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.runs import continue_run_folder, create_run_folder, run_lock
from pyg_advinfonce.runs.folder import MARK, no_run
from tests.finished_seeds import write_run


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_folder_runs_are_numbered():
    made = [create_run_folder(None, "coat-mf-adv").as_posix() for _ in range(3)]
    assert made == ["runs/coat-mf-adv", "runs/coat-mf-adv-2", "runs/coat-mf-adv-3"]


def test_what_is_no_run_is_said(here):
    write_run(here / "runs" / "one", [0.25])
    assert str(no_run(Path("runs"), "config.toml")) == (
        "runs is not a run: it has no config.toml; choose runs/one"
    )
    for name in ("two", "six", "ten"):
        write_run(here / "runs" / name, [0.25])
    assert str(no_run(Path("runs"), "config.toml")) == (
        "runs holds several runs: name one: runs/one, runs/six, runs/ten, ..."
    )
    assert str(no_run(Path("runs/on"), "config.toml")) == (
        f"runs/on: no such folder in the working directory {here}, did you mean "
        "'runs/one'?"
    )


def test_runs_of_one_moment_have_folders_of_their_own(monkeypatch):
    hours = iter(range(10**6, 0, -3600))  # a clock that goes back
    monkeypatch.setattr("time.time", lambda: float(next(hours)))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_run_folder(None, "coat-mf"), range(24)))
    assert len(set(made)) == 24


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simulated:coat-mf-adv", "simulated-coat-mf-adv"),
        ("../../x", "x"),
        ("my data/été", "my-data-été"),
        ("..", ""),
    ],
)
def test_what_no_folder_may_be_called_becomes_a_dash(here, name, expected):
    made = create_run_folder(None, f"{name}-mf").resolve()
    assert made.parent == here / "runs"
    assert made.name == f"{expected}-mf".lstrip("-")


@pytest.mark.parametrize("letter", ["a", "ü", "字"])
def test_a_long_name_is_cut(letter):
    made = create_run_folder(None, letter * 300)
    assert made.is_dir()
    assert set(made.name) == {letter}


def test_a_named_folder_is_made_with_its_parents(here):
    made = create_run_folder(here / "a b" / "ç", "name")
    assert made == here / "a b" / "ç"
    assert [path.name for path in made.iterdir()] == [MARK]


def test_an_empty_folder_is_used(here):
    here.joinpath("run").mkdir()
    assert create_run_folder(here / "run", "name").joinpath(MARK).is_file()


def test_an_existing_run_is_kept(here):
    create_run_folder(here / "run", "name").joinpath("result").touch()
    with pytest.raises(ConfigError, match="exists: choose another --out, or add --ov"):
        create_run_folder(here / "run", "name")
    assert here.joinpath("run/result").is_file()


def test_an_existing_run_is_overwritten_on_demand(here):
    create_run_folder(here / "run", "name").joinpath("result").touch()
    create_run_folder(here / "run", "name", overwrite=True)
    assert [path.name for path in here.joinpath("run").iterdir()] == [MARK]


def test_a_numbered_run_is_overwritten_on_demand(here):
    create_run_folder(None, "name").joinpath("result").touch()
    assert create_run_folder(None, "name", overwrite=True) == Path("runs/name")
    assert [path.name for path in here.joinpath("runs/name").iterdir()] == [MARK]


def test_an_unfinished_run_can_be_gone_on_with(here):
    run = create_run_folder(here / "my run", "name")
    run.joinpath("seed-0").mkdir()
    run.joinpath("seed-0", "config.toml").touch()
    said = (
        r"holds an unfinished run: resume it by advnce train --resume '.*/my run', or"
    )
    with pytest.raises(ConfigError, match=said):
        create_run_folder(run, "name")
    run.joinpath("summary.json").touch()
    with pytest.raises(ConfigError, match="exists: choose another --out"):
        create_run_folder(run, "name")


@pytest.mark.parametrize("name", ["runs", "study.sqlite3"])
def test_a_table_or_a_study_is_no_run_to_overwrite(here, name):
    create_run_folder(here / "kept", "name").joinpath(name).mkdir()
    with pytest.raises(ConfigError, match=f"holds {name}, not one run"):
        create_run_folder(here / "kept", "name", overwrite=True)
    assert here.joinpath("kept", name).is_dir()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_never_touched(here, overwrite):
    folder, file = here / "thesis", here / "note"
    folder.mkdir()
    for path in (folder / "chapter", file):
        path.write_text("mine", encoding="utf-8")
    for path in (folder, file):
        with pytest.raises(ConfigError, match=r"exists|not a run of advnce"):
            create_run_folder(path, "name", overwrite=overwrite)
    assert folder.joinpath("chapter").read_text() == file.read_text() == "mine"


def test_a_link_to_a_run_is_not_followed(here):
    create_run_folder(here / "run", "name")
    here.joinpath("link").symlink_to(here / "run")
    with pytest.raises(ConfigError, match=r"cannot write link.*symbolic link"):
        create_run_folder(
            here.joinpath("link").relative_to(here), "name", overwrite=True
        )
    assert here.joinpath("run", MARK).is_file()


def test_a_dangling_link_is_no_folder(here):
    here.joinpath("link").symlink_to(here / "nowhere")
    with pytest.raises(ConfigError, match="exists already: choose another --out"):
        create_run_folder(here / "link", "name")


def test_what_cannot_be_written_is_named(here):
    here.joinpath("file").touch()
    for path, reason in (("file/run", "Not a directory"), ("x" * 300, "name too long")):
        with pytest.raises(ConfigError, match=f"cannot write .*{reason}; choose anoth"):
            create_run_folder(here / path, "name")


def test_a_run_is_continued_where_its_mark_is():
    made = continue_run_folder(None, "tune: a/b", mark="study")
    assert made == Path("runs") / "tune-a-b"
    assert continue_run_folder(None, "tune: a/b", mark="study") == made  # still empty
    (made / "study").touch()
    (made / "other").touch()
    assert continue_run_folder(None, "tune: a/b", mark="study") == made
    assert continue_run_folder(made, "x", mark="study") == made


def test_a_folder_of_something_else_is_not_continued(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds no study: choose another --out"):
        continue_run_folder(tmp_path, "x", mark="study")


def test_a_file_is_not_continued(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory; choose another --out"):
        continue_run_folder(tmp_path / "file", "x", mark="study")


HOLDER = """
import sys
from pathlib import Path
from pyg_advinfonce.runs import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / MARK).touch()
    return tmp_path


@pytest.fixture
def holder(run):
    """Another process that trains the run."""
    command = [sys.executable, "-c", HOLDER, run]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_process_at_a_time(run, holder):
    with pytest.raises(ConfigError, match=r"another process is training .*: wait"):
        run_lock(run).__enter__()


def test_a_killed_process_holds_nothing(run, holder):
    holder.kill()
    holder.wait()
    with run_lock(run):
        pass


def test_a_run_in_training_is_not_replaced(run, holder):
    with pytest.raises(ConfigError, match="another process is training"):
        create_run_folder(run, "mf", overwrite=True)
    assert (run / MARK).is_file()
    holder.kill()
    holder.wait()
    assert create_run_folder(run, "mf", overwrite=True) == run


def test_it_ends_with_the_block(run):
    for _ in range(2):
        with pytest.raises(KeyError), run_lock(run):
            raise KeyError


@pytest.fixture
def fail(monkeypatch):
    """Let the file system answer with an error."""

    def with_error(error):
        def acquire(self, timeout):
            raise error

        monkeypatch.setattr("pyg_advinfonce.files.FileLock.acquire", acquire)

    return with_error


@pytest.mark.parametrize(
    "error", [NotImplementedError(), OSError(errno.ENOLCK, "No locks available")]
)
def test_a_file_system_without_locks(run, fail, error):
    fail(error)
    done = []
    with run_lock(run):
        done.append(1)
    assert done == [1]


def test_a_folder_that_cannot_be_written(run, fail):
    fail(PermissionError(errno.EACCES, "Permission denied"))
    with pytest.raises(ConfigError, match=r"cannot write .*\.lock: Permission denied"):
        run_lock(run).__enter__()
