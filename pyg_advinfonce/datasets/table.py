"""Tables of interactions as data sets: one table, or one table per split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from pyg_advinfonce.datasets.base import (
    FORMAT_VERSION,
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


def split_table(path: Path, table: TableOptions, split: SplitOptions) -> SplitPairs:
    """Read a table of interactions and divide its positive pairs.

    The result does not depend on the order of the table's rows.

    Args:
        path: A CSV, TSV or parquet file.
        table: Which of its columns say what.
        split: How to divide it.

    Raises:
        DataError: If the table is malformed; the message says where.
        ConfigError: If an option is wrong or a split would be empty.
    """
    needs_time = split.split in TIMED
    if table.time_col is not None and not needs_time:
        raise ConfigError(
            f"time_col has no effect on the split '{split.split}': leave it out, or "
            f"choose the split {' or '.join(TIMED)}"
        )
    logs = _read({"table": path}, table, needs_time=needs_time)
    log = Interactions.of(logs.tables["table"])
    splits = without_cold_users(divide(log, split))
    return compact_ids(splits, logs.user_ids, logs.item_ids, {"table": log.duplicates})


def read_split_tables(
    files: Mapping[str, Path],
    table: TableOptions,
    *,
    valid_fraction: float = 0.1,
    seed: int = 0,
    overlap: str = "keep",
) -> SplitPairs:
    """Read tables that are splits already.

    Args:
        files: A table by split; without ``valid`` it is taken off ``train`` at random.
        table: Which of their columns say what.
        valid_fraction: The share of the train pairs that becomes valid then.
        seed: Decides which.
        overlap: What becomes of pairs in two splits; see
            :func:`~pyg_advinfonce.datasets.splits.resolve_overlaps`.

    Raises:
        DataError: If a table is malformed; the message says where.
        ConfigError: If an option is wrong or a split would be empty.
    """
    if table.time_col is not None:
        raise ConfigError("time_col has no effect on tables that are splits already")
    logs = _read(files, table, needs_time=False)
    merged = {name: Interactions.of(log) for name, log in logs.tables.items()}
    splits = {name: log.pairs for name, log in merged.items()}
    if "valid" not in splits:
        train, valid = split_off_valid(splits.pop("train"), valid_fraction, seed)
        splits = {"train": train, "valid": valid} | splits
    splits = resolve_overlaps(without_cold_users(splits), overlap)
    duplicates = {name: log.duplicates for name, log in merged.items()}
    return compact_ids(splits, logs.user_ids, logs.item_ids, duplicates)


def _read(
    files: Mapping[str, Path], options: TableOptions, *, needs_time: bool
) -> Logs:
    tables = {name: open_table(path) for name, path in files.items()}
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
    """A CSV, TSV or parquet file of interactions.

    The processed graph is cached under the hash of the file and the options, and
    ``data["user"].raw_id`` and ``data["item"].raw_id`` are the ids in the file.

    Args:
        path: The file.
        cache_dir: Where processed data is kept (default: in the user's cache folder).
        user_col: The column of the users (default: found by a common name).
        item_col: The column of the items (default: found by a common name).
        rating_col: The column that ``rating`` in ``positive_if`` means, where none has
            that name.
        time_col: The column of the times.
        positive_if: Which rows count, e.g. ``rating >= 4`` (default: all).
        split: ``random``, ``leave-last``, ``time`` or ``popularity-shift``; see
            :class:`~pyg_advinfonce.datasets.splits.SplitOptions`, also
            for the options that follow.
        valid_fraction: The share of all pairs that becomes valid.
        test_fraction: The share of all pairs that becomes test, or each of the tests.
        gammas: The tests of ``popularity-shift``.
        mode: ``exact`` or ``notebook``.
        num_groups: The groups of items of like popularity.
        seed: The same seed gives the same split.

    Raises:
        DataError: If the file's content is wrong; the message says where.
        ConfigError: If an option is wrong or a split would be empty.
    """

    def __init__(
        self,
        path: Path,
        *,
        cache_dir: Path | None = None,
        user_col: str | None = None,
        item_col: str | None = None,
        rating_col: str | None = None,
        time_col: str | None = None,
        positive_if: str | None = None,
        split: str = "random",
        valid_fraction: float | None = None,
        test_fraction: float | None = None,
        gammas: Sequence[float] | None = None,
        mode: str | None = None,
        num_groups: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.path, self.label = path, path.name
        texts = (user_col, item_col, rating_col, time_col, positive_if)
        self.table_options = TableOptions(*map(_text_or_none, texts))
        self.split_options = SplitOptions(
            split,
            valid_fraction,
            test_fraction,
            _gammas(gammas),
            mode,
            num_groups,
            seed,
        )
        self.processed = load_or_build(
            cache_dir,
            self._key(),
            lambda: process(split_table(path, self.table_options, self.split_options)),
        )

    def _key(self) -> str:
        options = asdict(self.table_options) | self.split_options.used
        text = json.dumps([FORMAT_VERSION, self.path.suffix, options], sort_keys=True)
        return sha256(f"{text} {file_sha256(self.path)}".encode()).hexdigest()


def _text_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"a column's name is a text (got {value!r:.80})")
    return value


def _gammas(value: object) -> tuple[float, ...] | None:
    if value is None or isinstance(value, list | tuple):
        return None if value is None else tuple(value)
    raise ConfigError(f"gammas must be a list like [200, 10, 2] (got {value!r:.80})")
