"""What the command line inherits: streams, warnings, environment variables."""

import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from pyg_advinfonce.cli import doctor as doctor_verb

from pyg_advinfonce.errors import DataWarning

COMMAND = [sys.executable, "-m", "pyg_advinfonce.cli.main"]
TRAIN = ["train", "mf", "--loss", "bpr", "--epochs", "1"]
FINISHED = {
    "config.toml",
    "history.jsonl",
    "metrics.json",
    "per_user.npz",
    "state.safetensors",
    "weights.safetensors",
    "run.json",
}


def shell(words, redirection, **environment):
    return subprocess.run(
        ["sh", "-c", f"{shlex.join([*COMMAND, *words])} {redirection}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def seed_files():
    return {path.name for path in Path("runs/simulated-mf-bpr/seed-0").iterdir()}


def test_messages_do_not_move_to_the_result():
    found = shell(["ls", "nonsense"], "2>&-")
    assert (found.returncode, found.stdout, found.stderr) == (2, "", "")


def test_closed_streams_do_not_matter():
    found = shell(["ls", "metrics"], "<&- >&- 2>&-")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_training_without_standard_error(advnce, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        found = advnce(*TRAIN)
        sys.stderr.close()
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("mf + bpr on cpu\n")
    assert seed_files() == FINISHED


def test_messages_that_cannot_be_written_are_dropped():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    found = shell(["ls", "nonsense"], "2>/dev/full")
    assert (found.returncode, found.stdout) == (2, "")


def test_warnings_as_errors_do_not_concern_libraries(folder):
    typer = [sys.executable, "-W", "error", "-c", "import typer"]
    if subprocess.run(typer, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("an import of typer itself warns, before ours")
    found = shell([*TRAIN, "--quiet"], "", PYTHONWARNINGS="error")
    assert (found.returncode, found.stderr) == (0, "")


def test_a_warning_about_data_as_an_error_is_one_line(advnce, monkeypatch):
    def warn(*_):
        warnings.warn("odd data", DataWarning, stacklevel=1)

    monkeypatch.setattr(sys, "warnoptions", ["error"])
    monkeypatch.setattr(doctor_verb, "_row", warn)
    found = advnce("doctor")
    assert (found.code, found.line) == (2, "odd data")


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_other_warnings_as_errors(advnce, monkeypatch):
    def warn(*_):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("odd data", DataWarning, stacklevel=1)

    warnings.filters[:] = [f for f in warnings.filters if f[2] is DeprecationWarning]
    monkeypatch.setattr(sys, "warnoptions", ["error::DeprecationWarning"])
    monkeypatch.setattr(doctor_verb, "_row", warn)
    found = advnce("doctor")
    assert (found.code, "advnce: warning: odd data\n" in found.err) == (0, True)


@pytest.mark.parametrize("number", ["0", "-1", "1025", str(2**40), "x", "1.5", ""])
def test_a_number_of_threads_that_cannot_be_used(advnce, number):
    found = advnce(*TRAIN, "--threads", number)
    assert found.code == 2
    assert found.line.startswith("Invalid value for '--threads': ")


@pytest.mark.filterwarnings("always:.*_NUM_THREADS:UserWarning")
@pytest.mark.parametrize("text", ["abc", "0", "-3", "2,x", str(10**9), "1025", " "])
def test_a_variable_of_threads_that_cannot_be_used(advnce, monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    found = advnce("ls", "metrics")
    said = f"OMP_NUM_THREADS is ignored: expected 1 to 1024 (got {text!r})"
    assert (found.code, found.err) == (0, f"advnce: warning: {said}\n")
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("text", ["", "1", "1024", " 2 ", "4,2"])
def test_a_variable_of_threads_that_can_be_used(advnce, monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert advnce("ls", "metrics").err == ""
    assert os.environ["OMP_NUM_THREADS"] == text


def test_a_screen_is_never_used(advnce, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    assert advnce("ls", "metrics").err == ""
    assert os.environ["MPLBACKEND"] == "agg"
