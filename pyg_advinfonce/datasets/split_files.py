"""The folder of split files that the field shares, read into arrays of pairs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.id_text import IdList, parse_raw_ids
from pyg_advinfonce.datasets.pair_text import MAX_ROWS, Ids, parse_ids, parse_pairs
from pyg_advinfonce.errors import DataError

SPLIT_OF_FILE: Mapping[str, str] = {
    "train.txt": "train",
    "valid.txt": "valid",
    "test.txt": "test",
    "test_ood.txt": "test",
    "test_id.txt": "test_id",
    "test_ood_1.txt": "test_gamma_200",
    "test_ood_2.txt": "test_gamma_10",
    "test_ood_3.txt": "test_gamma_2",
}
"""What a file of pairs holds, by its name; a folder's other files are not read."""

GAMMA_FILE = re.compile(r"test_gamma_[0-9]+(\.[0-9]+)?\.txt")
"""Tests of any other popularity shift are files that are named like their splits."""

NOT_CANDIDATE = "not_candidate.txt"
USER_IDS, ITEM_IDS = "user_ids.txt", "item_ids.txt"


@dataclass(frozen=True)
class RawFile:
    """A file's content, read once for its hashes and for parsing."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()


@dataclass(frozen=True)
class SplitPairs:
    """What a folder of split files says.

    Args:
        num_users: One more than the largest user id, or the known number.
        num_items: One more than the largest item id, or the known number.
        pairs: Distinct pairs ``[2, E]`` by split, sorted.
        duplicates: How often each split repeated a pair.
        candidate_mask: ``[I]`` bool, the items that may be ranked, or None for all.
        user_ids: The users' ids in the input, by row, where they are known.
        item_ids: The items' ids in the input, by row, where they are known.
    """

    num_users: int
    num_items: int
    pairs: dict[str, Ids]
    duplicates: dict[str, int]
    candidate_mask: NDArray[np.bool_] | None = None
    user_ids: IdList | None = None
    item_ids: IdList | None = None


def read_files(folder: Path) -> dict[str, RawFile]:
    """Read the folder's split files, by file name.

    Raises:
        DataError: If a file cannot be read.
    """
    names = (*SPLIT_OF_FILE, *_gamma_files(folder), NOT_CANDIDATE, USER_IDS, ITEM_IDS)
    paths = [folder / name for name in names]
    return {path.name: _read(path) for path in paths if path.exists()}


def _gamma_files(folder: Path) -> list[str]:
    """Return the files of further popularity shifts, the largest gamma first."""
    names = [path.name for path in folder.glob("test_gamma_*.txt")]
    found = [name for name in names if GAMMA_FILE.fullmatch(name)]
    return sorted(found, key=lambda n: float(n[11:-4]), reverse=True)


def split_of_file(name: str) -> str | None:
    """Return the split that a file of this name holds, or None if it holds none."""
    is_gamma = GAMMA_FILE.fullmatch(name)
    return name.removesuffix(".txt") if is_gamma else SPLIT_OF_FILE.get(name)


def _read(path: Path) -> RawFile:
    try:
        return RawFile(path, path.read_bytes())
    except OSError as error:
        message = f"{path}: expected a readable file ({error.strerror})"
        raise DataError(message) from None


def parse_files(
    files: Mapping[str, RawFile],
    *,
    num_users: int | None = None,
    num_items: int | None = None,
) -> SplitPairs:
    """Parse what :func:`read_files` read.

    Args:
        files: The files by name; ``train.txt`` is among them.
        num_users: The known number of users (default: as the ids say).
        num_items: The known number of items (default: as the ids say).

    Raises:
        DataError: If a word is not an id below the known number, a split is empty or
            two files claim the same split.
    """
    user_ids = _raw_ids(files, USER_IDS, num_users)
    item_ids = _raw_ids(files, ITEM_IDS, num_items)
    num_users = num_users or (None if user_ids is None else len(user_ids))
    num_items = num_items or (None if item_ids is None else len(item_ids))
    limits = {"num_users": num_users or MAX_ROWS, "num_items": num_items or MAX_ROWS}
    pairs: dict[str, Ids] = {}
    duplicates: dict[str, int] = {}
    for split, file in _one_a_split(files).items():
        repeated = parse_pairs(file.content, file.path, **limits)
        if not repeated.size:
            raise DataError(f"{file.path}: expected user-item pairs, found none")
        pairs[split] = distinct_pairs(repeated)
        duplicates[split] = repeated.shape[1] - pairs[split].shape[1]
    _drop_repeated_test(pairs, duplicates)
    excluded = _excluded_items(files, limits["num_items"])
    users = num_users or 1 + max(int(p[0].max()) for p in pairs.values())
    items = num_items or 1 + max(
        int(excluded.max(initial=-1)), *(int(p[1].max()) for p in pairs.values())
    )
    mask = _candidate_mask(files, excluded, items)
    return SplitPairs(users, items, pairs, duplicates, mask, user_ids, item_ids)


def _raw_ids(
    files: Mapping[str, RawFile], name: str, number: int | None
) -> IdList | None:
    if name not in files:
        return None
    path = files[name].path
    ids = parse_raw_ids(files[name].content, path)
    if not len(ids) or number not in (None, len(ids)):
        raise DataError(f"{path}: expected {number or 'some'} ids, found {len(ids)}")
    return ids


def distinct_pairs(pairs: Ids) -> Ids:
    """Return the distinct pairs ``[2, E]``, sorted by user, then item."""
    key = np.sort(pair_keys(pairs))
    key = key[np.diff(key, prepend=-1) != 0]
    return np.stack([key // MAX_ROWS, key % MAX_ROWS])


def pair_keys(pairs: Ids) -> Ids:
    """Return one number a pair ``[E]``, which sorts by user, then item."""
    keys: Ids = pairs[0] * MAX_ROWS + pairs[1]
    return keys


def _one_a_split(files: Mapping[str, RawFile]) -> dict[str, RawFile]:
    """Return the file of each split; a second one must have the same content."""
    chosen: dict[str, RawFile] = {}
    for name, file in files.items():
        split = split_of_file(name)
        if split is None:
            continue
        first = chosen.setdefault(split, file)
        if first.content != file.content:
            raise DataError(
                f"{file.path}: expected the same pairs as in {first.path.name}, both "
                f"are the split '{split}': remove one of them"
            )
    return chosen


def _drop_repeated_test(pairs: dict[str, Ids], duplicates: dict[str, int]) -> None:
    """Drop ``test_id`` where it repeats ``test``, as published sets do."""
    if "test" not in pairs or "test_id" not in pairs:
        return
    if np.array_equal(pairs["test"], pairs["test_id"]):
        del pairs["test_id"], duplicates["test_id"]


def _excluded_items(files: Mapping[str, RawFile], num_items: int) -> Ids:
    if NOT_CANDIDATE not in files:
        return np.zeros(0, dtype=np.int64)
    file = files[NOT_CANDIDATE]
    return parse_ids(file.content, file.path, limit=num_items)


def _candidate_mask(
    files: Mapping[str, RawFile], excluded: Ids, num_items: int
) -> NDArray[np.bool_] | None:
    if not excluded.size:
        return None
    mask = np.ones(num_items, dtype=np.bool_)  # [I]
    mask[excluded] = False
    if not mask.any():
        raise DataError(
            f"{files[NOT_CANDIDATE].path}: expected at least one item that may be "
            f"ranked, but all {num_items} are excluded"
        )
    return mask
