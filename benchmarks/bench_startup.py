"""Time how soon the command line answers: help, lists and usage errors.

    python benchmarks/bench_startup.py [--runs 5] [--only show]

Each command runs in a process of its own, in a folder with one run. The table holds the
medians, and the largest of torch and torch_geometric that a command imports. On a quiet
machine a command without torch_geometric answers within a second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median

from timing import print_table
from typer.core import TyperGroup
from typer.main import get_command

ANSWERS = [
    "--version",
    "ls",
    "ls runs",
    "ls losses",
    "show run",
    "settings",
    "settings mf --loss bpr --toml",
    "data list",
    "data verify coat",
    "data fetch coat --offline",
]
ERRORS = [
    "trian",
    "train lightgnc",
    "train lightgcn --loss advinfonce",
    "train lightgcn --data coatt",
    "train lightgcn --set loss.tua=0.2",
    "train lightgcn --set loss.tau=-1",
    "train lightgcn --epochs many",
    "train lightgcn --config missing.toml",
    "train lightgcn --seeds 4-1",
    "train missing_module:build",
    "train lightgcn --resume missing",
    "tune mf --space missing.toml",
    "evaluate missing",
    "recommend missing --users all",
    "export missing --out x.npz",
    "show missing",
    "compare run",
    "compare run missing",
    "report missing",
    "reproduce table99",
]


def helps(group: TyperGroup, words: str = "") -> Iterator[str]:
    """Yield ``VERB --help`` of all verbs."""
    yield f"{words}--help"
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from helps(command, f"{words}{name} ")
        else:
            yield f"{words}{name} --help"


def timed(words: str, folder: Path, *flags: str) -> tuple[float, float, str]:
    """Run a command; return its wall and CPU seconds, and its standard error."""
    command = [sys.executable, *flags, "-m", "pyg_advinfonce.cli", *words.split()]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - started, os.times()
    if "Traceback" in done.stderr:
        sys.exit(f"{words}: {done.stderr}")
    user = after.children_user - before.children_user
    return wall, user + after.children_system - before.children_system, done.stderr


def loaded(words: str, folder: Path) -> str:
    """Return the largest package that a command imports."""
    _, _, imports = timed(words, folder, "-X", "importtime")
    names = {line.rpartition("|")[2].strip() for line in imports.splitlines()}
    return next((name for name in ("torch_geometric", "torch") if name in names), "")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the commands")
    args = parser.parse_args()
    (verbs,) = entry_points(group="console_scripts", name="advnce")
    group = get_command(import_module(verbs.module).app)
    assert isinstance(group, TyperGroup)
    commands = [c for c in (*helps(group), *ANSWERS, *ERRORS) if args.only in c]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        timed("train popularity --out run --quiet", here)
        for words in commands:
            walls, cpus, _ = zip(
                *(timed(words, here) for _ in range(args.runs)), strict=True
            )
            times = f"{median(walls):.2f}", f"{median(cpus):.2f}"
            rows.append([f"`{words}`", *times, loaded(words, here)])
            print(f"{len(rows)} of {len(commands)}", end="\r", file=sys.stderr)
    print_table(["`advnce`", "wall s", "CPU s", "loads"], rows)


if __name__ == "__main__":
    main()
