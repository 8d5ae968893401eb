"""Recommendation lists for ``advnce recommend``."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import typer

from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.files import without_formulas
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.runs import Result
from pyg_advinfonce.serving import (
    WRITERS,
    Recommender,
    csv_texts,
    json_texts,
    save_lists,
)

NEW = "new"
"""The id of a new user given by ``--items``."""


@dataclass(frozen=True)
class ListRequest:
    """The requested lists and their format.

    Attributes:
        users: Ids of users; None for all users, or if ``items`` is set.
        items: Ids of the items of a new user.
        k: The length of a list.
        kind: ``table``, ``csv``, ``parquet`` or ``jsonl``.
        out: The file, or None to print.
        spreadsheet_safe: Put an apostrophe before ids that look like formulas.
    """

    users: list[str] | None
    items: list[str] | None
    k: int
    kind: str
    out: Path | None
    spreadsheet_safe: bool = False

    @classmethod
    def of(
        cls,
        *,
        users: str | None,
        items: str | None,
        k: int,
        kind: str | None,
        out: Path | None,
        spreadsheet_safe: bool = False,
    ) -> "ListRequest":
        """Check the flags before the run and its data are loaded.

        Raises:
            ConfigError: If flags contradict each other.
            MissingExtraError: If the format needs a package that is not installed.
        """
        if (users is None) == (items is None):
            raise ConfigError(
                "expected either --users ID,ID or --users all, or a new user's "
                "--items ID,ID"
            )
        if k < 1:
            raise ConfigError(f"-k must be positive (got {k})")
        named = None if users in (None, "all") else split_ids(users or "")
        given = None if items is None else split_ids(items)
        kind = _kind(kind, out)
        if spreadsheet_safe and kind != "csv":
            raise ConfigError(f"--spreadsheet-safe is for --format csv (got {kind})")
        return cls(named, given, k, kind, out, spreadsheet_safe)


def split_ids(text: str) -> list[str]:
    """Return the comma-separated ids of a text; an id with a comma is quoted."""
    try:
        found = [part for part in next(csv.reader([text], strict=True), []) if part]
    except csv.Error as error:
        raise ConfigError(
            f"expected comma-separated ids, got {text!r} ({error})"
        ) from error
    if not found:
        raise ConfigError("expected comma-separated ids (got none)")
    return found


def _kind(kind: str | None, out: Path | None) -> str:
    """Return the format after a check that it suits the output."""
    found = kind or (out.suffix.removeprefix(".") if out else "table")
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


def print_lists(request: ListRequest, run: Result, *, seen: str) -> None:
    """Print the lists, or write them and print the file's name."""
    recommender = Recommender(run.method, run.graph, seen=seen)
    tables = _tables(request, recommender)
    if request.spreadsheet_safe:
        tables = map(without_formulas, tables)
    if request.out is not None:
        save_lists(tables, request.out, request.kind)
        typer.echo(request.out)
        return
    for text in _texts(request.kind, tables, recommender):
        typer.echo(text, nl=False)


def _tables(request: ListRequest, recommender: Recommender) -> Iterable[pd.DataFrame]:
    if request.items is not None:
        return [recommender.recommend_new({NEW: request.items}, k=request.k)]
    return recommender.stream(request.users, k=request.k)


def _texts(
    kind: str, tables: Iterable[pd.DataFrame], recommender: Recommender
) -> Iterator[str]:
    if kind != "table":
        return (csv_texts if kind == "csv" else json_texts)(tables)
    ids = (recommender.users.values, recommender.items.values)
    user, item = (max([4, *(len(str(x)) for x in column)]) for column in ids)
    return table_texts(tables, user, item)


def table_texts(
    tables: Iterable[pd.DataFrame], user_width: int, item_width: int
) -> Iterator[str]:
    """Yield lines whose columns have the same width in all tables."""
    yield f"{'user':<{user_width}}  rank  {'item':<{item_width}}  score\n"
    for table in tables:
        for row in table.itertuples(index=False):
            user, item = f"{row.user:<{user_width}}", f"{row.item:<{item_width}}"
            yield f"{user}  {row.rank:>4}  {item}  {row.score:.4g}\n"
