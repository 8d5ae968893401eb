"""The command ``advnce``: verbs, termination signals, one line per error."""

import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from types import FrameType

import typer

from pyg_advinfonce.errors import (
    AdvInfoNCEError,
    ConfigError,
    DataWarning,
    MemoryShortageError,
    NonFiniteLossError,
    is_out_of_memory,
)
from pyg_advinfonce.launch import is_first_process, is_launched
from pyg_advinfonce.progress import terminal_columns, wrapped
from pyg_advinfonce.version import __version__

from . import (
    compare,
    data,
    doctor,
    evaluate,
    export,
    ls,
    recommend,
    report,
    reproduce,
    settings,
    show,
    train,
    tune,
)
from .options import FAILED, USAGE
from .process import is_first_to_fail, is_lost_process, prepare_process

TOGETHER = ("train", "evaluate", "recommend")
"""Verbs that several processes of ``torchrun`` may run together."""

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

_received: list[int] = []

_verb: list[str | None] = []

FLAG = re.compile(r"--[a-z-]+(?: ('[^']*'|[^\s()]+))? \((data\.\w+)\)")
"""An option of ``advnce data`` with its value, and the setting of the same meaning."""

app = typer.Typer(
    name="advnce",
    help="Contrastive collaborative filtering around the AdvInfoNCE loss.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("evaluate")(evaluate.evaluate)
app.command("recommend")(recommend.recommend)
app.command("export")(export.export)
app.command("compare")(compare.compare)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(data.app)
app.command("report")(report.report)
app.command("ls")(ls.ls)
app.command("show")(show.show)
app.command("settings")(settings.settings)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """Contrastive collaborative filtering around the AdvInfoNCE loss."""
    if version:
        typer.echo(f"advnce {__version__}")
        raise typer.Exit
    verb = context.invoked_subcommand
    if is_launched() and verb not in (None, *TOGETHER):
        raise ConfigError(
            f"advnce {verb} runs in one process: start it without torchrun, which is "
            f"for {', '.join(TOGETHER)}"
        )
    _verb[:] = [verb]
    if verb is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


def main() -> None:
    """Run the command line; an expected error is one line, exit code 2 or 1."""
    warnings.showwarning = _print_warning
    prepare_process()
    try:
        with sigterm_as_interrupt():
            code = app(prog_name="advnce", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        code = _print_error(error)
    if code == INTERRUPTED:  # Typer's code for a KeyboardInterrupt
        if is_first_to_fail():
            _say("interrupted")
        code = exit_code()
    if code:
        sys.exit(code)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let the first SIGTERM act like Ctrl-C; a second one ends the process."""
    _received.clear()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code() -> int:
    """Return the exit code of an interruption by Ctrl-C or SIGTERM."""
    return TERMINATED if _received else INTERRUPTED


def _interrupt(number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _received.append(number)
    raise KeyboardInterrupt


def _print_error(error: Exception) -> int:
    """Print an expected error in one line, return the exit code; raise any other.

    Of several processes, only the first one to fail prints it.
    """
    if not is_first_to_fail():
        return FAILED
    if is_lost_process(error):
        _say("another process of this training has ended: see its message")
        return FAILED
    usage: Callable[[], str] | None = getattr(error, "format_message", None)
    if usage is not None:
        _say(f"{usage()}{_setting(error)} (see {_command(error)} --help)")
        return USAGE
    if isinstance(error, AdvInfoNCEError | DataWarning):  # of -W error
        for text in [str(error), *getattr(error, "__notes__", [])]:
            _say(_with_own_options(text))
        failed = isinstance(error, NonFiniteLossError | MemoryShortageError)
        return FAILED if failed else USAGE
    if isinstance(error, OSError):
        _say(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return FAILED
    if is_out_of_memory(error):
        _say("out of memory: lower train.batch_size, num_negatives or model.dim")
        return FAILED
    raise error


def _setting(error: Exception) -> str:
    """Return a hint to --set, if an unknown option may be a setting."""
    option: str = getattr(error, "option_name", "")
    if not option or _command(error).split()[-1] not in ("train", "tune", "reproduce"):
        return ""
    key = option.lstrip("-").replace("-", "_")
    from pyg_advinfonce.datasets.tables import TableOptions

    section = "data" if key in {f.name for f in fields(TableOptions)} else "SECTION"
    return f"; change settings with --set {section}.{key}=VALUE"


def _with_own_options(text: str) -> str:
    return as_assignments(text) if _verb in (["train"], ["tune"]) else text


def as_assignments(text: str) -> str:
    """Replace options of ``advnce data`` by ``--set``, as ``train`` and ``tune`` do."""
    return FLAG.sub(_assignment, text)


def _assignment(flag: re.Match[str]) -> str:
    value, key = flag.groups()
    if value is None:
        return f"--set {key}=true" if key == "data.drop_incomplete" else key
    return "--set " + (f"'{key}={value[1:]}" if value[0] == "'" else f"{key}={value}")


def _command(error: Exception) -> str:
    context: typer.Context | None = getattr(error, "ctx", None)
    return context.command_path if context else "advnce"


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    if not is_first_process():
        return  # the first process says the same
    _say(_with_own_options(f"warning: {message}"))


def _say(text: str) -> None:
    line = f"advnce: {' '.join(text.split())}"
    if sys.stderr.isatty():  # which would break words
        line = wrapped(line, indent=2, width=terminal_columns() - 1)
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
