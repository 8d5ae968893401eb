"""A folder of splits as a few lines for a person."""

import shlex

from pyg_advinfonce.datasets.splits.split_folder import SplitFolder


def report(folder: SplitFolder) -> str:
    """Return counts, how the splits were made, and what to do with them."""
    record = folder.record
    counts = ", ".join(f"{name} {n:,}" for name, n in record["counts"].items())
    options = " ".join(f"{key}={_text(v)}" for key, v in record["options"].items())
    repeated = sum(record["duplicates_merged"].values())
    state = "written" if folder.is_new else "there already, made alike"
    command = shlex.join(["advnce", "train", "lightgcn", "--data", str(folder.path)])
    return "\n".join(
        [
            f"{folder.path}: {state}",
            f"counts   {counts}",
            f"repeated {repeated:,} rows merged",
            f"made     {options}, fingerprint {record['fingerprint']}",
            f"next     {command}",
        ]
    )


def _text(value: object) -> str:
    """Return an option's value as it is typed."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
