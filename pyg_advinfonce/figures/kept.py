"""Tables of trainings that are kept by what they are, and found again."""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pandas as pd

from pyg_advinfonce.whole_file import write_text


def kept(
    folder: Path | None,
    key: Sequence[object],
    make: Callable[[], pd.DataFrame],
) -> pd.DataFrame:
    """Return a table that is there, or make it and keep it.

    Args:
        folder: Where tables are kept; None keeps none.
        key: All that decides what is in it, in what JSON has.
        make: Makes it; its index is not kept.
    """
    if folder is None:
        return make()
    digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = folder / f"{digest[:16]}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(make().to_dict("list")))
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
