"""Split of interactions into train, valid and test pairs."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import (
    IdList,
    IntArray,
    SplitPairs,
    begins,
    distinct_keys,
    distinct_pairs,
    masked,
    pairs_at,
    row_type,
    take_ids,
)
from pyg_advinfonce.datasets.splits.options import TIMED, SplitOptions
from pyg_advinfonce.datasets.splits.popularity_shift import (
    popularity_shift,
    shuffled_rows,
)
from pyg_advinfonce.datasets.tables import Log
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning, counted
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.registry import unknown

OVERLAPS = ("keep", "drop", "error")
_BLOCK_PAIRS = 2**22


@dataclass(frozen=True)
class Interactions:
    """Distinct pairs, sorted by user, then item.

    Args:
        pairs: ``[2, E]``.
        duplicates: Number of merged rows.
        time: ``[E]`` time of the first occurrence, if known.
        row: ``[E]`` position of the first occurrence in the file (default: the order
            of the pairs).
    """

    pairs: IntArray
    duplicates: int = 0
    time: NDArray[np.float64] | None = None
    row: IntArray | None = None

    @classmethod
    def of(cls, log: Log) -> "Interactions":
        """Merge rows of the same pair; the earliest row per pair is kept."""
        row = _first_rows(log.pairs, log.time)
        time = None if log.time is None else log.time[row]
        pairs = np.take(log.pairs, row, axis=1)
        return cls(pairs, log.pairs.shape[1] - len(row), time, row)

    def core(self, min_user: int, min_item: int) -> "Interactions":
        """Remove users and items with too few pairs, until all others have enough.

        Args:
            min_user: Smallest number of pairs per user.
            min_item: Smallest number of pairs per item.

        Raises:
            ConfigError: If no pair remains.
        """
        keep = np.ones(self.pairs.shape[1], dtype=np.bool_)
        while True:
            fewer = keep.copy()
            for ends, least in zip(self.pairs, (min_user, min_item), strict=True):
                if least > 1:
                    number = np.bincount(ends[keep], minlength=int(ends.max()) + 1)
                    fewer &= (number >= least)[ends]
            if fewer.sum() == keep.sum():
                break
            keep = fewer
        if not keep.any():
            raise ConfigError(
                f"no user has {min_user} pairs with items of {min_item} pairs: use a "
                "smaller --min-user (data.min_user) or --min-item (data.min_item)"
            )
        if keep.all():
            return self
        time = None if self.time is None else self.time[keep]
        row = None if self.row is None else self.row[keep]
        return replace(self, pairs=masked(self.pairs, keep), time=time, row=row)

    @property
    def in_order(self) -> IntArray:
        """Positions ``[E]`` of the pairs, sorted by time and then by row of the file.

        Random draws use this order, which does not depend on ids.
        """
        number = self.pairs.shape[1]
        row = np.arange(number) if self.row is None else self.row
        order = np.lexsort((row,) if self.time is None else (row, self.time))
        return order.astype(row_type(number))


def divide(log: Interactions, options: SplitOptions) -> dict[str, IntArray]:
    """Split interactions; return sorted pairs by split, train and valid first.

    The result does not depend on ids: the pairs are shuffled, and users and items are
    numbered as they appear. The shuffle depends on the seed and the order of the rows;
    with times, only on the order of rows of equal time.

    Args:
        log: The interactions, with times if the split needs them.
        options: Kind of split and its options.

    Raises:
        ConfigError: If a split is empty or times are missing.
    """
    used = options.used
    rng = np.random.default_rng(used.get("seed", 0))
    pairs, time, numbers = _shuffled(log, rng)
    if options.split not in TIMED:
        splits = _random_splits(pairs, used, rng)
    elif time is None:
        raise ConfigError("this split needs the times of the interactions")
    else:
        splits = _timed_splits(pairs, time, used)
    del pairs, time  # each split is a copy
    if used.get("test_fraction") == 0:
        del splits["test"]
    for name, found in splits.items():
        if not found.size:
            size = counted(log.pairs.shape[1], "pair")
            raise ConfigError(
                f"the split '{options.split}' of {size} leaves {name} empty: use "
                "more pairs, other fractions or another split"
            )
    for name, found in splits.items():
        for ends, number in zip(found, numbers, strict=True):
            ends[:] = number[ends]
        splits[name] = distinct_pairs(found)
    return splits


def _shuffled(
    log: Interactions, rng: np.random.Generator
) -> tuple[IntArray, NDArray[np.float64] | None, list[IntArray]]:
    """Shuffle pairs and number users and items as they appear.

    Returns:
        The pairs ``[2, E]``, their times, and the original user of each new one and
        item of each new one.
    """
    order = log.in_order
    rng.shuffle(order)  # as rng.permutation, which would copy it
    pairs: IntArray = np.empty_like(log.pairs)
    numbers: list[IntArray] = []
    for new, old in zip(pairs, log.pairs, strict=True):
        ends = old[order]
        found = pd.unique(ends)
        row = np.empty(int(old.max()) + 1, dtype=ends.dtype)
        row[found] = np.arange(len(found))
        new[:] = row[ends]
        numbers.append(found)
    return pairs, None if log.time is None else log.time[order], numbers


def _timed_splits(
    pairs: IntArray, time: NDArray[np.float64], used: Mapping[str, Any]
) -> dict[str, IntArray]:
    if used["split"] == "time":
        part = hold_out_latest(time, used["valid_fraction"], used["test_fraction"])
    else:
        shares = used.get("valid_fraction"), used.get("test_fraction")
        part = hold_out_latest_of_users(pairs[0], time, *shares)
        _warn_of_ties(pairs[0], time, part, used)
    names = ("train", "valid", "test")
    return {name: masked(pairs, part == i) for i, name in enumerate(names)}


def _warn_of_ties(
    user: IntArray,
    time: NDArray[np.float64],
    part: NDArray[np.int8],
    used: Mapping[str, Any],
) -> None:
    drawn = num_drawn(user, time, part)
    if drawn:
        warnings.warn(
            f"{drawn:,} of {len(np.unique(user[part > 0])):,} users have pairs of "
            f"equal time at the cut of {used['split']}: the held-out ones are chosen "
            f"at random (seed {used['seed']})",
            DataWarning,
            stacklevel=5,
        )


def _random_splits(
    pairs: IntArray, used: Mapping[str, Any], rng: np.random.Generator
) -> dict[str, IntArray]:
    total = pairs.shape[1]
    if used["split"] == "random":
        is_test = held_out(pairs, round(used["test_fraction"] * total), rng)
        train, tests = masked(pairs, ~is_test), {"test": masked(pairs, is_test)}
    else:
        names = ("gammas", "mode", "num_groups", "test_fraction")
        tests = popularity_shift(pairs, rng=rng, **{name: used[name] for name in names})
        train = tests.pop("train")
    is_valid = held_out(train, round(used["valid_fraction"] * total), rng)
    return {
        "train": masked(train, ~is_valid),
        "valid": masked(train, is_valid),
        **tests,
    }


def hold_out_latest_of_users(
    user: IntArray,
    time: NDArray[np.float64],
    valid_fraction: float | None = None,
    test_fraction: float | None = None,
) -> NDArray[np.int8]:
    """Hold out the latest pairs per user as test and those before them as valid.

    A share of a user's pairs is rounded down, but is at least one pair where one is
    left for train. Pairs of equal time keep their order.

    Args:
        user: ``[E]`` the user of each pair.
        time: ``[E]``.
        valid_fraction: Share of a user's pairs that becomes valid; None for one pair of
            each user with at least three.
        test_fraction: Share that becomes test; None likewise.

    Returns:
        ``[E]``, 0 for train, 1 for valid and 2 for test.
    """
    order = _by_time(user, time)
    size, left = np.bincount(user), np.maximum(np.bincount(user) - 1, 0)
    held: list[IntArray] = []
    for share in (test_fraction, valid_fraction):
        if share is None:
            number = (size >= 3).astype(np.int64)
        else:
            number = np.floor(share * size + 1e-9).astype(np.int64)
            number = np.minimum(np.maximum(number, share > 0), left)
        left = left - number
        held.append(number)
    # In that order, the part rises by one where a user's valid and test pairs begin.
    step, end = np.zeros(len(user) + 1, dtype=np.int8), np.cumsum(size)
    for place, change in ((end - held[0] - held[1], 1), (end - held[0], 1), (end, -2)):
        np.add.at(step, place, np.int8(change))
    part = np.empty(len(user), dtype=np.int8)
    part[order] = np.cumsum(step[:-1], dtype=np.int8)
    return part


def num_drawn(user: IntArray, time: NDArray[np.float64], part: NDArray[np.int8]) -> int:
    """Count the users whose parts ``[E]`` depend on the order of equal times."""
    order = _by_time(user, time)
    is_tie = ~begins(user[order]) & ~begins(time[order]) & begins(part[order])
    return len(np.unique(user[order][is_tie]))


def _by_time(user: IntArray, time: NDArray[np.float64]) -> IntArray:
    """Return a stable order by user and time."""
    return np.lexsort((time, user)).astype(row_type(len(user)))


def hold_out_latest(
    time: NDArray[np.float64], valid_fraction: float, test_fraction: float
) -> NDArray[np.int8]:
    """Hold out the latest pairs as test and those before them as valid.

    Pairs of equal time stay together, so a split can be larger than its fraction.

    Args:
        time: ``[E]`` the time of each pair.
        valid_fraction: Share of the pairs that becomes valid.
        test_fraction: Share of the pairs that becomes test.

    Returns:
        ``[E]``, 0 for train, 1 for valid and 2 for test.
    """
    part = np.zeros(len(time), dtype=np.int8)
    for number, share in ((2, test_fraction), (1, valid_fraction)):
        if share > 0 and not part.all():
            cut = _latest(time[part == 0], share * len(time))
            part[(part == 0) & (time >= cut)] = number
    return part


def _latest(time: NDArray[np.float64], number: float) -> float:
    """Return the earliest of the ``number`` latest times; ``time`` is reordered."""
    place = max(0, len(time) - max(1, round(number)))
    time.partition(place)
    return float(time[place])


def held_out(
    pairs: IntArray, number: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw pairs ``[2, E]`` to hold out; return a mask ``[E]``.

    Every user keeps at least one pair, so fewer than ``number`` may be drawn.
    """
    order = shuffled_rows(pairs.shape[1], rng)
    is_free = pd.Series(pairs[0, order]).duplicated().to_numpy()
    chosen = np.zeros(pairs.shape[1], dtype=np.bool_)
    chosen[order[is_free][:number]] = True
    return chosen


def split_off_valid(
    train: IntArray, fraction: float, seed: int
) -> tuple[IntArray, IntArray]:
    """Split pairs ``[2, E]`` at random into sorted train and valid pairs.

    Every user keeps at least one train pair, so valid may be smaller than ``fraction``.

    Args:
        train: Pairs in the order of their file, which the random draw uses; repeated
            ones are merged.
        fraction: Share of the pairs that becomes valid, between 0 and 1.
        seed: Seed of the split.

    Raises:
        ConfigError: If the fraction or seed is out of range or valid is empty.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"valid_fraction must lie between 0 and 1 (got {fraction})")
    if seed < 0:
        raise ConfigError(f"seed must not be negative (got {seed})")
    train = in_file_order(train)
    number = round(fraction * train.shape[1])
    is_valid = held_out(train, number, np.random.default_rng(seed))
    if not is_valid.any():
        raise ConfigError(
            f"valid_fraction {fraction} of "
            f"{counted(train.shape[1], 'train pair')} leaves valid "
            "empty, since every user keeps one: use a larger fraction or a valid.txt"
        )
    return (
        distinct_pairs(masked(train, ~is_valid)),
        distinct_pairs(masked(train, is_valid)),
    )


def in_file_order(pairs: IntArray) -> IntArray:
    """Return the first occurrences of pairs ``[2, E]``, in their order."""
    return pairs[:, np.sort(_first_rows(pairs))]


def _first_rows(pairs: IntArray, time: NDArray[np.float64] | None = None) -> IntArray:
    """Return the first row of each distinct pair, by time if known, sorted by pair."""
    keys = pair_keys(*pairs)
    # Stable: rows of equal time keep the order of the file.
    order = np.lexsort((keys,) if time is None else (time, keys))
    keys = keys[order]
    row = order[begins(keys)]
    return row.astype(row_type(len(keys)))


def without_cold_users(
    splits: Mapping[str, IntArray], advice: str = ""
) -> dict[str, IntArray]:
    """Drop held-out pairs of users without a train pair, with a warning.

    Nothing can be learned about these users, so a mean over users would measure their
    number. Held-out pairs of items without a train pair stay, with a warning:
    without them the ranking would be easier than it is.

    Args:
        splits: Pairs ``[2, E]`` by split, including ``train``.
        advice: What to do if a split becomes empty, for the error.

    Raises:
        DataError: If a split becomes empty.
    """
    kept: dict[str, IntArray] = {}
    number = [
        1 + max(int(p[end].max(initial=-1)) for p in splits.values()) for end in (0, 1)
    ]
    has_train = [_marks([e], n) for e, n in zip(splits["train"], number, strict=True)]
    for name, pairs in splits.items():
        is_known = has_train[0][pairs[0]]
        kept[name] = pairs if is_known.all() else masked(pairs, is_known)
        if not is_known.any():
            message = f"no user of {name} has a train pair"
            raise DataError(f"{message}: {advice}" if advice else message)
        if not is_known.all():
            cold = len(np.unique(pairs[0, ~is_known]))
            whose, they = ("their", "these users") if cold > 1 else ("its", "this user")
            _warn_of_cold(
                f"{_of(name, cold, 'user', 'has', 'have')} no train pair: {whose} "
                f"{counted(int((~is_known).sum()), 'pair is', 'pairs are')} dropped, "
                f"and recommendations for {they} are random"
            )
        is_cold = ~has_train[1][kept[name][1]]
        if is_cold.any():
            cold = len(np.unique(kept[name][1, is_cold]))
            whose, they = ("their", "these items") if cold > 1 else ("its", "this item")
            _warn_of_cold(
                f"{_of(name, cold, 'item', 'has', 'have')} no train pair: {whose} "
                f"{counted(int(is_cold.sum()), 'pair stays', 'pairs stay')}, but "
                f"training learns nothing about {they}"
            )
    return kept


def _warn_of_cold(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=5)


def resolve_overlaps(splits: Mapping[str, IntArray], how: str) -> dict[str, IntArray]:
    """Handle pairs that occur in more than one split.

    Args:
        splits: Pairs ``[2, E]`` by split.
        how: ``keep`` (the evaluator ranks these pairs, and a data set warns about
            them), ``drop`` (removes train pairs from valid, and train and valid pairs
            from the tests) or ``error``.

    Raises:
        DataError: If ``how`` is ``error`` and splits share pairs.
        ConfigError: If ``how`` is unknown or a split becomes empty.
    """
    if how not in OVERLAPS:
        raise unknown("overlap", how, OVERLAPS)
    if how == "keep":
        return dict(splits)
    kept: dict[str, IntArray] = {}
    for name, pairs in splits.items():
        known = [pair_keys(*kept[n]) for n in ("train", "valid") if n in kept]
        earlier = np.concatenate([np.zeros(0, dtype=np.int64), *known])
        fresh = ~np.isin(pair_keys(*pairs), earlier)
        if how == "error" and not fresh.all():
            raise DataError(
                f"{_of(name, int((~fresh).sum()), 'pair', 'is', 'are')} also in train "
                "or valid: remove them, or use --overlap keep or drop"
            )
        if not fresh.any():
            raise ConfigError(
                f"all pairs of {name} are also in train or valid: use --overlap keep"
            )
        kept[name] = pairs[:, fresh]
    return kept


def compact_ids(
    splits: Mapping[str, IntArray],
    user_ids: IdList,
    item_ids: IdList,
    duplicates: Mapping[str, int],
    known: IntArray,
) -> SplitPairs:
    """Drop users and items without a pair and renumber the others in order.

    Args:
        splits: Pairs ``[2, E]`` by split.
        user_ids: Raw ids of users, by old row.
        item_ids: Raw ids of items, by old row.
        duplicates: Number of repeated pairs by split.
        known: All pairs of the source; see :func:`seen_beside`.
    """
    users, user_row = _used([pairs[0] for pairs in splits.values()], len(user_ids))
    items, item_row = _used([pairs[1] for pairs in splits.values()], len(item_ids))

    def renumbered(pairs: IntArray) -> IntArray:
        found = np.empty_like(pairs)
        found[0], found[1] = user_row[pairs[0]], item_row[pairs[1]]
        return found

    # The new numbers keep the order, so the pairs stay sorted.
    seen = renumbered(seen_beside(splits, known))
    pairs = {name: renumbered(found) for name, found in splits.items()}
    return SplitPairs(
        len(users),
        len(items),
        pairs,
        dict(duplicates),
        user_ids=take_ids(user_ids, users),
        item_ids=take_ids(item_ids, items),
        seen=masked(seen, (seen[0] >= 0) & (seen[1] >= 0)),
    )


def seen_beside(splits: Mapping[str, IntArray], known: IntArray) -> IntArray:
    """Return known pairs ``[2, S]`` that are in no split, distinct and sorted.

    They must not be recommended: rows that are not positive, or that a split left out.

    Args:
        splits: Pairs ``[2, E]`` by split.
        known: Pairs ``[2, N]`` of users and items; those of negative indices are
            dropped.
    """
    if known.min(initial=0) < 0:
        known = masked(known, (known[0] >= 0) & (known[1] >= 0))
    keys = distinct_keys(known)
    is_new = np.ones(len(keys), dtype=np.bool_)
    for pairs in splits.values() if len(keys) else ():
        for start in range(0, pairs.shape[1], _BLOCK_PAIRS):
            found = pair_keys(*pairs[:, start : start + _BLOCK_PAIRS])
            place = np.searchsorted(keys, found).clip(max=len(keys) - 1)
            is_new[place[keys[place] == found]] = False
    return pairs_at(keys[is_new], known.dtype)


def _used(columns: list[IntArray], number: int) -> tuple[IntArray, IntArray]:
    """Return the old rows in use, and the new row of each old one, -1 if unused."""
    used = _marks(columns, number)
    row = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(used), np.where(used, row, np.int32(-1))


def _marks(columns: Iterable[IntArray], number: int) -> NDArray[np.bool_]:
    """Return a mask ``[number]`` of the rows that occur in the columns."""
    found = np.zeros(number, dtype=np.bool_)
    for column in columns:
        found[column] = True
    return found


def _of(split: str, number: int, what: str, one: str, many: str) -> str:
    """Return e.g. ``1 user of test has``."""
    return counted(number, f"{what} of {split} {one}", f"{what}s of {split} {many}")
