"""Flags that several verbs share, and the parsers of their values."""

import importlib
import re
import sys
import traceback
import warnings
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.registry import (
    DATA_ROOT,
    DATASETS,
    LOSSES,
    METRICS,
    MODELS,
    REPRODUCTIONS,
    TRACKERS,
    Entry,
    is_custom,
    unknown,
)

from .process import MAX_THREADS

if TYPE_CHECKING:
    from pyg_advinfonce.training import Tracker

FAILED, USAGE = 1, 2
"""Exit codes."""

SourceRoot: Path = typer.Option(
    Path("data"),
    "--data-root",
    "--root",
    envvar=DATA_ROOT,
    help="The folder that holds the data sets.",
)


DataRoot: Path = typer.Option(
    Path("data"), envvar=DATA_ROOT, help="The folder that holds the data sets."
)
CacheDir: Path | None = typer.Option(
    None, help="The folder of processed data (default: the user's cache folder)."
)
Threads: int | None = typer.Option(
    None,
    min=1,
    max=MAX_THREADS,
    help="CPU threads (default: one per core); 1 is best for small data on a busy "
    "machine.",
)
Deterministic: bool = typer.Option(
    False,
    "--deterministic",
    help="Reproducible bits on CUDA, too; slower there.",
)


def _only_custom(name: str | None) -> str | None:
    if name is not None and not is_custom(name):
        raise ConfigError(
            "--model and --loss name a run's custom code, my_module:build; the "
            f"library's own is known from the run (got '{name}')"
        )
    return name


CustomModel: str | None = typer.Option(
    None,
    "--model",
    callback=_only_custom,
    metavar="MODULE:NAME",
    help="The custom model of the run, if its saved embeddings do not suffice.",
)
CustomLoss: str | None = typer.Option(
    None,
    "--loss",
    callback=_only_custom,
    metavar="MODULE:NAME",
    help="The custom loss of the run, likewise.",
)
Device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N.")


def _matching(table: Mapping[str, Entry], start: str) -> list[tuple[str, str]]:
    return [(n, e.help) for n, e in table.items() if n.startswith(start)]


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Return the models that a shell completes, with their descriptions."""
    return _matching(MODELS, incomplete)


def complete_loss(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the losses, of the model if it is named."""
    words = [*context.args, context.params.get("model")]
    model = next((word for word in words if word in MODELS), None)
    known = LOSSES if model is None else MODELS[model].losses
    return _matching({n: e for n, e in LOSSES.items() if n in known}, incomplete)


def complete_data(incomplete: str) -> list[tuple[str, str]]:
    """Return the data sets."""
    return _matching(DATASETS, incomplete)


def complete_reproduction(incomplete: str) -> list[tuple[str, str]]:
    """Return the tables and figures."""
    return _matching(REPRODUCTIONS, incomplete)


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads of torch; None keeps its default."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def metric_names(text: str) -> list[str]:
    """Read ``recall,gini`` or ``all``.

    Raises:
        ConfigError: If no metric is named.
        UnknownNameError: If a metric does not exist.
    """
    names = list(METRICS) if text == "all" else text.replace(",", " ").split()
    if not names:
        raise ConfigError("--metrics expects names: recall,gini or all (got none)")
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    return names


def output_kind(kind: str | None, out: Path | None) -> str:
    """Return the format of a table after a check that it suits the output.

    Raises:
        UnknownNameError: If the format does not exist.
        ConfigError: If it does not suit the output.
        MissingExtraError: If it needs a package that is not installed.
    """
    from pyg_advinfonce.serving import WRITERS

    found = kind or (out.suffix.removeprefix(".") if out else "table")
    if not found:
        raise ConfigError(
            f"{out} has no suffix to choose a format by: set --format "
            f"{', '.join(WRITERS)}"
        )
    if found not in ("table", *WRITERS):
        raise unknown("format", found, ("table", *WRITERS))
    if found == "table" and out is not None:
        raise ConfigError(
            f"a table cannot be written to a file: choose --format {', '.join(WRITERS)}"
        )
    if found == "parquet" and out is None:
        raise ConfigError("parquet cannot be printed: name a file with --out")
    if found == "parquet":
        optional_package("pyarrow")
    return found


LENGTH = 20
"""The default length of recommended lists."""


def warn_of_length(k: int, num_items: int) -> None:
    """Warn of lists that are longer than the number of items."""
    if k > num_items:
        warnings.warn(f"-k {k} exceeds the number of items, {num_items}", stacklevel=2)


def find_tracker(name: str | None) -> "type[Tracker] | None":
    """Return the class of a tracker, or None.

    Raises:
        UnknownNameError: If the tracker does not exist.
        MissingExtraError: If its package is not installed.
    """
    if name is None:
        return None
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    found: type[Tracker] = TRACKERS[name].load()
    if found.requires:
        optional_package(found.requires)
    return found


def import_custom(**names: str | None) -> dict[str, Any]:
    """Import custom code ``module:attribute``, first from the working directory.

    Args:
        **names: The names by section, here ``model`` and ``loss``.

    Returns:
        The imported objects by section; names of the library are skipped.

    Raises:
        ConfigError: If a module cannot be imported, or has no such class or function.
    """
    return {
        section: _imported(section, name)
        for section, name in names.items()
        if name is not None and is_custom(name)
    }


def _imported(section: str, name: str) -> Any:  # noqa: ANN401
    if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", name) or ".py:" in name:
        raise ConfigError(
            f"expected a custom {section} as module:attribute, e.g. my_module:build "
            f"for build in my_module.py (got '{name}')"
        )
    module, attribute = name.split(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(f"{name}: {_where(error)}") from error
        raise ConfigError(
            f"{name}: no module '{error.name}' in the working directory or among the "
            "installed packages"
        ) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{name}: {_where(error)}") from error
    try:
        target = attrgetter(attribute)(found)
    except AttributeError as error:
        file = getattr(found, "__file__", None) or module
        raise unknown(f"name in {file}", attribute, _public(found)) from error
    if not callable(target):
        raise ConfigError(f"{name} is no class or function (got {target!r:.80})")
    return target


def _where(error: BaseException) -> str:
    """Return the text of an error in custom code, with its file and line."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
        return f"SyntaxError: {error.msg} ({place})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(Path.cwd())]
    frame = (own or frames)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"


def _public(module: object) -> list[str]:
    """Return the public callables that a module defines, or else all that it has."""
    found = {k: v for k, v in vars(module).items() if k[0] != "_" and callable(v)}
    name = getattr(module, "__name__", "")
    return [k for k, v in found.items() if getattr(v, "__module__", "") == name] or [
        *found
    ]
