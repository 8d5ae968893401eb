"""Split files: pairs, raw ids and the folder that holds them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.errors import DataError
from pyg_advinfonce.files import reading, regular_file
from pyg_advinfonce.keys import MAX_ROWS, pair_keys

IntArray = NDArray[np.int64 | np.int32]
"""Rows or positions; int32 where a large table would not fit into memory."""

IdList = IntArray | list[str]
"""Raw ids by row: an array of integers ``[N]``, or a list of strings."""

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
"""Split names by file name; other files of a folder are not read."""

GAMMA_FILE = re.compile(r"test_gamma_[0-9]+(\.[0-9]+)?\.txt")
"""File names of the tests of any other popularity shift."""

FORMATS = ("auto", "lists")
"""Formats of split files; ``auto`` rejects lines that look like ratings."""

MAX_BYTES = 2**34
"""Maximum size of a split file, which is read as a whole."""

NOT_CANDIDATE = "not_candidate.txt"
SEEN = "seen.txt"
USER_IDS, ITEM_IDS = "user_ids.txt", "item_ids.txt"
_LISTS = {USER_IDS: "user_list.txt", ITEM_IDS: "item_list.txt"}  # of LightGCN
_MAX_GAPS = 100_000, 10
_HEAD_BYTES = 2**16
_BLOCK_BYTES = 2**20
_LINE_END = re.compile(rb"[\r\n]")
_BOM = b"\xef\xbb\xbf"
_COLON = re.compile(rb"((?:^|[\r\n])[0-9]+):")
_INT64_DIGITS = 18
_Scalar = TypeVar("_Scalar", bound=np.generic)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class RawFile:
    """A file's content, read once for hashing and parsing."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()


@dataclass(frozen=True)
class SplitPairs:
    """Parsed content of a folder of split files.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        pairs: Distinct pairs ``[2, E]`` by split, sorted.
        duplicates: Number of repeated pairs by split.
        candidate_mask: ``[I]`` bool, True for items that may be ranked; None for all.
        user_ids: Raw ids of users by row, if known.
        item_ids: Raw ids of items by row, if known.
        rows: Numbers of table rows: read, used and left out, by reason.
        seen: Pairs ``[2, S]`` in no split that must not be recommended, sorted.
    """

    num_users: int
    num_items: int
    pairs: dict[str, IntArray]
    duplicates: dict[str, int]
    candidate_mask: NDArray[np.bool_] | None = None
    user_ids: IdList | None = None
    item_ids: IdList | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    seen: IntArray = field(default_factory=lambda: np.zeros((2, 0), dtype=np.int64))


def read_files(folder: Path, names: Sequence[str] | None = None) -> dict[str, RawFile]:
    """Read files of a folder, by file name; those that do not exist are left out.

    Args:
        folder: The folder.
        names: Names of the files (default: those of all split files).

    Raises:
        DataError: If a file cannot be read.
    """
    splits = (
        *(*SPLIT_OF_FILE, *_gamma_files(folder), SEEN, NOT_CANDIDATE),
        *(USER_IDS, ITEM_IDS, *_LISTS.values()),
    )
    paths = [folder / name for name in (splits if names is None else names)]
    return {path.name: _read(path) for path in paths if path.exists()}


def _gamma_files(folder: Path) -> list[str]:
    """Return the names of all files ``test_gamma_*.txt``, largest gamma first."""
    names = [path.name for path in folder.glob("test_gamma_*.txt")]
    found = [name for name in names if GAMMA_FILE.fullmatch(name)]
    return sorted(found, key=lambda n: float(n[11:-4]), reverse=True)


def _read(path: Path) -> RawFile:
    regular_file(path, MAX_BYTES)
    with reading(path):
        return RawFile(path, path.read_bytes())


def pairs_in(file: RawFile) -> IntArray:
    """Return the user-item pairs ``[2, E]`` of a split file, in its order.

    Raises:
        DataError: If a word is not an id.
    """
    return parse_pairs(file.content, file.path)


def split_of_file(name: str) -> str | None:
    """Return the split of a file name, or None if it is not a split file."""
    is_gamma = GAMMA_FILE.fullmatch(name)
    return name.removesuffix(".txt") if is_gamma else SPLIT_OF_FILE.get(name)


def parse_files(
    files: Mapping[str, RawFile],
    *,
    num_users: int | None = None,
    num_items: int | None = None,
    format: str = "auto",
) -> SplitPairs:
    """Parse the files returned by :func:`read_files`.

    Args:
        files: Files by name.
        num_users: Known number of users (default: one more than the largest id).
        num_items: Known number of items (default: one more than the largest id).
        format: ``lists`` for lines ``user item item ...``; ``auto`` also rejects lines
            that look like ``user item rating``.

    Raises:
        DataError: If a word is not an id below the known number, a split is empty,
            two files of the same split differ, lines look like ratings, or most ids
            up to the largest one do not occur.
    """
    user_ids = _raw_ids(files, USER_IDS, num_users)
    item_ids = _raw_ids(files, ITEM_IDS, num_items)
    num_users = num_users or (None if user_ids is None else len(user_ids))
    num_items = num_items or (None if item_ids is None else len(item_ids))
    limits = {"num_users": num_users or MAX_ROWS, "num_items": num_items or MAX_ROWS}
    pairs: dict[str, IntArray] = {}
    duplicates: dict[str, int] = {}
    chosen = file_per_split(files)
    if format == "auto":
        for file in chosen.values():
            check_lists(file)
    for split, file in chosen.items():
        repeated = parse_pairs(file.content, file.path, **limits)
        number = repeated.shape[1]
        if not number:
            raise DataError(f"{file.path}: expected user-item pairs, found none")
        keys = distinct_keys(repeated)
        del repeated  # a large file may not fit into memory twice
        pairs[split] = pairs_at(keys, np.dtype(np.int32))
        duplicates[split] = number - len(keys)
        del keys
    _drop_repeated_test(pairs, duplicates)
    excluded = _excluded_items(files, limits["num_items"])
    users = num_users or 1 + max(int(p[0].max()) for p in pairs.values())
    items = num_items or 1 + max(
        int(excluded.max(initial=-1)), *(int(p[1].max()) for p in pairs.values())
    )
    folder = next(iter(chosen.values())).path.parent if chosen else Path()
    for place, (kind, number, known) in enumerate(
        (("user", users, num_users), ("item", items, num_items))
    ):
        if known is None:
            _check_gaps(folder, kind, number, [p[place] for p in pairs.values()])
    mask = _candidate_mask(files, excluded, items)
    splits = SplitPairs(users, items, pairs, duplicates, mask, user_ids, item_ids)
    return replace(splits, seen=_seen(files, users, items, format))


def _seen(
    files: Mapping[str, RawFile], users: int, items: int, format: str
) -> IntArray:
    """Return the pairs of ``seen.txt`` whose user and item exist."""
    if SEEN not in files:
        return np.zeros((2, 0), dtype=np.int64)
    if format == "auto":
        check_lists(files[SEEN])
    pairs = distinct_pairs(pairs_in(files[SEEN]))
    return pairs[:, (pairs[0] < users) & (pairs[1] < items)]


def _text(content: bytes) -> bytes:
    """Return a text without its mark, and with SELFRec's ``user:item`` spaced."""
    content = content.removeprefix(_BOM)
    return _COLON.sub(rb"\1 ", content) if b":" in content else content


def check_lists(file: RawFile) -> None:
    """Reject a file whose lines look like ``user item rating``, optionally with a time.

    Raises:
        DataError: If all lines have the same number of three or four words and users
            repeat over lines or a word is not an integer.
    """
    content = _text(file.content)
    head = content[:_HEAD_BYTES]
    lines = [words for _, words in _lines(head)]
    if len(head) < len(content):
        lines.pop()
    width = len(lines[0]) if lines else 0
    if width not in (3, 4) or any(len(words) != width for words in lines):
        return
    tokens = _tokenize(content)
    if tokens is not None:
        values, first = tokens
        starts = np.flatnonzero(first)
        widths = np.diff(starts, append=len(values))
        if (widths != width).any() or len(np.unique(values[starts])) == len(starts):
            return
    raise DataError(
        f"{file.path}:1: expected lines 'user item item ...', got {width} values per "
        "line and several lines per user, which looks like 'user item rating': set "
        "--format triples (data.format), or --format lists (data.format) if the "
        "lines are lists"
    )


def _check_gaps(
    folder: Path, kind: str, number: int, columns: Sequence[IntArray]
) -> None:
    """Reject ids with gaps so large that most rows would be empty."""
    slack, factor = _MAX_GAPS
    if number <= slack:
        return
    distinct = len(np.unique(np.concatenate([np.unique(ids) for ids in columns])))
    if number > slack + factor * distinct:
        raise DataError(
            f"{folder}: expected {kind} ids that are row numbers, got {distinct:,} "
            f"{kind}s with ids up to {number - 1:,}: number them from 0 and write the "
            f"original ids to {kind}_ids.txt, or split a table with `advnce data split`"
        )


def file_per_split(files: Mapping[str, RawFile]) -> dict[str, RawFile]:
    """Return one file per split; a second one must have the same content."""
    chosen: dict[str, RawFile] = {}
    for name, file in files.items():
        split = split_of_file(name)
        if split is None:
            continue
        first = chosen.setdefault(split, file)
        if first.content != file.content:
            raise DataError(
                f"{file.path}: expected the same pairs as in {first.path.name}, which "
                f"is also the split '{split}': remove one of them"
            )
    return chosen


def _drop_repeated_test(pairs: dict[str, IntArray], duplicates: dict[str, int]) -> None:
    """Drop ``test_id`` if it equals ``test``, as in published sets."""
    if "test" not in pairs or "test_id" not in pairs:
        return
    if np.array_equal(pairs["test"], pairs["test_id"]):
        del pairs["test_id"], duplicates["test_id"]


def _raw_ids(
    files: Mapping[str, RawFile], name: str, number: int | None
) -> IdList | None:
    is_list = name not in files
    name = _LISTS[name] if is_list else name
    if name not in files:
        return None
    path = files[name].path
    parse = _parse_id_list if is_list else parse_raw_ids
    ids = parse(files[name].content, path)
    if not len(ids) or number not in (None, len(ids)):
        raise DataError(f"{path}: expected {number or 'some'} ids, found {len(ids)}")
    return ids


def _excluded_items(files: Mapping[str, RawFile], num_items: int) -> IntArray:
    if NOT_CANDIDATE not in files:
        return np.zeros(0, dtype=np.int64)
    file = files[NOT_CANDIDATE]
    return parse_ids(file.content, file.path, limit=num_items)


def _candidate_mask(
    files: Mapping[str, RawFile], excluded: IntArray, num_items: int
) -> NDArray[np.bool_] | None:
    if not excluded.size:
        return None
    mask = np.ones(num_items, dtype=np.bool_)  # [I]
    mask[excluded] = False
    if not mask.any():
        raise DataError(
            f"{files[NOT_CANDIDATE].path}: expected at least one candidate item, but "
            f"all {num_items} items are excluded"
        )
    return mask


def distinct_pairs(pairs: IntArray) -> IntArray:
    """Return the distinct pairs ``[2, E]``, sorted by user, then item."""
    return pairs_at(distinct_keys(pairs), pairs.dtype)


def distinct_keys(pairs: IntArray) -> NDArray[np.int64]:
    """Return the sorted keys of the distinct pairs ``[2, E]``."""
    keys = pair_keys(*pairs)
    keys.sort()  # np.unique takes 50 times as long
    is_first = begins(keys)
    return keys if is_first.all() else keys[is_first]


def pairs_at(keys: NDArray[np.int64], dtype: np.dtype[Any]) -> IntArray:
    """Return the pairs ``[2, E]`` of keys."""
    pairs: IntArray = np.empty((2, len(keys)), dtype=dtype)
    np.floor_divide(keys, MAX_ROWS, out=pairs[0], casting="unsafe")
    np.remainder(keys, MAX_ROWS, out=pairs[1], casting="unsafe")
    return pairs


def row_type(number: int) -> type[np.int32] | type[np.int64]:
    """Return int32 if it holds the numbers of all rows, else int64."""
    return np.int32 if number < 2**31 else np.int64


def begins(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether each value ``[N]`` differs from the one before it."""
    found = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def masked(pairs: IntArray, mask: NDArray[np.bool_]) -> IntArray:
    """Return the pairs ``[2, E]`` of a mask ``[E]``.

    ``pairs[:, mask]`` does too, but takes 8 more bytes per pair.
    """
    found: IntArray = np.empty((2, np.count_nonzero(mask)), dtype=pairs.dtype)
    for new, ends in zip(found, pairs, strict=True):
        new[:] = ends[mask]
    return found


def joined(parts: list[NDArray[_Scalar]]) -> NDArray[_Scalar]:
    """Concatenate along the last axis; each part is dropped once it is copied."""
    ends = np.cumsum([part.shape[-1] for part in parts])
    shape = (*parts[0].shape[:-1], int(ends[-1]))
    found: NDArray[_Scalar] = np.empty(shape, dtype=parts[0].dtype)
    for end in reversed(ends):
        part = parts.pop()
        found[..., end - part.shape[-1] : end] = part
    return found


def parse_pairs(
    content: bytes,
    path: Path,
    *,
    num_users: int = MAX_ROWS,
    num_items: int = MAX_ROWS,
) -> IntArray:
    """Return the user-item pairs ``[2, E]`` of a text, in its order.

    Args:
        content: ASCII text with any kind of line end.
        path: Path of the text, for messages.
        num_users: Upper bound of user ids, exclusive.
        num_items: Upper bound of item ids, exclusive.

    Raises:
        DataError: If a word is not an id; the message starts with
            ``path:line:column``.
    """
    content = _text(content)
    parts: list[NDArray[np.int32]] = [np.zeros((2, 0), dtype=np.int32)]
    for block in _blocks(content):
        tokens = _tokenize(block)
        if tokens is None:
            return _parse_by_line(content, path, num_users, num_items)
        values, first = tokens
        pairs = _pair_up(values, first)
        if not (_below(values[first], num_users) and _below(pairs[1], num_items)):
            return _parse_by_line(content, path, num_users, num_items)
        parts.append(pairs.astype(np.int32))  # ids are below 2**31
    return joined(parts)


def _blocks(content: bytes) -> Iterator[bytes]:
    """Yield parts of a text that end with a line."""
    start = 0
    while start < len(content):
        line_end = _LINE_END.search(content, start + _BLOCK_BYTES)
        end = line_end.end() if line_end else len(content)
        yield content[start:end]
        start = end


def _tokenize(content: bytes) -> tuple[IntArray, NDArray[np.bool_]] | None:
    """Return all numbers and a mask of each line's first; None if it cannot parse."""
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


def _decode(text: NDArray[np.uint8], starts: IntArray, ends: IntArray) -> IntArray:
    """Return the numbers between the offsets ``starts`` and ``ends``."""
    lengths = ends - starts
    values = np.zeros(len(starts), dtype=np.int64)
    for place in range(int(lengths.max(initial=0))):
        long_enough = np.flatnonzero(lengths > place)
        digits = text[ends[long_enough] - 1 - place] - np.uint8(ord("0"))
        values[long_enough] += digits.astype(np.int64) * 10**place
    return values


def _pair_up(values: IntArray, first: NDArray[np.bool_]) -> IntArray:
    line = np.cumsum(first) - 1
    return np.stack([values[first][line[~first]], values[~first]])  # [2, E]


def _below(ids: IntArray, limit: int) -> bool:
    return bool(ids.max(initial=-1) < limit)


def _parse_by_line(
    content: bytes, path: Path, num_users: int, num_items: int
) -> IntArray:
    """Parse word by word, to locate an invalid one."""
    pairs: list[tuple[int, int]] = []
    for line, words in _lines(content):
        limits = [num_users] + [num_items] * len(words)
        user, *items = (
            _number(word, path, line, column, limit)
            for (column, word), limit in zip(words, limits, strict=False)
        )
        pairs.extend((user, item) for item in items)
    return np.array(pairs, dtype=np.int32).reshape(-1, 2).T


def parse_ids(content: bytes, path: Path, *, limit: int = MAX_ROWS) -> IntArray:
    """Return the ids ``[N]`` of a text with one id per line.

    Raises:
        DataError: If a line holds anything else; the message starts with
            ``path:line:column``.
    """
    content = content.removeprefix(_BOM)
    ids: list[int] = []
    for line, words in _lines(content):
        if len(words) > 1:
            raise DataError(
                f"{path}:{line}:{words[1][0]}: expected one id per line, "
                f"got {len(words)} words"
            )
        ids.extend(_number(word, path, line, column, limit) for column, word in words)
    return np.array(ids, dtype=np.int64)


def _lines(content: bytes) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """Yield number and words, with their columns, of each line that is not blank."""
    for line, text in enumerate(content.splitlines(), start=1):
        words = [(m.start() + 1, m[0]) for m in re.finditer(rb"[^ \t]+", text)]
        if words:
            yield line, words


def _number(word: bytes, path: Path, line: int, column: int, limit: int) -> int:
    if not word.isdigit():
        _raise_not_an_integer(f"{path}:{line}:{column}", "", word)
    digits = word.lstrip(b"0") or b"0"
    if len(digits) > _INT64_DIGITS or int(digits) >= limit:
        _raise_not_an_integer(f"{path}:{line}:{column}", f" below {limit}", word)
    return int(digits)


def _raise_not_an_integer(place: str, bound: str, word: bytes) -> NoReturn:
    text = word.decode("utf-8", errors="replace")
    shown = text if len(text) <= 40 else text[:37] + "..."
    raise DataError(f"{place}: expected a non-negative integer{bound}, got {shown!r}")


def parse_raw_ids(content: bytes, path: Path) -> IdList:
    """Return the ids of a text: integers if all are integers, else strings.

    Raises:
        DataError: If a line is not an id or repeats one; the message starts with
            ``path:line``.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: expected text in UTF-8") from None
    texts = [line.removesuffix("\r") for line in lines]
    while texts and not texts[-1]:
        texts.pop()
    _check_unique_ids(texts, path)
    if texts and all(map(is_integer_id, texts)):
        return np.array(list(map(int, texts)), dtype=np.int64)
    return texts


def _parse_id_list(content: bytes, path: Path) -> IdList:
    """Return the ids of a LightGCN list, whose header is ``org_id remap_id``."""
    lines = _lines(content.removeprefix(_BOM))
    _, head = next(lines, (1, []))
    names = [word for _, word in head]
    if not {b"org_id", b"remap_id"} <= set(names):
        raise DataError(f"{path}:1: expected a header with org_id and remap_id")
    original, row = names.index(b"org_id"), names.index(b"remap_id")
    ids: dict[int, bytes] = {}
    for line, words in lines:
        if len(words) <= max(original, row):
            raise DataError(f"{path}:{line}: expected {len(names)} values")
        column, word = words[row]
        number = _number(word, path, line, column, MAX_ROWS)
        if number in ids:
            raise DataError(f"{path}:{line}: expected each id once, got {number} twice")
        ids[number] = words[original][1]
    if ids.keys() != set(range(len(ids))):
        raise DataError(f"{path}: expected the ids 0 to {len(ids) - 1} in remap_id")
    return parse_raw_ids(b"\n".join(ids[n] for n in range(len(ids))), path)


def _check_unique_ids(texts: list[str], path: Path) -> None:
    if len(set(texts)) == len(texts) and all(map(is_printable_id, texts)):
        return
    seen: set[str] = set()
    for line, text in enumerate(texts, start=1):
        if not is_printable_id(text) or text in seen:
            raise DataError(f"{path}:{line}: expected a unique id, got {text[:40]!r}")
        seen.add(text)


def is_integer_id(text: str) -> bool:
    """Return whether a text is an integer from 0 to 2**63 - 1 without leading zeros."""
    return bool(_INTEGER.fullmatch(text)) and int(text) < 2**63


def is_printable_id(text: str) -> bool:
    """Return whether a text is not empty and has no control character."""
    return bool(text) and not _CONTROL.search(text)


def take_ids(ids: IdList, rows: IntArray) -> IdList:
    """Return the raw ids of the given rows."""
    return ids[rows] if isinstance(ids, np.ndarray) else [ids[row] for row in rows]


def raw_ids_text(ids: IdList) -> str:
    """Return raw ids as text, one per line."""
    return "".join(f"{raw_id}\n" for raw_id in ids)
