"""The field's split files: pairs, raw ids, and the folder that holds them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.errors import DataError
from pyg_advinfonce.files import reading
from pyg_advinfonce.graph import MAX_ROWS, pair_keys, pairs_of

Ids = NDArray[np.int64]

IdList = Ids | list[str]
"""Raw ids by row: integers ``[N]``, or strings."""

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
_BOM = b"\xef\xbb\xbf"
_INT64_DIGITS = 18
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


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


def _read(path: Path) -> RawFile:
    with reading(path):
        return RawFile(path, path.read_bytes())


def split_of_file(name: str) -> str | None:
    """Return the split that a file of this name holds, or None if it holds none."""
    is_gamma = GAMMA_FILE.fullmatch(name)
    return name.removesuffix(".txt") if is_gamma else SPLIT_OF_FILE.get(name)


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


def distinct_pairs(pairs: Ids) -> Ids:
    """Return the distinct pairs ``[2, E]``, sorted by user, then item."""
    keys = np.sort(pair_keys(*pairs))  # np.unique hashes, and takes 50 times as long
    return np.stack(pairs_of(keys[np.diff(keys, prepend=-1) != 0]))


def parse_pairs(
    content: bytes,
    path: Path,
    *,
    num_users: int = MAX_ROWS,
    num_items: int = MAX_ROWS,
) -> Ids:
    """Return the user-item pairs ``[2, E]`` of a text, in its order.

    Args:
        content: The text, in ASCII, with any kind of line end.
        path: Where it comes from, for messages.
        num_users: User ids must be below it.
        num_items: Item ids must be below it.

    Raises:
        DataError: If a word is not an id; it says ``path:line:column``.
    """
    content = content.removeprefix(_BOM)
    tokens = _tokenize(content)
    if tokens is not None:
        values, first = tokens
        pairs = _pair_up(values, first)
        if _below(values[first], num_users) and _below(pairs[1], num_items):
            return pairs
    return _parse_by_line(content, path, num_users, num_items)


def _tokenize(content: bytes) -> tuple[Ids, NDArray[np.bool_]] | None:
    """Return all numbers and which are the first of a line; None: look closer."""
    text = np.frombuffer(content, dtype=np.uint8)
    is_digit = (text - ord("0")) < 10  # unsigned: anything below "0" wraps around
    is_break = (text == ord("\n")) | (text == ord("\r"))
    if not (is_digit | is_break | (text == ord(" ")) | (text == ord("\t"))).all():
        return None
    edges = np.flatnonzero(np.diff(is_digit.view(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    if (ends - starts).max(initial=0) > _INT64_DIGITS:
        return None
    line = np.searchsorted(np.flatnonzero(is_break), starts)
    first = np.diff(line, prepend=-1) != 0
    return _decode(text, starts, ends), first


def _decode(text: NDArray[np.uint8], starts: Ids, ends: Ids) -> Ids:
    """Return the numbers that the digits between starts and ends spell."""
    lengths = ends - starts
    values = np.zeros(len(starts), dtype=np.int64)
    for place in range(int(lengths.max(initial=0))):
        long_enough = np.flatnonzero(lengths > place)
        digits = text[ends[long_enough] - 1 - place] - np.uint8(ord("0"))
        values[long_enough] += digits.astype(np.int64) * 10**place
    return values


def _pair_up(values: Ids, first: NDArray[np.bool_]) -> Ids:
    line = np.cumsum(first) - 1
    return np.stack([values[first][line[~first]], values[~first]])  # [2, E]


def _below(ids: Ids, limit: int) -> bool:
    return bool(ids.max(initial=-1) < limit)


def _parse_by_line(content: bytes, path: Path, num_users: int, num_items: int) -> Ids:
    """Parse slowly; a wrong word is known by its line and column."""
    pairs: list[tuple[int, int]] = []
    for line, words in _lines(content):
        limits = [num_users] + [num_items] * len(words)
        user, *items = (
            _number(word, path, line, column, limit)
            for (column, word), limit in zip(words, limits, strict=False)
        )
        pairs.extend((user, item) for item in items)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def parse_ids(content: bytes, path: Path, *, limit: int = MAX_ROWS) -> Ids:
    """Return the ids ``[N]`` of a text that holds one a line.

    Raises:
        DataError: If a line holds anything else; it says ``path:line:column``.
    """
    content = content.removeprefix(_BOM)
    ids: list[int] = []
    for line, words in _lines(content):
        if len(words) > 1:
            raise DataError(
                f"{path}:{line}:{words[1][0]}: expected one id a line, "
                f"got {len(words)} words"
            )
        ids.extend(_number(word, path, line, column, limit) for column, word in words)
    return np.array(ids, dtype=np.int64)


def _lines(content: bytes) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """Yield the number and the words, with their columns, of lines that have any."""
    for line, text in enumerate(content.splitlines(), start=1):
        words = [(m.start() + 1, m[0]) for m in re.finditer(rb"[^ \t]+", text)]
        if words:
            yield line, words


def _number(word: bytes, path: Path, line: int, column: int, limit: int) -> int:
    if not word.isdigit():
        _refuse(f"{path}:{line}:{column}", "", word)
    digits = word.lstrip(b"0") or b"0"
    if len(digits) > _INT64_DIGITS or int(digits) >= limit:
        _refuse(f"{path}:{line}:{column}", f" below {limit}", word)
    return int(digits)


def _refuse(place: str, bound: str, word: bytes) -> NoReturn:
    text = word.decode("utf-8", errors="replace")
    shown = text if len(text) <= 40 else text[:37] + "..."
    raise DataError(f"{place}: expected a non-negative integer{bound}, got {shown!r}")


def parse_raw_ids(content: bytes, path: Path) -> IdList:
    """Return the ids of a text: integers if all of them are, else strings.

    Raises:
        DataError: If a line is no id or repeats one; it says ``path:line``.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: expected text in UTF-8") from None
    texts = [line.removesuffix("\r") for line in lines]
    while texts and not texts[-1]:
        texts.pop()
    _check(texts, path)
    if texts and all(map(is_integer_id, texts)):
        return np.array(list(map(int, texts)), dtype=np.int64)
    return texts


def _check(texts: list[str], path: Path) -> None:
    if len(set(texts)) == len(texts) and all(map(is_printable_id, texts)):
        return
    seen: set[str] = set()
    for line, text in enumerate(texts, start=1):
        if not is_printable_id(text) or text in seen:
            raise DataError(f"{path}:{line}: expected a new id, got {text[:40]!r}")
        seen.add(text)


def is_integer_id(text: str) -> bool:
    """Return whether a text is an integer from 0 to 2**63 - 1, without zeros before."""
    return bool(_INTEGER.fullmatch(text)) and int(text) < 2**63


def is_printable_id(text: str) -> bool:
    """Return whether a text is an id that fits into a line."""
    return bool(text) and not _CONTROL.search(text)


def take_ids(ids: IdList, rows: Ids) -> IdList:
    """Return the raw ids of some rows."""
    return ids[rows] if isinstance(ids, np.ndarray) else [ids[row] for row in rows]


def raw_ids_text(ids: IdList) -> str:
    """Return the text of raw ids."""
    return "".join(f"{raw_id}\n" for raw_id in ids)
