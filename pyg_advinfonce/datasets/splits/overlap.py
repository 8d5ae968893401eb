"""Pairs that are in two splits at once."""

from collections.abc import Mapping

import numpy as np

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.split_files import pair_keys
from pyg_advinfonce.errors import ConfigError, DataError
from pyg_advinfonce.registry import unknown

OVERLAPS = ("keep", "drop", "error")


def resolve_overlaps(splits: Mapping[str, Ids], how: str) -> dict[str, Ids]:
    """Return splits whose pairs are in train, valid or a test as is wished.

    Args:
        splits: Pairs ``[2, E]`` by split.
        how: ``keep`` (the evaluator ranks such pairs, and a data set warns of them),
            ``drop`` (train pairs leave valid, train and valid pairs leave the tests) or
            ``error``.

    Raises:
        DataError: If there are such pairs and they are an error, or all of a split's
            pairs are such.
        ConfigError: If there is no such way.
    """
    if how not in OVERLAPS:
        raise unknown("overlap", how, OVERLAPS)
    if how == "keep":
        return dict(splits)
    kept: dict[str, Ids] = {}
    for name, pairs in splits.items():
        fresh = _fresh(pairs, [kept[n] for n in ("train", "valid") if n in kept])
        if how == "error" and not fresh.all():
            raise DataError(
                f"{(~fresh).sum():,} pairs of {name} are in train or valid too: take "
                "them out, or use --overlap keep or drop"
            )
        if not fresh.any():
            raise ConfigError(f"all pairs of {name} are in train or valid too")
        kept[name] = pairs[:, fresh]
    return kept


def _fresh(pairs: Ids, earlier: list[Ids]) -> np.ndarray:
    keys = pair_keys(pairs)
    if not earlier:
        return np.ones(len(keys), dtype=np.bool_)
    return ~np.isin(keys, np.concatenate([pair_keys(part) for part in earlier]))
