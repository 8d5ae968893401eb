"""``advnce settings``: names, values and meanings for ``--set``."""

import typer

from pyg_advinfonce.progress import wrapped
from pyg_advinfonce.registry import check_pair

from .options import complete_data, complete_loss, complete_model, import_custom


def settings(
    model: str = typer.Argument(
        "lightgcn",
        help="A model, see `advnce ls models`, or my_module:build.",
        autocompletion=complete_model,
    ),
    loss: str | None = typer.Option(
        None,
        help="A loss, see `advnce ls losses`, or my_module:MyLoss (default: the "
        "model's first).",
        autocompletion=complete_loss,
    ),
    data: str = typer.Option(
        "simulated",
        help="The data set, whose packaged settings apply.",
        autocompletion=complete_data,
    ),
    preset: str = typer.Option("default", help="default, repro or faithful."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    as_toml: bool = typer.Option(
        False, "--toml", help="Print a commented file for `advnce train --config`."
    ),
) -> None:
    """List the settings of a model and a loss and what they mean."""
    check_pair(model, loss)
    import json

    from pyg_advinfonce.config import Config, packaged, settings_toml
    from pyg_advinfonce.config import settings as all_settings

    custom = import_custom(model=model, loss=loss)
    config = Config.resolve(model, loss, data, preset=preset)
    if custom:
        from pyg_advinfonce.build import name_custom

        config = name_custom(config, **custom)
    rows = all_settings(config, **custom)
    if as_toml:
        typer.echo(settings_toml(config, rows), nl=False)
        return
    if as_json:
        typer.echo(json.dumps({row.name: _finite(row.value) for row in rows}))
        return
    own = packaged(config.data.name, config.model.name, config.loss.name)
    known = "" if own else " (no packaged settings)"
    typer.echo(f"{config.pair} on {config.data.name}{known}")
    for row in rows:
        value = json.dumps(_finite(row.value)).strip('"')
        shown = "not set" if row.value is None else value
        typer.echo(f"\n{' ' if row.is_default else '*'} {row.name} = {shown}")
        typer.echo(" " * 6 + wrapped(row.meaning, indent=6))
    typer.echo("\n* not the library's default")


def _finite(value: object) -> object:
    """Replace infinity, which JSON lacks, by TOML's ``inf``."""
    return "inf" if value == float("inf") else value
