"""One table of interactions as a data set, divided in memory."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.cache import FORMAT_VERSION, load_or_build
from pyg_advinfonce.datasets.description import Summary, describe
from pyg_advinfonce.datasets.file_hash import file_sha256
from pyg_advinfonce.datasets.process import process
from pyg_advinfonce.datasets.split_table import split_table
from pyg_advinfonce.datasets.splits.split_options import SplitOptions
from pyg_advinfonce.datasets.tables.columns import TableOptions
from pyg_advinfonce.errors import ConfigError


class TableDataset:
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
            :class:`~pyg_advinfonce.datasets.splits.split_options.SplitOptions`, also
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
        self.path = path
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
        self._processed = load_or_build(
            cache_dir,
            self._key(),
            lambda: process(split_table(path, self.table_options, self.split_options)),
        )

    @property
    def graph(self) -> HeteroData:
        """The user-item graph."""
        return self._processed.graph

    @property
    def fingerprint(self) -> str:
        """Counts and the start of the content's sha256, in one line."""
        return describe(self.graph, self.path.name, self._processed.digest)

    def summary(self) -> Summary:
        """Return counts of users, items and pairs, and of what is odd about them."""
        return self._processed.summary.copy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fingerprint})"

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
