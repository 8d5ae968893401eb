"""Loading a data set by name, folder or path."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd

from pyg_advinfonce.datasets.base import find_folder, is_table
from pyg_advinfonce.datasets.folder import InteractionDataset
from pyg_advinfonce.datasets.published import RawFolder
from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.datasets.table import TableDataset, is_one_table, split_tables
from pyg_advinfonce.errors import DataWarning
from pyg_advinfonce.registry import DATASETS, data_root, resolve, unknown
from pyg_advinfonce.schema import check_options

_SIMULATED = "simulated"

T = TypeVar("T")


def load_dataset(
    data: str | pd.DataFrame,
    *,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    valid_fraction: float | None = None,
    **options: object,
) -> InteractionDataset | Simulated | TableDataset:
    """Load a data set by name, by folder name under ``root`` or by path.

    Args:
        data: ``coat``, ``simulated``, ``simulated:yahoo``, ``my_folder``,
            ``path/to/folder``, ``path/to/table.csv``, ..., or a pandas data frame with
            one interaction per row.
        root: Folder of the data sets' folders (default: that of the environment
            variable ``ADVNCE_DATA``, else ``data``).
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes ``valid`` if a folder has
            no ``valid.txt``; for a table the share of all pairs.
        options: Further arguments of the data set's class.

    Raises:
        UnknownNameError: If ``data`` is neither a name nor a folder nor a table.
        ConfigError: If ``data`` is any other file, or an option is unknown.
        DatasetNotFoundError: If files are missing.
        DataError: If a file is malformed.
    """
    options = {"valid_fraction": valid_fraction, **options}
    if isinstance(data, pd.DataFrame):
        return _make(TableDataset, {"path": data}, options)
    return load_named(data, options, root=root, cache_dir=cache_dir)


def load_named(
    name: str,
    options: Mapping[str, object],
    *,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
) -> InteractionDataset | Simulated | TableDataset:
    """Load what a section ``[data]`` names.

    Args:
        name: As for :func:`load_dataset`.
        options: The section's other keys.
        root: As for :func:`load_dataset`.
        cache_dir: As for :func:`load_dataset`.

    Raises:
        ConfigError: If a key is unknown, has the wrong type, or is one that only a
            caller may set, such as ``cache_dir``. The other errors are those of
            :func:`load_dataset`.
    """
    kind, colon, size = name.partition(":")
    if kind == _SIMULATED:
        known = dict(options)
        if known.pop("valid_fraction", None) is not None:
            message = "simulated data has a valid split: valid_fraction is ignored"
            warnings.warn(message, DataWarning, stacklevel=2)
        return _make(Simulated, {"size": size} if colon else {}, known)
    root, cache = data_root(root), None if cache_dir is None else Path(cache_dir)
    given: dict[str, object] = {"cache_dir": cache}
    if name in DATASETS:
        named: type[InteractionDataset] = resolve("dataset", name)
        return _make(named, {"root": root, "name": name, **given}, options)
    if is_table(name):
        return _make(TableDataset, {"path": Path(name), **given}, options)
    folder = find_folder(name, root)
    if holds_tables(folder):
        return _make(TableDataset, {"path": folder, **given}, options)
    place = {"root": folder.parent, "name": folder.name}
    return _make(InteractionDataset, place | given, options)


FIXED = ("root", "name", "path", "size", "cache_dir")
"""Arguments of data sets that no option sets."""


def holds_tables(folder: Path) -> bool:
    """Return whether a folder holds tables of splits or one table, no split files."""
    place = RawFolder(folder.parent, folder.name).first_place()
    return place is None and (bool(split_tables(folder)) or is_one_table(folder))


def _make(
    dataset: Callable[..., T],
    given: Mapping[str, object],
    options: Mapping[str, object],
) -> T:
    """Construct a data set; options may not repeat the given arguments."""
    valid = sorted(inspect.signature(dataset).parameters.keys() - set(FIXED))
    wrong = sorted(options.keys() - set(valid))
    if wrong:
        raise unknown("key", f"data.{wrong[0]}", [f"data.{name}" for name in valid])
    return dataset(**given, **check_options("data", [dataset], options, given=FIXED))
