import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer
from pyg_advinfonce.cli import doctor as doctor_verb
from pyg_advinfonce.cli.main import _say as say

import pyg_advinfonce
from pyg_advinfonce.errors import MemoryShortageError

COMMAND = [sys.executable, "-m", "pyg_advinfonce.cli.main"]
VERBS = [
    "train",
    "evaluate",
    "compare",
    "reproduce",
    "data",
    "ls",
    "settings",
    "doctor",
]


def start(*words, stdout=subprocess.PIPE):
    return subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_version(advnce):
    found = advnce("--version")
    assert (found.code, found.err) == (0, "")
    assert found.out == f"advnce {pyg_advinfonce.__version__}\n"


def test_without_a_verb_the_help_is_shown_as_an_error(advnce):
    found = advnce()
    assert (found.code, found.out) == (2, "")
    assert all(verb in found.err for verb in VERBS)


def test_help_names_every_verb_in_full(advnce):
    found = advnce("--help")
    assert (found.code, found.err) == (0, "")
    assert all(f"\n  {verb} " in found.out for verb in VERBS)
    assert "..." not in found.out.split("Commands:")[1]


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_is_complete_and_without_noise(advnce, verb):
    found = advnce(verb, "--help")
    assert (found.code, found.err) == (0, "")
    assert "Traceback" not in found.out
    assert "--no-" not in found.out
    assert "list[" not in found.out.split("Options:")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "'trian'"),
        (["train"], "expected a model"),
        (["train", "mf", "--lss", "adv"], "--loss"),
        (["train", "mf", "--epochs", "many"], "'--epochs'"),
        (["train", "mf", "--loss"], "'--loss'"),
        (["train", "mf", "lightgcn"], "lightgcn"),
        (["--verbose"], "--verbose"),
        (["evaluate"], "expected a run, or --lists FILE"),
        (["recommend"], "Missing argument 'run'"),
        (["recommend", "run", "-k", "ten"], "'-k'"),
    ],
)
def test_wrong_usage_is_one_line_that_points_to_the_help(advnce, words, said):
    found = advnce(*words)
    assert found.code == 2
    assert said in found.line.replace("'RUN'", "'run'")  # as old typers write it
    assert "--help)" in found.line


def test_a_mistyped_verb_gets_a_suggestion(advnce):
    assert "'train'" in advnce("trian").line


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory: lower"),
        (RuntimeError("CUDA out of memory. Tried 3 GiB"), 1, "out of memory: lower"),
        (MemoryShortageError("set train.batch_size"), 1, "set train.batch_size"),
        (OSError(28, "No space left on device", "a.json"), 1, "a.json: No space"),
    ],
)
def test_trouble_of_the_machine_is_one_line(advnce, monkeypatch, error, code, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(doctor_verb, "_row", fail)
    found = advnce("doctor")
    assert (found.code, found.line[: len(said)]) == (code, said)


@pytest.mark.parametrize("error", [KeyboardInterrupt, typer.Abort])
def test_ctrl_c_at_any_moment(advnce, monkeypatch, error):
    def fail(**_):
        raise error

    monkeypatch.setattr("pyg_advinfonce.cli.main.app", fail)
    found = advnce("ls")
    assert (found.code, found.line) == (130, "interrupted")


def test_a_bug_is_not_hidden(advnce, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(doctor_verb, "_row", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        advnce("doctor")


@pytest.mark.filterwarnings("always:odd data")
def test_a_warning_is_one_line(advnce, monkeypatch):
    monkeypatch.setattr(
        doctor_verb, "_row", lambda *_: warnings.warn("odd data\nhere", stacklevel=1)
    )
    found = advnce("doctor")
    assert found.code == 0
    assert set(found.err.splitlines()) == {"advnce: warning: odd data here"}


def test_doctor_shows_versions_and_devices(advnce):
    found = advnce("doctor")
    assert (found.code, found.err) == (0, "")
    rows = {line[:24].strip(): line[24:] for line in found.out.splitlines()}
    assert rows["pyg-advinfonce"] == pyg_advinfonce.__version__
    assert {"torch", "python", "propagation on cpu", "edge scores on cpu"} <= set(rows)


def test_a_closed_pipe_is_no_one_s_error():
    reader, writer = os.pipe()
    os.close(reader)
    with start("ls", stdout=writer) as process:
        os.close(writer)
        assert process.communicate()[1] == ""
    assert process.returncode == 1


def test_nobody_has_to_listen_to_the_end(folder):
    words = [*COMMAND, "train", "mf", "--loss", "bpr", "--epochs", "3"]
    shell = f"{shlex.join(words)} 2>&1 | head -n 1"
    found = subprocess.run(["sh", "-c", shell], capture_output=True, text=True)
    assert found.stdout.startswith("data: simulated:coat")
    assert (found.stdout.count("\n"), found.stderr) == (1, "")


def test_output_that_does_not_fit_is_one_line():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as file, start("ls", stdout=file) as process:
        said = process.communicate()[1]
    assert process.returncode == 1
    assert said == "advnce: standard output: No space left on device\n"


def test_ctrl_c_ends_training_and_says_how_to_go_on(folder, interruptible):
    with start("train", "mf", "--loss", "bpr", "--epochs", "99999999") as process:
        while not process.stderr.readline().startswith("config:"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    assert (process.returncode, out) == (130, "")
    *before, again, last = said.splitlines()
    assert again == "to resume: advnce train --resume runs/simulated-mf-bpr"
    assert last == "advnce: interrupted"
    assert all(line.startswith("device: ") for line in before)  # written by then


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train light", ["lightgcn", "lightgcl"]),
        ("train sgl --loss a", ["adv"]),
        ("train mf --data ml", ["ml-100k", "ml-1m", "ml-20m"]),
        ("tune mf --loss ad", ["adv", "adap-tau", "adv-mlp", "adv-reverse"]),
        ("settings ultragcn --loss b", ["bce"]),
        ("reproduce fig", ["fig4", "fig5", "fig6", "fig7"]),
        ("data verify ko", []),
        ("data fetch g", ["gowalla"]),
    ],
)
def test_a_shell_completes_names(advnce, monkeypatch, words, expected):
    monkeypatch.setenv("_ADVNCE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"advnce {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    found = advnce()
    assert (found.code, sorted(found.out.split())) == (0, sorted(expected))


def test_a_shell_gets_the_script_of_its_completion(advnce, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "_ADVNCE_COMPLETE" in advnce("--show-completion", "bash").out


def test_an_error_is_wrapped_between_words_on_a_terminal(advnce, monkeypatch):
    plain = advnce("ls", "x").err
    assert plain.count("\n") == 1
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((40, 9)))
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    say(plain.removeprefix("advnce: "))
    found = terminal.getvalue()
    assert max(map(len, found.splitlines())) < 40
    assert " ".join(found.split()) == plain.strip()


class Terminal(io.StringIO):
    def isatty(self):
        return True
