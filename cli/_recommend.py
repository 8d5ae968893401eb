"""Recommendation lists for ``advnce recommend``."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import typer

from pyg_advinfonce.errors import ConfigError, UnknownNameError
from pyg_advinfonce.files import without_formulas
from pyg_advinfonce.ranks import from_first, ranks
from pyg_advinfonce.runs import Result
from pyg_advinfonce.serving import (
    Recommender,
    csv_texts,
    json_texts,
    merge_lists,
    save_lists,
)

from .options import LENGTH, output_kind, warn_of_length

NEW = "new"
"""The id of a new user given by ``--items``."""


@dataclass(frozen=True)
class ListRequest:
    """The requested lists and their format.

    Attributes:
        users: Ids of users; None for all users, or if ``items`` or ``like`` is set.
        items: Ids of the items of a new user.
        like: Ids of items, to list similar ones.
        k: The length of a list.
        kind: ``table``, ``csv``, ``parquet`` or ``jsonl``.
        out: The file, or None to print.
        spreadsheet_safe: Put an apostrophe before ids that look like formulas.
    """

    users: list[str] | None
    items: list[str] | None
    like: list[str] | None
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
        like: str | None,
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
        if sum(ids is not None for ids in (users, items, like)) != 1:
            raise ConfigError(
                "expected one of --users ID,ID or --users all, a new user's --items "
                "ID,ID, or --like ID,ID for similar items"
            )
        if k < 1:
            raise ConfigError(f"-k must be positive (got {k})")
        named = None if users in (None, "all") else split_ids(users or "")
        given, liked = (None if t is None else split_ids(t) for t in (items, like))
        kind = output_kind(kind, out)
        if spreadsheet_safe and kind != "csv":
            raise ConfigError(f"--spreadsheet-safe is for --format csv (got {kind})")
        return cls(named, given, liked, k, kind, out, spreadsheet_safe)


def split_ids(text: str) -> list[str]:
    """Return the comma-separated ids of a text; an id with a comma is quoted.

    Blanks around commas do not count.
    """
    try:
        parts = next(csv.reader([text], strict=True, skipinitialspace=True), [])
    except csv.Error as error:
        raise ConfigError(
            f"expected comma-separated ids, got {text!r} ({error})"
        ) from error
    found = [part for part in map(str.strip, parts) if part]
    if not found:
        raise ConfigError("expected comma-separated ids (got none)")
    return found


def print_lists(request: ListRequest, run: Result, *, seen: str) -> None:
    """Print the lists, or write them and print the file's name."""
    is_one_part = request.users is not None or request.items or request.like
    if ranks() is not None and (is_one_part or request.out is None):
        raise ConfigError(
            "several processes write the lists of all users: set --users all and --out"
        )
    recommender = Recommender(run.method, run.graph, seen=seen)
    if request.k != LENGTH:
        warn_of_length(request.k, len(recommender.items.values))
    tables = _tables(request, recommender)
    if request.spreadsheet_safe:
        tables = map(without_formulas, tables)
    if request.out is not None:
        _save(tables, request.out, request.kind)
        typer.echo(request.out)
        return
    for text in _texts(request, tables, recommender):
        typer.echo(text, nl=False)


def _save(tables: Iterable[pd.DataFrame], out: Path, kind: str) -> None:
    """Write lists; those of several processes are merged in the order of users."""
    group = ranks()
    if group is None:
        save_lists(tables, out, kind)
        return
    parts = [out.with_name(f".{out.name}.part-{rank}") for rank in range(group.size)]
    save_lists(tables, parts[group.rank], kind)
    group.wait()  # until all have written
    from_first(lambda: merge_lists(parts, out, kind))


QUOTED = """an id with a comma is quoted: '"Eve, Jr.",Ann'"""


def _tables(request: ListRequest, recommender: Recommender) -> Iterable[pd.DataFrame]:
    try:
        return _listed(request, recommender)
    except UnknownNameError as error:
        if len(request.users or request.items or request.like or []) < 2:
            raise
        raise UnknownNameError(f"{error}; {QUOTED}") from error


def _listed(request: ListRequest, recommender: Recommender) -> Iterable[pd.DataFrame]:
    if request.items is not None:
        return [recommender.recommend_new({NEW: request.items}, k=request.k)]
    if request.like is not None:
        return [recommender.similar(request.like, k=request.k)]
    return recommender.stream(request.users, k=request.k)


def _texts(
    request: ListRequest, tables: Iterable[pd.DataFrame], recommender: Recommender
) -> Iterator[str]:
    if request.kind != "table":
        return (csv_texts if request.kind == "csv" else json_texts)(tables)
    ids = (recommender.users.values, recommender.items.values)
    user, item = (max([4, *(len(str(x)) for x in column)]) for column in ids)
    return table_texts(tables, user if request.like is None else item, item)


def table_texts(
    tables: Iterable[pd.DataFrame], first_width: int, item_width: int
) -> Iterator[str]:
    """Yield lines whose columns have the same width in all tables."""
    for number, table in enumerate(tables):
        if number == 0:
            first = table.columns[0]
            yield f"{first:<{first_width}}  rank  {'item':<{item_width}}  score\n"
        for whose, rank, item, score in table.itertuples(index=False):
            names = f"{whose:<{first_width}}  {rank:>4}  {item:<{item_width}}"
            yield f"{names}  {score:.4g}\n"
