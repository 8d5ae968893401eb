"""Data sets from a folder of split files."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
from torch_geometric.data import HeteroData, InMemoryDataset

from pyg_advinfonce.datasets.base import (
    FORMAT_VERSION,
    FORMATS,
    Processed,
    ProcessedDataset,
    RawFile,
    SplitPairs,
    Summary,
    file_per_split,
    load_or_build,
    pairs_in,
    parse_files,
    process,
)
from pyg_advinfonce.datasets.published import (
    SOURCES,
    Published,
    RawFolder,
    known_set,
    raw_files,
)
from pyg_advinfonce.datasets.splits import (
    compact_ids,
    seen_beside,
    split_off_valid,
    without_cold_users,
)
from pyg_advinfonce.datasets.table import read_split_tables
from pyg_advinfonce.datasets.tables import TableOptions
from pyg_advinfonce.errors import ConfigError, DataWarning
from pyg_advinfonce.registry import unknown

TRIPLES = "triples"


class Dataset(Protocol):
    """Interface of a data set that a run trains on."""

    @property
    def graph(self) -> HeteroData:
        """User-item graph as specified in :mod:`pyg_advinfonce.graph`."""

    @property
    def fingerprint(self) -> str:
        """One line of counts and a hash of the content."""

    def summary(self) -> Summary:
        """Return counts of users, items, pairs, overlaps and duplicates."""


class InteractionDataset(ProcessedDataset, InMemoryDataset):
    """Implicit feedback from a folder of split files ``user item item ...``.

    The folder is ``<root>/<name>/raw``, ``<root>/<name>`` or, for a published data
    set, ``<root>/<published name>``. It is never written to: the processed graph is
    cached in ``cache_dir`` under a hash of its source files.

    Args:
        root: Folder of the data sets' folders.
        name: Name of the data set.
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes the split ``valid`` if
            the folder has no ``valid.txt``.
        seed: Seed of that split.
        format: ``lists`` for lines ``user item item ...``; ``triples`` for lines
            ``user item rating`` with any ids; ``auto`` for lists, but lines that look
            like triples are an error.
        positive_if: Condition for a positive line of triples, e.g. ``rating >= 4``.

    Raises:
        DatasetNotFoundError: If a file is missing.
        DatasetIntegrityError: If a published file has different content.
        DataError: If a file is malformed.
        ConfigError: If neither ``valid.txt`` nor ``valid_fraction`` is given, or an
            option has no effect.
        UnknownNameError: If the format is unknown.
    """

    published: Published | None = None

    def __init__(
        self,
        root: Path | str,
        *,
        name: str,
        cache_dir: Path | str | None = None,
        valid_fraction: float | None = None,
        seed: int = 0,
        format: str = "auto",
        positive_if: str | None = None,
    ) -> None:
        root = Path(root)
        cache_dir = None if cache_dir is None else Path(cache_dir)
        if format not in (*FORMATS, TRIPLES):
            raise unknown("format", str(format), (*FORMATS, TRIPLES))
        if positive_if is not None and format != TRIPLES:
            raise ConfigError(
                "positive_if has no effect on a folder of lists: remove it, or use the "
                f"format {TRIPLES}"
            )
        self.format, self.positive_if = format, positive_if
        if not name or Path(name).name != name:
            raise ConfigError(f"expected a folder name without slashes, got '{name}'")
        super().__init__(str(root))
        self.name = self.label = name
        self.place = root.resolve() / name
        self.cache_dir = cache_dir
        folder = RawFolder(Path(root), name, self.published)
        self.valid_fraction, self.seed = valid_fraction, seed
        if valid_fraction is None and self.published is not None:
            self.valid_fraction = self.published.valid_fraction
        files = folder.read(needs_valid=self.valid_fraction is None)
        first = next(iter(files.values()))  # train.txt, or an archive
        self.folder = first.path.parent
        given = "valid.txt" if "valid.txt" in files else folder.archive
        if given in files and valid_fraction is not None:
            self._warn(f"{files[given].path} exists: valid_fraction is ignored")
        if self.published is not None:
            self.published.check_files(files)
        self.processed = load_or_build(
            cache_dir, self._cache_key(files), lambda: self._build(files)
        )
        self._data = self.graph
        self._check_summary()

    @property
    def raw_dir(self) -> str:
        return str(self.folder)

    def _cache_key(self, files: Mapping[str, RawFile]) -> str:
        split_off = None if "valid.txt" in files else (self.valid_fraction, self.seed)
        known = self.published and (self.published.num_users, self.published.num_items)
        hashes = sorted((name, file.sha256) for name, file in files.items())
        form = (self.format, self.positive_if)
        options = (FORMAT_VERSION, split_off, known, hashes, form)
        return sha256(repr(options).encode()).hexdigest()

    def _build(self, files: Mapping[str, RawFile]) -> Processed:
        known = self.published
        if known is not None and known.archive is not None:
            source = SOURCES[known.name]
            with raw_files(files[known.archive].path, source.files) as paths:
                return process(source.build(paths, self.seed))
        if self.format == TRIPLES:
            return process(self._triples(files))
        has_rows = known is not None and not known.own_ids
        raw = parse_files(
            files,
            num_users=known.num_users if known and has_rows else None,
            num_items=known.num_items if known and has_rows else None,
            format=self.format,
        )
        pairs = dict(raw.pairs)
        if "valid" not in pairs and self.valid_fraction is not None:
            train, valid = split_off_valid(
                pairs_in(files["train.txt"]), self.valid_fraction, self.seed
            )
            tests = {n: p for n, p in pairs.items() if n != "train"}
            pairs = {"train": train, "valid": valid, **tests}
        splits = without_cold_users(pairs)
        changed = [p for name, p in pairs.items() if splits[name] is not p]
        every = np.concatenate([raw.seen, *changed], axis=1)
        if known is not None and known.own_ids:
            ids = np.arange(raw.num_users), np.arange(raw.num_items)
            return process(compact_ids(splits, *ids, raw.duplicates, every))
        return process(replace(raw, pairs=splits, seen=seen_beside(splits, every)))

    def _triples(self, files: Mapping[str, RawFile]) -> SplitPairs:
        return read_split_tables(
            {split: file.path for split, file in file_per_split(files).items()},
            TableOptions(format=TRIPLES, positive_if=self.positive_if),
            valid_fraction=self.valid_fraction or 0.1,
            seed=self.seed,
        )

    def _check_summary(self) -> None:
        known_overlaps: Mapping[str, int] = {}
        if self.published is not None:
            known_overlaps = self.published.overlaps
            self.published.check_counts(self.processed.summary)
        self.warn_of_overlaps(known_overlaps)

    def _warn(self, message: str) -> None:
        warnings.warn(message, DataWarning, stacklevel=4)


class PublishedDataset(InteractionDataset):
    """A published data set, whose files, counts and licence are known.

    Args:
        root: Folder that holds ``<name>/raw``, ``<name>`` or the folder's published
            name.
        name: Name of the data set, e.g. ``gowalla``; ``advnce data list`` has all.
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes ``valid`` if none is
            published (default: 0.1).
        seed: Seed of that split, or of the split of an archive of ratings.

    Raises:
        UnknownNameError: If the name is unknown.
        ConfigError: If the data set has no published files. The other errors are those
            of :class:`InteractionDataset`.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        name: str,
        cache_dir: Path | str | None = None,
        valid_fraction: float | None = None,
        seed: int = 0,
    ) -> None:
        root = Path(root)
        cache_dir = None if cache_dir is None else Path(cache_dir)
        self.published = known_set(name)
        super().__init__(
            root,
            name=name,
            cache_dir=cache_dir,
            valid_fraction=valid_fraction,
            seed=seed,
            format=self.published.format,
            positive_if=self.published.positive_if,
        )
