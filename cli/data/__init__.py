"""``advnce data``: the verbs that have to do with data sets, one a file."""

import typer

from . import describe, fetch, listing, simulate, split, verify

USAGE = 2

app = typer.Typer(
    name="data",
    help="Fetch, check, describe, divide and simulate data sets.",
    rich_markup_mode=None,
)
app.command("list")(listing.list_sets)
app.command("fetch")(fetch.fetch)
app.command("verify")(verify.verify)
app.command("describe")(describe.describe)
app.command("split")(split.split)
app.command("simulate")(simulate.simulate)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Fetch, check, describe, divide and simulate data sets."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)
