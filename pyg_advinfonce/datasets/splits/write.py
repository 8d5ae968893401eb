"""Split folders: files of pairs, and a manifest that records their origin."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, JsonValue

from pyg_advinfonce.datasets.base import (
    ITEM_IDS,
    NOT_CANDIDATE,
    SEEN,
    USER_IDS,
    IntArray,
    SplitPairs,
    begins,
    raw_ids_text,
)
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.files import file_sha256, writing
from pyg_advinfonce.schema import Count, FileData, read_json

FORMAT_VERSION = 1

MANIFEST = "split.json"
"""File name of a split folder's manifest."""

_BLOCK_PAIRS = 2**18

ADVICE = "choose another --out, or use --overwrite"


@dataclass(frozen=True)
class SplitSpec:
    """Specification of splits: source files and options.

    Args:
        source: The sha256 of each source file, by its role.
        options: All options that determine the splits, as JSON values.
    """

    source: Mapping[str, str]
    options: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The first 16 digits of the sha256 of the specification."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON values."""
        return {
            "format": FORMAT_VERSION,
            "source": dict(self.source),
            "options": dict(self.options),
        }


@dataclass(frozen=True)
class SplitFolder:
    """An existing folder of split files.

    Args:
        path: The folder.
        manifest: Content of ``split.json``: specification, counts and file hashes.
        is_new: Whether the call wrote the folder.
    """

    path: Path
    manifest: Mapping[str, Any]
    is_new: bool

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON values."""
        return {"folder": str(self.path), "is_new": self.is_new, **self.manifest}


def make_split_folder(
    path: Path,
    spec: SplitSpec,
    build: Callable[[], SplitPairs],
    *,
    overwrite: bool = False,
) -> SplitFolder:
    """Write splits, or reuse those of the same specification.

    The folder is written atomically.

    Args:
        path: The folder.
        spec: Specification of the splits.
        build: Returns the splits.
        overwrite: Whether splits of another specification are replaced.

    Raises:
        ConfigError: If the folder holds other files, or cannot be written.
    """
    with writing(path, "choose another --out"):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            manifest = read_manifest(path)
            if manifest["fingerprint"] == spec.fingerprint and _is_whole(
                path, manifest
            ):
                return SplitFolder(path, manifest, is_new=False)
            if not overwrite:
                raise ConfigError(_difference(path, manifest, spec))
    splits = build()
    with writing(path, "choose another --out"):
        return SplitFolder(path, _write(path, spec, splits, overwrite), is_new=True)


class Manifest(FileData):
    """The content of ``split.json``.

    Attributes:
        fingerprint: The fingerprint of the specification.
        source: The sha256 of each source file, by its role.
        options: All options that determine the splits.
        counts: The numbers of users, items and pairs.
        rows: The number of rows of the source by outcome.
        duplicates_merged: The number of merged pairs by split or table.
        files: The sha256 of each split file.
    """

    model_config = ConfigDict(extra="allow")

    fingerprint: str
    source: dict[str, str]
    options: dict[str, JsonValue]
    counts: dict[str, Count]
    rows: dict[str, Count]
    duplicates_merged: dict[str, Count]
    files: dict[Annotated[str, Field(pattern=r"^\w[\w.-]*$")], str]


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the content of a split folder's ``split.json``.

    Raises:
        ConfigError: If the folder has none, or it is damaged.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise ConfigError(
            f"{path} exists but is not a split folder, since it has no {MANIFEST}: "
            "choose another --out"
        )
    return read_json(file, Manifest, ConfigError).model_dump()


def _is_whole(path: Path, manifest: Mapping[str, Any]) -> bool:
    return all(
        (path / name).is_file() and file_sha256(path / name) == digest
        for name, digest in manifest["files"].items()
    )


def _difference(path: Path, manifest: Mapping[str, Any], spec: SplitSpec) -> str:
    """Return a message on how existing splits differ from the requested ones."""
    existing = manifest["options"]
    requested = json.loads(json.dumps(dict(spec.options)))
    keys = [k for k in {**existing, **requested} if existing.get(k) != requested.get(k)]
    if keys:
        made, wanted = _options_text(existing, keys), _options_text(requested, keys)
        return f"{path} holds splits made with {made}, not with {wanted}: {ADVICE}"
    if manifest["source"] != dict(spec.source):
        return f"{path} holds splits of another source or of its old content: {ADVICE}"
    return f"{path} holds splits that were modified after writing: {ADVICE}"


def _options_text(options: Mapping[str, Any], keys: Iterable[str]) -> str:
    return ", ".join(
        f"{key}={options[key]!r:.80}" if key in options else f"no {key}" for key in keys
    )


def _write(
    path: Path, spec: SplitSpec, splits: SplitPairs, overwrite: bool
) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "fingerprint": spec.fingerprint,
        **spec.as_dict(),
        "counts": {
            "users": splits.num_users,
            "items": splits.num_items,
            **{name: pairs.shape[1] for name, pairs in splits.pairs.items()},
            **({"seen": splits.seen.shape[1]} if splits.seen.size else {}),
        },
        "rows": dict(splits.rows),
        "duplicates_merged": splits.duplicates,
        "files": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".advnce-", dir=path.parent) as unfinished:
        folder = Path(unfinished) / "splits"
        folder.mkdir()
        for name, blocks in split_texts(splits).items():
            manifest["files"][name] = _write_text(folder / name, blocks)
        _write_text(folder / MANIFEST, [json.dumps(manifest, indent=2) + "\n"])
        if path.exists():
            if not overwrite and any(path.iterdir()):
                raise ConfigError(f"{path} was written by another process: {ADVICE}")
            shutil.move(path, Path(unfinished) / "replaced")
        folder.rename(path)
    return manifest


def _write_text(path: Path, blocks: Iterable[str]) -> str:
    """Write a text and return its sha256."""
    digest = sha256()
    with path.open("wb") as file:
        for block in blocks:
            content = block.encode()
            file.write(content)
            digest.update(content)
    return digest.hexdigest()


def split_texts(splits: SplitPairs) -> dict[str, Iterable[str]]:
    """Return the text of each split file, in blocks, by file name."""
    texts: dict[str, Iterable[str]] = {
        f"{name}.txt": _pairs_text(pairs) for name, pairs in splits.pairs.items()
    }
    if splits.seen.size:
        texts[SEEN] = _pairs_text(splits.seen)
    if splits.user_ids is not None:
        texts[USER_IDS] = [raw_ids_text(splits.user_ids)]
    if splits.item_ids is not None:
        texts[ITEM_IDS] = [raw_ids_text(splits.item_ids)]
    if splits.candidate_mask is not None:
        texts[NOT_CANDIDATE] = [raw_ids_text(np.flatnonzero(~splits.candidate_mask))]
    return texts


def _pairs_text(pairs: IntArray) -> Iterator[str]:
    """Yield lines ``user item item ...``, one per user, in blocks of users."""
    starts = np.flatnonzero(begins(pairs[0]))
    wanted = np.arange(0, pairs.shape[1], _BLOCK_PAIRS)
    cuts = np.unique(starts[np.searchsorted(starts, wanted, side="right") - 1])
    for block in np.split(pairs, cuts[1:], axis=1):
        yield _block_text(block)


def _block_text(pairs: IntArray) -> str:
    starts = np.flatnonzero(begins(pairs[0]))
    users, items = pairs[0, starts], np.split(pairs[1], starts[1:])
    return "".join(
        f"{user} {' '.join(map(str, mine.tolist()))}\n"
        for user, mine in zip(users.tolist(), items, strict=True)
    )
