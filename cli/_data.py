"""Output of ``advnce data``: profiles and split folders."""

import shlex
from collections.abc import Mapping
from typing import Any

from pyg_advinfonce.datasets import Profile, SplitProfile
from pyg_advinfonce.datasets.splits import SplitFolder
from pyg_advinfonce.errors import counted
from pyg_advinfonce.progress import wrapped
from pyg_advinfonce.studies import setting_text

from .console import aligned


def profile_table(profile: Profile) -> str:
    """Return overall counts, then one row per split, then the degrees."""
    splits = profile["splits"]
    tables = [_splits(splits), _degrees(splits, "user"), _degrees(splits, "item")]
    parts = [_overall(profile), *(aligned(table) for table in tables)]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _overall(profile: Profile) -> list[str]:
    overlaps = (f"{name} {n:,}" for name, n in profile["overlaps"].items())
    rows = {
        "data": profile["fingerprint"],
        "folder": profile["folder"] or "none",
        "licence": wrapped(str(profile["licence"] or "unknown"), indent=12),
        "candidates": f"{profile['candidate_items']:,} of "
        f"{counted(profile['items'], 'item')}",
        **_odd(profile),
        "seen": f"{counted(profile['seen'], 'further pair')}, left out of lists",
        "overlaps": ", ".join(overlaps) or "none",
        "duplicates": f"{profile['duplicates_merged']:,} merged",
    }
    return [f"{name:<12}{text}" for name, text in rows.items()]


def _odd(profile: Profile) -> dict[str, str]:
    """Return rows about users and items without train pairs or without negatives."""
    numbers = (
        profile["users_without_train"],
        profile["items_without_train"],
        profile["users_with_all_items"],
    )
    users, items, whole = (number or 0 for number in numbers)
    if None in numbers:
        is_whole = list(profile["splits"]) == ["all"]
        return {"train": "not split yet" if is_whole else "missing"}
    return {
        "no train": f"{counted(users, 'user')}, {counted(items, 'item')}",
        "all items": counted(whole, "user"),
    }


def _splits(splits: Mapping[str, SplitProfile]) -> list[list[str]]:
    head = ["split", "pairs", "density", "users", "items", "cold users", "cold items"]
    rows = [[*head, "duplicates"]]
    for name, split in splits.items():
        users, items = split["user_degrees"]["count"], split["item_degrees"]["count"]
        counts = [f"{users:,.0f}", f"{items:,.0f}"]
        cold = [_count(split["cold_users"]), _count(split["cold_items"])]
        size = [f"{split['pairs']:,}", f"{split['density']:.3%}"]
        rows.append([name, *size, *counts, *cold, f"{split['duplicates_merged']:,}"])
    return rows


def _degrees(splits: Mapping[str, SplitProfile], node: str) -> list[list[str]]:
    """Return the degrees of the users or items that occur in each split."""
    found = {
        name: split["user_degrees"] if node == "user" else split["item_degrees"]
        for name, split in splits.items()
    }
    columns = [key for key in next(iter(found.values())) if key != "count"]
    rows = [[f"{node} degrees", *columns]]
    for name, degrees in found.items():
        rows.append([name, *(_short(degrees[key]) for key in columns)])
    return rows


def _short(number: float) -> str:
    return f"{number:,.2f}".rstrip("0").rstrip(".")


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def split_text(folder: SplitFolder) -> str:
    """Return counts, options and fingerprint of the splits, and the next command."""
    manifest = folder.manifest
    counts = ", ".join(f"{name} {n:,}" for name, n in manifest["counts"].items())
    options = " ".join(
        f"{key}={_option_text(v)}" for key, v in manifest["options"].items()
    )
    state = "written" if folder.is_new else "exists already with the same options"
    command = shlex.join(["advnce", "train", "lightgcn", "--data", str(folder.path)])
    return "\n".join(
        [
            f"{folder.path}: {state}",
            f"counts   {counts}",
            f"rows     {_rows(manifest)}",
            f"made     {options}, fingerprint {manifest['fingerprint']}",
            f"next     {command}",
        ]
    )


def _rows(manifest: Mapping[str, Any]) -> str:
    """Return the numbers of rows by outcome, or of merged rows without tables."""
    counts = manifest.get("rows")
    if not counts:
        return f"{sum(manifest['duplicates_merged'].values()):,} repeated"
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())


def _option_text(value: object) -> str:
    """Return an option's value as on the command line."""
    if isinstance(value, list):
        return ",".join(map(_option_text, value))
    return setting_text(value, digits=6)
