import errno
import subprocess
import sys

import pytest

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.run_folder import MARK, create_run_folder
from pyg_advinfonce.run_lock import run_lock

HOLDER = """
import sys
from pathlib import Path
from pyg_advinfonce.run_lock import run_lock
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

        monkeypatch.setattr("pyg_advinfonce.run_lock.FileLock.acquire", acquire)

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
