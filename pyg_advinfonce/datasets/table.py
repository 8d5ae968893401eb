"""Data sets from tables: one table, or one table per split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pandas as pd

from pyg_advinfonce.datasets.base import (
    FORMAT_VERSION,
    IntArray,
    ProcessedDataset,
    SplitPairs,
    file_sha256,
    load_or_build,
    process,
)
from pyg_advinfonce.datasets.splits import (
    TIMED,
    Interactions,
    SplitOptions,
    compact_ids,
    divide,
    resolve_overlaps,
    split_off_valid,
    without_cold_users,
)
from pyg_advinfonce.datasets.tables import (
    Logs,
    TableOptions,
    find_columns,
    open_table,
    read_logs,
    warn_of_ratings,
)
from pyg_advinfonce.errors import ConfigError


def split_table(
    source: Path | pd.DataFrame, table: TableOptions, split: SplitOptions
) -> SplitPairs:
    """Read a table of interactions and split its positive pairs.

    The result does not depend on the ids; see
    :func:`~pyg_advinfonce.datasets.splits.divide`.

    Args:
        source: Text, JSON lines or parquet file, or a data frame.
        table: Format of the table.
        split: Kind of split and its options.

    Raises:
        DataError: If the table is malformed; the message says where.
        ConfigError: If an option is invalid or a split is empty.
    """
    needs_time = split.split in TIMED
    if table.time_col is not None and not needs_time:
        raise ConfigError(
            f"time_col has no effect on the split '{split.split}': remove it, or use "
            f"the split {' or '.join(TIMED)}"
        )
    logs = _read({"table": source}, table, needs_time=needs_time)
    merged = Interactions.of(logs.tables["table"])
    log = merged.core(table.min_user, table.min_item)
    splits = without_cold_users(divide(log, split))
    rare = merged.pairs.shape[1] - log.pairs.shape[1]
    duplicates = {"table": merged.duplicates}
    rows = _rows(logs, duplicates, splits, {"of rare users or items": rare})
    return replace(
        compact_ids(splits, logs.user_ids, logs.item_ids, duplicates), rows=rows
    )


def _rows(
    logs: Logs,
    duplicates: Mapping[str, int],
    splits: Mapping[str, IntArray],
    others: Mapping[str, int],
) -> dict[str, int]:
    """Return the number of rows read and its parts: rows used and left out."""
    tables = logs.tables.values()
    read = sum(log.num_rows for log in tables)
    counts = {
        "used": sum(pairs.shape[1] for pairs in splits.values()),
        "repeated": sum(duplicates.values()),
        "incomplete": sum(log.num_incomplete for log in tables),
    }
    positive = sum(log.pairs.shape[1] for log in tables)
    counts["not positive"] = read - counts["incomplete"] - positive
    counts |= others
    left = read - sum(counts.values())
    counts["of users without train or in two splits"] = left
    return {"read": read} | {n: c for n, c in counts.items() if c or n == "used"}


def read_split_tables(
    files: Mapping[str, Path],
    table: TableOptions,
    *,
    valid_fraction: float = 0.1,
    seed: int = 0,
    overlap: str = "keep",
) -> SplitPairs:
    """Read one table per split.

    Args:
        files: Tables by split. Without ``valid``, random train pairs become valid.
        table: Format of the tables.
        valid_fraction: Share of the train pairs that becomes valid.
        seed: Seed of that split.
        overlap: Handling of pairs that occur in two splits; see
            :func:`~pyg_advinfonce.datasets.splits.resolve_overlaps`.

    Raises:
        DataError: If a table is malformed; the message says where.
        ConfigError: If an option is invalid or a split is empty.
    """
    for name in ("time_col", "min_user", "min_item"):
        if getattr(table, name) != getattr(TableOptions(), name):
            raise ConfigError(f"{name} has no effect on given splits: remove it")
    logs = _read(files, table, needs_time=False)
    merged = {name: Interactions.of(log) for name, log in logs.tables.items()}
    splits = {name: log.pairs for name, log in merged.items()}
    if "valid" not in splits:
        del splits["train"]
        train, valid = split_off_valid(logs.tables["train"].pairs, valid_fraction, seed)
        splits = {"train": train, "valid": valid} | splits
    splits = resolve_overlaps(without_cold_users(splits), overlap)
    duplicates = {name: log.duplicates for name, log in merged.items()}
    return replace(
        compact_ids(splits, logs.user_ids, logs.item_ids, duplicates),
        rows=_rows(logs, duplicates, splits, {}),
    )


def _read(
    files: Mapping[str, Path] | Mapping[str, Path | pd.DataFrame],
    options: TableOptions,
    *,
    needs_time: bool,
) -> Logs:
    tables = {name: open_table(path, options) for name, path in files.items()}
    for table in tables.values():
        warn_of_ratings(table.path, table.names, options)
    return read_logs(
        {
            name: (
                table,
                find_columns(table.path, table.names, options, needs_time=needs_time),
            )
            for name, table in tables.items()
        }
    )


class TableDataset(ProcessedDataset):
    """A text, JSON lines or parquet file, or a data frame, of interactions.

    The processed graph is cached under a hash of the file and the options. Its
    ``raw_id`` of users and items are the ids in the file.

    Args:
        path: The file or data frame.
        cache_dir: Folder of the cached graphs (default: the user's cache folder); a
            data frame is not cached.
        user_col: Column of user ids (default: detected by a common name).
        item_col: Column of item ids (default: detected by a common name).
        rating_col: Column that ``rating`` in ``positive_if`` refers to if no column has
            that name (default: detected by a common name).
        time_col: Column of timestamps (default: detected by a common name).
        positive_if: Condition for a positive row, e.g. ``rating >= 4`` (default: all
            rows are positive).
        format: ``triples`` or ``movielens``. This and the following options are those
            of :class:`~pyg_advinfonce.datasets.tables.TableOptions`.
        columns: Names of the columns of a text without a header.
        separator: Separator of a text.
        encoding: Encoding of a text.
        drop_incomplete: Whether rows with a missing value are dropped.
        min_user: Smallest number of pairs per user.
        min_item: Smallest number of pairs per item.
        split: ``random``, ``leave-last``, ``time`` or ``popularity-shift``. This and
            the following options are those of
            :class:`~pyg_advinfonce.datasets.splits.SplitOptions`.
        valid_fraction: Share of all pairs that becomes valid.
        test_fraction: Share of all pairs that becomes test, per test.
        gammas: Popularity ratios of the tests of ``popularity-shift``.
        mode: ``exact`` or ``notebook``.
        num_groups: Number of groups of items with similar popularity.
        seed: Seed of the split.

    Raises:
        DataError: If the file is malformed; the message says where.
        ConfigError: If an option is invalid or a split is empty.
    """

    def __init__(
        self,
        path: Path | pd.DataFrame,
        *,
        cache_dir: Path | None = None,
        user_col: str | None = None,
        item_col: str | None = None,
        rating_col: str | None = None,
        time_col: str | None = None,
        positive_if: str | None = None,
        format: str | None = None,
        columns: str | Sequence[str] | None = None,
        separator: str | None = None,
        encoding: str | None = None,
        drop_incomplete: bool = False,
        min_user: int = 1,
        min_item: int = 1,
        split: str = "random",
        valid_fraction: float | None = None,
        test_fraction: float | None = None,
        gammas: Sequence[float] | None = None,
        mode: str | None = None,
        num_groups: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.source = path
        self.label = path.name if isinstance(path, Path) else "DataFrame"
        self.table_options = TableOptions(
            user_col=user_col,
            item_col=item_col,
            rating_col=rating_col,
            time_col=time_col,
            positive_if=positive_if,
            format=format,
            columns=columns,
            separator=separator,
            encoding=encoding,
            drop_incomplete=drop_incomplete,
            min_user=min_user,
            min_item=min_item,
        )
        self.split_options = SplitOptions(
            split,
            valid_fraction,
            test_fraction,
            None if gammas is None else tuple(gammas),
            mode,
            num_groups,
            seed,
        )
        self.processed = load_or_build(
            cache_dir,
            self._key(path) if isinstance(path, Path) else None,
            lambda: process(split_table(path, self.table_options, self.split_options)),
        )

    def _key(self, path: Path) -> str:
        options = asdict(self.table_options) | self.split_options.used
        text = json.dumps([FORMAT_VERSION, path.suffix, options], sort_keys=True)
        return sha256(f"{text} {file_sha256(path)}".encode()).hexdigest()
