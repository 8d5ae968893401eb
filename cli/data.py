"""``advnce data``: the verbs about data."""

import typer

from . import data_simulate, data_split

USAGE = 2

app = typer.Typer(
    name="data",
    help="Divide, or simulate, data.",
    rich_markup_mode=None,
)
app.command("split")(data_split.split)
app.command("simulate")(data_simulate.simulate)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Divide, or simulate, data."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)
