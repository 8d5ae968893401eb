"""Writing split folders from tables, owners' files or simulated data."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.datasets.base import (
    SplitPairs,
    table_suffix,
)
from pyg_advinfonce.datasets.published import SOURCES, raw_files
from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.datasets.splits import (
    OVERLAPS,
    TIMED,
    SplitFolder,
    SplitOptions,
    SplitSpec,
    make_split_folder,
    resolve_overlaps,
)
from pyg_advinfonce.datasets.table import (
    check_split_tables,
    is_one_table,
    read_split_tables,
    split_table,
    split_tables,
    valid_options,
)
from pyg_advinfonce.datasets.tables import (
    SUFFIXES,
    TableOptions,
    find_columns,
    open_table,
    table_sha256,
)
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError, UnknownNameError
from pyg_advinfonce.files import file_sha256, not_found
from pyg_advinfonce.graph import ITEM, num_nodes, split_edges, split_names
from pyg_advinfonce.registry import unknown

Make = Callable[[SplitSpec, Callable[[], SplitPairs]], SplitFolder]


def make_split(
    source: str,
    out: Path | str,
    *,
    raw: Path | str | None = None,
    table: TableOptions | None = None,
    split: SplitOptions | None = None,
    overlap: str = "keep",
    overwrite: bool = False,
) -> SplitFolder:
    """Split a source and write a folder that ``--data`` accepts.

    An existing folder made from the same source and options is left as it is.

    Args:
        source: Path of a table; path of a folder of parquet files, which are one table;
            path of a folder with one table per split (``train.csv``, ``test.csv`` and
            optionally ``valid.csv``, or RecBole's ``name.train.inter`` and so on); or,
            with ``raw``, a name of ``pyg_advinfonce.datasets.published.SOURCES``, e.g.
            ``coat``.
        out: Folder to write.
        raw: Folder or archive with the owners' files of that published data set.
        table: Format of the table.
        split: Split of a table. Other sources use only its seed, and its
            ``valid_fraction`` if no table ``valid`` exists.
        overlap: Handling of pairs that occur in two splits: ``keep``, ``drop`` or
            ``error``.
        overwrite: Whether splits made with other options are replaced.

    Raises:
        DataError: If the source is malformed; the message says where.
        ConfigError: If an option is invalid, a split is empty or ``out`` holds other
            files.
    """
    out = Path(out)
    raw = None if raw is None else Path(raw)
    table, split = table or TableOptions(), split or SplitOptions()
    if overlap not in OVERLAPS:
        raise unknown("overlap", overlap, OVERLAPS)
    make = partial(make_split_folder, out, overwrite=overwrite)
    if raw is not None:
        return _from_raw(source, raw, table, split, overlap, make)
    path = _source_path(source)
    if not is_one_table(path):
        return _from_tables(path, table, split, overlap, make)
    options = {"kind": "table", **_columns(path, table, split), **split.used}
    spec = SplitSpec({"table": table_sha256(path)}, options)
    return make(spec, lambda: split_table(path, table, split))


def _from_raw(
    name: str,
    raw: Path,
    table: TableOptions,
    split: SplitOptions,
    overlap: str,
    make: Make,
) -> SplitFolder:
    if name not in SOURCES:
        raise unknown("source with --raw", name, SOURCES)
    seed = split.seed or 0
    if table != TableOptions() or split != SplitOptions(seed=split.seed):
        raise ConfigError(f"{name} has a split of its own: its only option is seed")
    source = SOURCES[name]
    with raw_files(raw, source.files) as files:
        hashes = {name: file_sha256(path) for name, path in files.items()}
        spec = SplitSpec(hashes, {"kind": name, "seed": seed, "overlap": overlap})
        return make(spec, lambda: _resolved(source.build(files, seed), overlap))


def _resolved(splits: SplitPairs, overlap: str) -> SplitPairs:
    return replace(splits, pairs=resolve_overlaps(splits.pairs, overlap))


def _from_tables(
    folder: Path,
    table: TableOptions,
    split: SplitOptions,
    overlap: str,
    make: Make,
) -> SplitFolder:
    files = split_tables(folder)
    check_split_tables(folder, files)
    given = valid_options(folder, split)
    columns = _columns(files["train"], table, split)
    options = {"kind": "tables", **columns, "overlap": overlap}
    if "valid" not in files:
        options |= given
    hashes = {name: file_sha256(path) for name, path in files.items()}
    return make(
        SplitSpec(hashes, options),
        lambda: read_split_tables(files, table, overlap=overlap, **given),
    )


def _source_path(source: str) -> Path:
    path = Path(source)
    with suppress(OSError, ValueError):  # a name too long for the system, a null byte
        if path.exists():
            return path
    if source in SOURCES:
        files = ", ".join(SOURCES[source].files)
        raise DatasetNotFoundError(
            f"{source} needs its owners' files ({files}): pass their folder or archive "
            "with --raw"
        )
    if table_suffix(path) in SUFFIXES:
        raise DatasetNotFoundError(not_found(path))
    known = unknown("source", source, SOURCES)
    raise UnknownNameError(f"{known} with --raw, or the path of a table or folder")


def _columns(path: Path, options: TableOptions, split: SplitOptions) -> dict[str, Any]:
    """Return the columns and condition in use, whether given or detected."""
    names = open_table(path, options).names
    found = find_columns(path, names, options, needs_time=split.split in TIMED)
    columns: dict[str, str | None] = {
        "user_col": found.user,
        "item_col": found.item,
        "time_col": found.time,
        "positive_if": str(found.positive) or None,
    }
    used = {name: column for name, column in columns.items() if column is not None}
    return used | options.as_dict()


def save_simulated(
    out: Path | str,
    *,
    size: str = "coat",
    popularity_bias: float = 1.0,
    seed: int = 0,
    overwrite: bool = False,
) -> SplitFolder:
    """Write simulated data as a split folder; raw ids are row numbers.

    Args:
        out: Folder to write.
        size: As in :class:`~pyg_advinfonce.datasets.simulated.Simulated`.
        popularity_bias: As in ``Simulated``.
        seed: As in ``Simulated``.
        overwrite: Whether splits made with other options are replaced.

    Raises:
        UnknownNameError: If the size is unknown.
        ConfigError: If an argument is out of range or ``out`` holds other files.
    """
    out = Path(out)
    options = {"size": size, "popularity_bias": float(popularity_bias), "seed": seed}
    spec = SplitSpec({}, {"kind": "simulated", **options})

    def simulate() -> SplitPairs:
        return _split_pairs(Simulated(size, popularity_bias=popularity_bias, seed=seed))

    return make_split_folder(out, spec, simulate, overwrite=overwrite)


def _split_pairs(dataset: Simulated) -> SplitPairs:
    graph = dataset.graph
    num_users, num_items = num_nodes(graph)
    mask = graph[ITEM].get("candidate_mask")
    return SplitPairs(
        num_users,
        num_items,
        {n: split_edges(graph, n).numpy() for n in ["train", *split_names(graph)]},
        {},
        candidate_mask=None if mask is None else mask.numpy(),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
    )
