"""``advnce data``: the verbs that have to do with data sets, one a file."""

import typer

from . import describe, fetch, listing, verify

app = typer.Typer(name="data", help="Fetch, check and describe data sets.")
app.command("list")(listing.list_sets)
app.command("fetch")(fetch.fetch)
app.command("verify")(verify.verify)
app.command("describe")(describe.describe)
