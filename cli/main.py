"""``advnce``: the verbs, and how an error becomes one line."""

import os
import sys
import warnings

import typer
from pyg_advinfonce.cli import doctor, evaluate, ls, train

from pyg_advinfonce import __version__
from pyg_advinfonce.errors import AdvInfoNCEError, NonFiniteLossError

app = typer.Typer(
    name="advnce",
    help="Contrastive collaborative filtering around the AdvInfoNCE loss.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("ls")(ls.ls)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """Contrastive collaborative filtering around the AdvInfoNCE loss."""
    if version:
        typer.echo(f"advnce {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an expected error is one line and exit code 2, or 1."""
    warnings.showwarning = _print_warning
    try:
        app()
    except AdvInfoNCEError as error:
        print(f"advnce: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1 if isinstance(error, NonFiniteLossError) else 2)
    except KeyboardInterrupt:
        print("advnce: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_warning(message: Warning | str, *_: object) -> None:
    print(f"advnce: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
