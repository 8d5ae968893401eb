"""Writing splits to a folder, with the record of how they were made."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.datasets.base import (
    ITEM_IDS,
    NOT_CANDIDATE,
    USER_IDS,
    Ids,
    SplitPairs,
    raw_ids_text,
)
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.files import writing

FORMAT_VERSION = 1

RECORD = "split.json"
"""The file that says how a folder's splits were made."""

END = "choose another --out, or --overwrite"


@dataclass(frozen=True)
class SplitSpec:
    """How splits are made.

    Args:
        source: The sha256 of each file they are made from, by what it holds.
        options: All that decides the outcome, in what JSON has.
    """

    source: Mapping[str, str]
    options: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The start of the spec's sha256."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "format": FORMAT_VERSION,
            "source": dict(self.source),
            "options": dict(self.options),
        }


@dataclass(frozen=True)
class SplitFolder:
    """A folder of split files that is there.

    Args:
        path: The folder.
        record: What its ``split.json`` says: spec, counts and the files' hashes.
        is_new: Whether it was made just now.
    """

    path: Path
    record: Mapping[str, Any]
    is_new: bool

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {"folder": str(self.path), "is_new": self.is_new, **self.record}


def make_split_folder(
    path: Path,
    spec: SplitSpec,
    build: Callable[[], SplitPairs],
    *,
    overwrite: bool = False,
) -> SplitFolder:
    """Write splits, or use those that the same options have written.

    The folder is written beside its place first: it is there as a whole or not at all.

    Args:
        path: The folder.
        spec: How the splits are made.
        build: Makes them.
        overwrite: Whether a folder of splits by other options is replaced.

    Raises:
        ConfigError: If the folder holds anything else, or cannot be written.
    """
    with writing(path, "choose another --out"):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            record = _read_record(path)
            if record["fingerprint"] == spec.fingerprint and _is_whole(path, record):
                return SplitFolder(path, record, is_new=False)
            if not overwrite:
                raise ConfigError(_difference(path, record, spec))
    splits = build()
    with writing(path, "choose another --out"):
        return SplitFolder(path, _write(path, spec, splits, overwrite), is_new=True)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        found = dict(record, source=dict(record["source"]), files=dict(record["files"]))
        found["options"], _ = dict(record["options"]), record["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{path} exists and is no folder of splits, it has no {RECORD}: choose "
            "another --out"
        ) from None
    return found


def _is_whole(path: Path, record: Mapping[str, Any]) -> bool:
    return all(
        (path / name).is_file()
        and sha256((path / name).read_bytes()).hexdigest() == digest
        for name, digest in record["files"].items()
    )


def _difference(path: Path, record: Mapping[str, Any], spec: SplitSpec) -> str:
    """Say how the splits that are there differ from those that were asked for."""
    there, asked = record["options"], json.loads(json.dumps(dict(spec.options)))
    keys = [k for k in {**there, **asked} if there.get(k) != asked.get(k)]
    if keys:
        made, wanted = _said(there, keys), _said(asked, keys)
        return f"{path} holds splits made with {made}, not with {wanted}: {END}"
    if record["source"] != dict(spec.source):
        return f"{path} holds splits of another source, or of its older content: {END}"
    return f"{path} holds splits that were changed since they were made: {END}"


def _said(options: Mapping[str, Any], keys: Iterable[str]) -> str:
    return ", ".join(
        f"{key}={options[key]!r:.80}" if key in options else f"no {key}" for key in keys
    )


def _write(
    path: Path, spec: SplitSpec, splits: SplitPairs, overwrite: bool
) -> dict[str, Any]:
    files = {name: text.encode() for name, text in split_texts(splits).items()}
    record = {
        "fingerprint": spec.fingerprint,
        **spec.as_dict(),
        "counts": {
            "users": splits.num_users,
            "items": splits.num_items,
            **{name: pairs.shape[1] for name, pairs in splits.pairs.items()},
        },
        "duplicates_merged": splits.duplicates,
        "files": {name: sha256(text).hexdigest() for name, text in files.items()},
    }
    files[RECORD] = (json.dumps(record, indent=2) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".advnce-", dir=path.parent) as unfinished:
        folder = Path(unfinished) / "splits"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_bytes(text)
        if path.exists():
            if not overwrite and any(path.iterdir()):
                raise ConfigError(f"{path} has been written by another process: {END}")
            shutil.move(path, Path(unfinished) / "replaced")
        folder.rename(path)
    return record


def split_texts(splits: SplitPairs) -> dict[str, str]:
    """Return the text of each file of a folder of splits."""
    texts = {f"{name}.txt": _pairs_text(p) for name, p in splits.pairs.items()}
    if splits.user_ids is not None:
        texts[USER_IDS] = raw_ids_text(splits.user_ids)
    if splits.item_ids is not None:
        texts[ITEM_IDS] = raw_ids_text(splits.item_ids)
    if splits.candidate_mask is not None:
        texts[NOT_CANDIDATE] = raw_ids_text(np.flatnonzero(~splits.candidate_mask))
    return texts


def _pairs_text(pairs: Ids) -> str:
    """Return ``user item item ...``, one user a line."""
    users, starts = np.unique(pairs[0], return_index=True)
    items = np.split(pairs[1], starts[1:])
    return "".join(
        f"{user} {' '.join(map(str, mine.tolist()))}\n"
        for user, mine in zip(users.tolist(), items, strict=True)
    )
