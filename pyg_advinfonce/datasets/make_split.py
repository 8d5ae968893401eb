"""Writing a folder of split files from any source, simulated data included."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.datasets.base import SplitPairs, file_sha256, split_of_file
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
from pyg_advinfonce.datasets.table import read_split_tables, split_table
from pyg_advinfonce.datasets.tables import (
    SUFFIXES,
    TableOptions,
    find_columns,
    open_table,
)
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError, UnknownNameError
from pyg_advinfonce.graph import ITEM, num_nodes, split_edges, split_names
from pyg_advinfonce.registry import unknown

Make = Callable[[SplitSpec, Callable[[], SplitPairs]], SplitFolder]


def make_split(
    source: str,
    out: Path,
    *,
    raw: Path | None = None,
    table: TableOptions | None = None,
    split: SplitOptions | None = None,
    overlap: str = "keep",
    overwrite: bool = False,
) -> SplitFolder:
    """Divide a source into the files of a folder that ``--data`` takes.

    The same source and options find the folder as it is and do nothing.

    Args:
        source: The path of a table; of a folder that holds a table a split
            (``train.csv``, ``test.csv``, perhaps ``valid.csv``); or ``coat``,
            ``yahoo`` or ``kuairec`` with ``raw``.
        out: The folder to write.
        raw: The folder or archive with the files of that published data set.
        table: Which columns say what.
        split: How to divide a table; of the other sources its seed, and its
            ``valid_fraction`` where there is no table ``valid``.
        overlap: What becomes of pairs in two splits; ``keep``, ``drop`` or ``error``.
        overwrite: Whether splits by other options are replaced.

    Raises:
        DataError: If the source is malformed; the message says where.
        ConfigError: If an option is wrong, a split is empty or the folder is taken.
    """
    table, split = table or TableOptions(), split or SplitOptions()
    if overlap not in OVERLAPS:
        raise unknown("overlap", overlap, OVERLAPS)
    make = partial(make_split_folder, out, overwrite=overwrite)
    if raw is not None:
        return _from_raw(source, raw, table, split, overlap, make)
    path = _existing(source)
    if path.is_dir():
        return _from_tables(path, table, split, overlap, make)
    options = {"kind": "table", **_columns(path, table, split), **split.used}
    spec = SplitSpec({"table": file_sha256(path)}, options)
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
        raise ConfigError(f"{name} is divided as published: it has no options but seed")
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
    files = _split_tables(folder)
    fraction, seed = split.valid_fraction or 0.1, split.seed or 0
    if split != SplitOptions(valid_fraction=split.valid_fraction, seed=split.seed):
        raise ConfigError(f"{folder} holds splits already: they are not divided again")
    columns = _columns(files["train"], table, split)
    options = {"kind": "tables", **columns, "overlap": overlap}
    if "valid" not in files:
        options |= {"valid_fraction": fraction, "seed": seed}
    hashes = {name: file_sha256(path) for name, path in files.items()}
    return make(
        SplitSpec(hashes, options),
        lambda: read_split_tables(
            files, table, valid_fraction=fraction, seed=seed, overlap=overlap
        ),
    )


def _split_tables(folder: Path) -> Mapping[str, Path]:
    """Return a folder's tables by split, train and valid first.

    Raises:
        DatasetNotFoundError: If train or test is missing.
        ConfigError: If two tables are the same split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem
        known = split_of_file(f"{name}.txt") == name
        if path.suffix.lower() not in SUFFIXES or not known:
            continue
        if name in found:
            raise ConfigError(f"{path}: {found[name].name} is the split '{name}', too")
        found[name] = path
    for kind in ("train", "test"):
        if not any(_kind(name) == kind for name in found):
            raise DatasetNotFoundError(
                f"{folder}: expected a table a split, train.csv, test.csv and perhaps "
                f"valid.csv, no {kind} found"
            )
    kinds = ("train", "valid", "test")
    return dict(sorted(found.items(), key=lambda x: kinds.index(_kind(x[0]))))


def _kind(split: str) -> str:
    return split.split("_")[0]


def _existing(source: str) -> Path:
    path = Path(source)
    with suppress(OSError, ValueError):  # a name too long for the system, a null byte
        if path.exists():
            return path
    if source in SOURCES:
        files = ", ".join(SOURCES[source].files)
        raise DatasetNotFoundError(
            f"{source} needs its owners' files ({files}): name their folder or archive "
            "by --raw"
        )
    if path.suffix.lower() in SUFFIXES:
        raise DatasetNotFoundError(f"{source}: no such file")
    known = unknown("source", source, SOURCES)
    raise UnknownNameError(f"{known} with --raw, or the path of a table or of a folder")


def _columns(path: Path, options: TableOptions, split: SplitOptions) -> dict[str, Any]:
    """Return what is read of a table: the same whether it was named or found."""
    names = open_table(path).names
    found = find_columns(path, names, options, needs_time=split.split in TIMED)
    columns: dict[str, str | None] = {
        "user_col": found.user,
        "item_col": found.item,
        "time_col": found.time,
        "positive_if": str(found.positive) or None,
    }
    return {name: column for name, column in columns.items() if column is not None}


def save_simulated(
    out: Path,
    *,
    size: str = "coat",
    popularity_bias: float = 1.0,
    seed: int = 0,
    overwrite: bool = False,
) -> SplitFolder:
    """Write what :class:`~.simulated.Simulated` makes; raw ids are its rows.

    Args:
        out: The folder to write.
        size: Argument of the simulation.
        popularity_bias: Argument of the simulation.
        seed: Argument of the simulation.
        overwrite: Whether splits by other options are replaced.

    Raises:
        UnknownNameError: If there is no such size.
        ConfigError: If an argument is out of range or the folder is taken.
    """
    options = {"size": size, "popularity_bias": float(popularity_bias), "seed": seed}
    spec = SplitSpec({}, {"kind": "simulated", **options})

    def simulate() -> SplitPairs:
        return _splits(Simulated(size, popularity_bias=popularity_bias, seed=seed))

    return make_split_folder(out, spec, simulate, overwrite=overwrite)


def _splits(dataset: Simulated) -> SplitPairs:
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
