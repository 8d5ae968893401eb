"""Tables of anyone's own, divided or given as splits."""

from collections.abc import Mapping
from pathlib import Path

from pyg_advinfonce.datasets.split_files import SplitPairs
from pyg_advinfonce.datasets.splits.cold_users import without_cold_users
from pyg_advinfonce.datasets.splits.divide import divide
from pyg_advinfonce.datasets.splits.interactions import Interactions
from pyg_advinfonce.datasets.splits.number_rows import number_rows
from pyg_advinfonce.datasets.splits.overlap import resolve_overlaps
from pyg_advinfonce.datasets.splits.split_options import TIMED, SplitOptions
from pyg_advinfonce.datasets.tables.columns import (
    TableOptions,
    find_columns,
    warn_of_ratings,
)
from pyg_advinfonce.datasets.tables.logs import Logs, read_logs
from pyg_advinfonce.datasets.tables.table import open_table
from pyg_advinfonce.datasets.valid_split import split_off_valid
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
    return number_rows(splits, logs.user_ids, logs.item_ids, {"table": log.duplicates})


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
            :func:`~pyg_advinfonce.datasets.splits.overlap.resolve_overlaps`.

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
    return number_rows(splits, logs.user_ids, logs.item_ids, duplicates)


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
