"""``advnce data``: the verbs about data."""

import typer

from . import data_simulate, data_split

app = typer.Typer(
    name="data",
    help="Divide, or simulate, data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("split")(data_split.split)
app.command("simulate")(data_simulate.simulate)
