"""Data sets from tables: one table, or one table per split."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from pyg_advinfonce.datasets.base import (
    FORMAT_VERSION,
    NOT_CANDIDATE,
    SEEN,
    IntArray,
    Processed,
    ProcessedDataset,
    SplitPairs,
    load_or_build,
    process,
    split_of_file,
    table_suffix,
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
    SUFFIXES,
    Logs,
    TableOptions,
    find_columns,
    open_table,
    parquet_parts,
    read_logs,
    table_sha256,
    warn_of_ratings,
)
from pyg_advinfonce.errors import ConfigError, DataError, DatasetNotFoundError

_KINDS = ("train", "valid", "test")
_ADVICE = {"time": "try --split temporal-user (data.split) or leave-last"}
"""What to do if all held-out pairs are of users without a train pair, by split."""


def split_table(
    source: Path | pd.DataFrame, table: TableOptions, split: SplitOptions
) -> SplitPairs:
    """Read a table of interactions and split its positive pairs.

    The result does not depend on the ids; see
    :func:`~pyg_advinfonce.datasets.splits.divide`.

    Args:
        source: Text, JSON lines or parquet file, a folder of parquet files, or a data
            frame.
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
    logs, merged = _merged(_read({"table": source}, table, needs_time=needs_time))
    duplicates = {"table": merged.duplicates}
    rare = merged.pairs.shape[1]
    merged = merged.core(table.min_user, table.min_item)
    rare -= merged.pairs.shape[1]
    divided = divide(merged, split)
    del merged  # each array of a large table is dropped as soon as possible
    splits = without_cold_users(divided, _ADVICE.get(split.split, ""))
    del divided
    rows = _rows(logs, duplicates, splits, {"of rare users or items": rare})
    compact = compact_ids(splits, logs.user_ids, logs.item_ids, duplicates, logs.known)
    return replace(compact, rows=rows)


def whole_table(source: Path, table: TableOptions) -> SplitPairs:
    """Read a table of interactions without splitting it: all its pairs are ``train``.

    Args:
        source: As for :func:`split_table`.
        table: Format of the table.

    Raises:
        DataError: If the table is malformed; the message says where.
        ConfigError: If an option is invalid.
    """
    needs_time = table.time_col is not None
    logs, merged = _merged(_read({"table": source}, table, needs_time=needs_time))
    pairs = {"train": merged.core(table.min_user, table.min_item).pairs}
    duplicates = {"train": merged.duplicates}
    return compact_ids(pairs, logs.user_ids, logs.item_ids, duplicates, logs.known)


def _merged(logs: Logs) -> tuple[Logs, Interactions]:
    """Merge repeated rows of the only table; the logs keep the distinct pairs."""
    ((name, log),) = logs.tables.items()
    merged = Interactions.of(log)
    distinct = replace(log, pairs=merged.pairs, time=None)
    return replace(logs, tables={name: distinct}), merged


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
    counts["not positive"] = sum(log.others.shape[1] for log in tables)
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
    for folder in {path.parent for path in files.values()}:
        _refuse_row_numbers(folder)
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
        compact_ids(splits, logs.user_ids, logs.item_ids, duplicates, logs.known),
        rows=_rows(logs, duplicates, splits, {}),
    )


def _refuse_row_numbers(folder: Path) -> None:
    """Refuse files of row numbers, which tables do not have.

    Raises:
        DataError: If such a file exists.
    """
    for name in (SEEN, NOT_CANDIDATE):
        if (folder / name).exists():
            raise DataError(
                f"{folder / name} holds row numbers, which tables and triples do not "
                "have: remove it; rows that --positive-if (data.positive_if) refuses "
                "are seen"
            )


def is_one_table(source: Path) -> bool:
    """Return whether a path is a file, or a folder with the parts of one table."""
    if not source.is_dir():
        return True
    return not split_tables(source) and bool(parquet_parts(source))


def split_tables(folder: Path) -> dict[str, Path]:
    """Return the tables of a folder by split, train and valid first.

    Raises:
        ConfigError: If two tables are of the same split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = table_suffix(path)
        stem = path.name[: path.name.lower().rfind(suffix)]
        # RecBole puts the data set's name first: ml-100k.train.inter.
        names = (stem, stem.rpartition(".")[2])
        name = next((n for n in names if split_of_file(f"{n}.txt") == n), None)
        if suffix not in SUFFIXES or name is None:
            continue
        if name in found:
            raise ConfigError(f"{path}: {found[name].name} is also the split '{name}'")
        found[name] = path
    return dict(sorted(found.items(), key=lambda x: _KINDS.index(_kind(x[0]))))


def check_split_tables(folder: Path, tables: Collection[str]) -> None:
    """Check that a folder has the tables that a training needs.

    Raises:
        DatasetNotFoundError: If train is missing, or both valid and test are.
    """
    found = {_kind(name) for name in tables}
    missing = [kind for kind in _KINDS if kind not in found]
    if "train" in missing or len(missing) > 1:
        needed = "train" if "train" in missing else "test"
        raise DatasetNotFoundError(
            f"{folder}: expected one table per split (train.csv, test.csv and "
            "optionally valid.csv) or only parquet files, the parts of one table, "
            f"found no {needed} table"
        )


def _kind(split: str) -> str:
    return split.split("_")[0]


def valid_options(folder: Path, split: SplitOptions) -> dict[str, Any]:
    """Return the options of the valid pairs that given splits may lack.

    Raises:
        ConfigError: If other split options are set.
    """
    if split != SplitOptions(valid_fraction=split.valid_fraction, seed=split.seed):
        raise ConfigError(f"{folder} already holds splits: remove the split options")
    return {"valid_fraction": split.valid_fraction or 0.1, "seed": split.seed or 0}


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

    A folder of parquet files is also one table.

    The processed graph is cached under a hash of the file and the options. Its
    ``raw_id`` of users and items are the ids in the file.

    Args:
        path: The file, a data frame, a folder with one table per split, or a folder of
            parquet files.
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
        path: Path | str | pd.DataFrame,
        *,
        cache_dir: Path | str | None = None,
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
        path = Path(path) if isinstance(path, str) else path
        cache_dir = None if cache_dir is None else Path(cache_dir)
        self.source = path
        self.in_memory = not isinstance(path, Path)
        self.place = path.resolve() if isinstance(path, Path) else None
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
        self.processed = load_or_build(cache_dir, *self._reading())
        self.warn_of_overlaps()

    def _reading(self) -> tuple[str | None, Callable[[], Processed]]:
        """Return the cache key of the source, and the function that reads it."""
        source, table, split = self.source, self.table_options, self.split_options
        if isinstance(source, pd.DataFrame):
            return None, lambda: process(split_table(source, table, split))
        if is_one_table(source):
            key = _key({"table": source}, asdict(table) | split.used)
            return key, lambda: process(split_table(source, table, split))
        files, given = split_tables(source), valid_options(source, split)
        check_split_tables(source, files)
        key = _key(files, asdict(table) | given)
        return key, lambda: process(read_split_tables(files, table, **given))


def _key(files: Mapping[str, Path], options: Mapping[str, Any]) -> str:
    found = [[name, path.suffix, table_sha256(path)] for name, path in files.items()]
    text = json.dumps([FORMAT_VERSION, found, options], sort_keys=True)
    return sha256(text.encode()).hexdigest()
