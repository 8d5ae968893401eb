"""A folder of splits as a few lines for a person."""

import shlex

from pyg_advinfonce.config import Train, small_batch_size
from pyg_advinfonce.datasets.splits.split_folder import SplitFolder


def report(folder: SplitFolder) -> str:
    """Return counts, how the splits were made, and what to do with them."""
    record = folder.record
    counts = ", ".join(f"{name} {n:,}" for name, n in record["counts"].items())
    options = " ".join(f"{key}={_text(v)}" for key, v in record["options"].items())
    repeated = sum(record["duplicates_merged"].values())
    state = "written" if folder.is_new else "there already, made alike"
    words = ["train", "lightgcn", "--data", str(folder.path)]
    command = shlex.join(["advnce", *words, *_batches(record["counts"]["train"])])
    return "\n".join(
        [
            f"{folder.path}: {state}",
            f"counts   {counts}",
            f"repeated {repeated:,} rows merged",
            f"made     {options}, fingerprint {record['fingerprint']}",
            f"next     {command}",
        ]
    )


def _batches(pairs: int) -> list[str]:
    """Return the setting with which so few train pairs fill some batches."""
    if pairs >= Train().batch_size:
        return []
    return ["--set", f"train.batch_size={small_batch_size(pairs)}"]


def _text(value: object) -> str:
    """Return an option's value as it is typed."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
