"""``advnce data``: the verbs that have to do with data sets, one a file."""

import typer

from . import listing

app = typer.Typer(name="data", help="Fetch, check and describe data sets.")
app.command("list")(listing.list_sets)
