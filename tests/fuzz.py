"""Damaged files, read as a user's command reads them: refused in one line, or read.

``python -m tests.fuzz --inputs 50000 --seed 0`` prints a table of what happened;
``--only 1234`` repeats one input. An input depends on the seed and its number alone.
"""

import argparse
import contextlib
import csv
import faulthandler
import io
import json
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import tomllib
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
import torch
from pyg_advinfonce.cli.main import app

from pyg_advinfonce.config import Config, flatten
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.errors import AdvInfoNCEError
from pyg_advinfonce.experiment import train
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.studies.paper.figures import hardness_by_popularity
from pyg_advinfonce.training import read_tensors, write_tensors
from tests.custom_models import Hinge, build

SECONDS = 60.0
"""The deadline of one input."""

MEMORY = 8 * 2**30
"""What the process may take besides, so that no input takes the machine's memory."""

SETTINGS = {
    "model": {"dim": 4, "num_layers": 1},
    "loss": {"adversary_every": 1, "adversary_first": 0, "adversary_epochs": 2},
    "train": {"batch_size": 64, "epochs": 2, "eval_every": 1, "num_negatives": 3},
}
CUSTOM = SETTINGS | {"model": {"dim": 4}, "loss": {}}
STUDY = {
    "model": {"dim": 4},
    "train": {"batch_size": 64, "epochs": 2, "eval_every": 1},
}

NAMES = "user,item,rating,time"
BARE = (".data", ".dat")
"""The tables without a header."""

Draw = random.Random
Reader = Callable[[Path], object]


class HangError(BaseException):
    """The deadline of an input has passed; no ``except Exception`` catches it."""


# Mutations of bytes and of values.

PIECES = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"9" * 400, b"1" * 5000),
    *(b"\xff\xfe", b"\x00", b'"', b"'", b"{", b"}", b"[", b"]", b",", b"\n", b"\r"),
    *(b"[" * 100_000, b'{"a":' * 5000, b"null", b"true", b"\xed\xa0\x80", b"\xef\xbb"),
    *("\u0660é\u2028".encode(), b"=", b"#", b"0x1F", b"1_000", b"1e5", b" ", b"\t"),
)
DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
ODD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 10**6, 2**63, 10**30, 10**400, 0.5, -0.0),
    *(1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), "", "x", "1"),
    *("../../etc/passwd", "\x00", "é\u2028", "a" * 3000, [], [1], ["x"], [None], {}),
    *({"a": 1}, {"": None}, [[1]], DEEP, "nan", "None", "simulated", "inf"),
)


def mutated_bytes(content: bytes, draw: Draw) -> bytes:
    """Flip bits, cut, insert, repeat or drop a line."""
    found = bytearray(content)
    place = draw.randrange(len(found) + 1)
    span = draw.choice((1, 2, 4, 16, 100))
    match draw.randrange(8):
        case 0 | 1 if found:
            for _ in range(draw.choice((1, 1, 2, 8))):
                found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
        case 2:
            del found[place:]
        case 3:
            del found[place : place + span]
        case 4:
            found[place:place] = draw.choice(PIECES)
        case 5:
            found[place : place + span] = draw.choice(PIECES)
        case 6:
            found[place:place] = found[max(0, place - span) : place]
        case _:
            lines = content.splitlines(keepends=True) or [b""]
            line = draw.randrange(len(lines))
            if draw.random() < 0.5:
                lines.insert(draw.randrange(len(lines) + 1), lines[line])
            else:
                del lines[line]
            return b"".join(lines)
    return bytes(found)


def mutated_value(value: Any, draw: Draw) -> Any:
    """Change a value at a random place of nested lists and objects."""
    places = [*_places(value)]
    if not places or draw.random() < 0.02:
        return draw.choice(ODD)
    holder, key = draw.choice(places)
    old = holder[key]
    match draw.randrange(10):
        case 0 | 1:
            del holder[key]
        case 2:
            holder[key] = [old]
        case 3:
            holder[key] = str(old)
        case 4 if isinstance(old, str):
            with contextlib.suppress(ValueError):
                holder[key] = float(old)
        case 5 if isinstance(holder, list):
            holder.insert(key, old)
        case 6 if isinstance(holder, dict):
            holder[draw.choice(("x", "", "é", *holder, *RESERVED))] = old
        case _:
            holder[key] = draw.choice(ODD)
    return value


RESERVED = ("root", "cache_dir", "path", "name", "data", "graph", "device", "dim")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value if isinstance(value, dict) else range(len(value))
    for key in [*keys] if isinstance(value, dict | list) else ():
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


# One mutation per kind of file: it changes a file in place.

Mutate = Callable[[Path, Draw], None]


def by_bytes(path: Path, draw: Draw) -> None:
    path.write_bytes(mutated_bytes(path.read_bytes(), draw))


def by_json(path: Path, draw: Draw) -> None:
    found = mutated_value(json.loads(path.read_text("utf-8")), draw)
    path.write_text(json.dumps(found), "utf-8")


def by_json_line(path: Path, draw: Draw) -> None:
    lines = path.read_text("utf-8").splitlines()
    place = draw.randrange(len(lines))
    lines[place] = json.dumps(mutated_value(json.loads(lines[place]), draw))
    path.write_text("\n".join(lines) + "\n", "utf-8")


def by_toml(path: Path, draw: Draw) -> None:
    found = tomllib.loads(path.read_text("utf-8"))
    if draw.random() < 0.2:  # what only a caller may say
        section = draw.choice([*found])
        found[section][draw.choice(RESERVED)] = draw.choice(ODD[1:])
    else:
        found = mutated_value(found, draw)
    with contextlib.suppress(TypeError, AttributeError):  # TOML has no null
        path.write_text(tomli_w.dumps(found), "utf-8")


def by_cell(path: Path, draw: Draw) -> None:
    rows = [*csv.reader(io.StringIO(path.read_text("utf-8")))]
    row = draw.choice(rows)
    row[draw.randrange(len(row))] = str(draw.choice(ODD))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue(), "utf-8", errors="replace")


def by_token(path: Path, draw: Draw) -> None:
    lines = path.read_text("utf-8").split("\n")
    place = draw.randrange(len(lines))
    words = lines[place].split(" ")
    words[draw.randrange(len(words))] = str(draw.choice(ODD))
    lines[place] = " ".join(words)
    path.write_text("\n".join(lines), "utf-8", errors="replace")


def by_tensor(path: Path, draw: Draw) -> None:
    """Change what a file with a checksum says, and the checksum with it."""
    tensors, about = read_tensors(path)
    if about and draw.random() < 0.5:
        about = mutated_value(about, draw)
        write_tensors(path, tensors, about)
        return
    name = draw.choice([*tensors])
    value = tensors[name]
    match draw.randrange(10):
        case 0:
            del tensors[name]
        case 1:
            tensors[draw.choice(("x", f"{name}x", "phase/0/x", *tensors))] = (
                value.clone()
            )
        case 2:
            kind = draw.choice((torch.int64, torch.float64, torch.bool, torch.half))
            tensors[name] = value.to(kind)
        case 3:
            tensors[name] = value.reshape(-1).clone()
        case 4:
            tensors[name] = torch.cat([value.reshape(-1), value.reshape(-1)[:1]])
        case 5:
            tensors[name] = value.new_zeros(draw.choice(((), (0,), (1, 1, 1), (7, 4))))
        case 6:
            tensors[name] = value.to(torch.complex64)
        case _:
            odd = draw.choice((float("nan"), float("inf"), -1.0, 1e30, 0.0))
            if value.is_floating_point():
                value.view(-1)[draw.randrange(value.numel() or 1)] = odd
    write_tensors(path, tensors, about)


def by_array(path: Path, draw: Draw) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    name = draw.choice([*arrays])
    match draw.randrange(7):
        case 0:
            del arrays[name]
        case 1:
            kind = draw.choice(("U9", "f2", "c8", "M8[s]", "?", "u1", "S3", "f8"))
            arrays[name] = arrays[name].astype(kind)
        case 2:
            arrays[name] = arrays[name][:-1]
        case 3:
            arrays[name] = arrays[name][None]
        case 4:
            arrays[name] = np.zeros((), arrays[name].dtype)
        case 5:
            arrays["../x"] = arrays.pop(name)
        case _:
            arrays[name] = arrays[name].astype(float)
            arrays[name][0] = draw.choice((np.nan, np.inf, -1.0, 1e300))
    np.savez_compressed(path, **arrays)


def by_sql(path: Path, draw: Draw) -> None:
    """Change a cell, or drop a row or a table, of a whole database."""
    base = sqlite3.connect(path)
    with contextlib.closing(base), base, contextlib.suppress(sqlite3.Error):
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        filled = [
            table
            for (table,) in base.execute(names).fetchall()
            if base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        ]
        table = draw.choice(filled)
        columns = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
        rows = [r[0] for r in base.execute(f"SELECT rowid FROM {table}").fetchall()]
        row, column = draw.choice(rows), draw.choice(columns)
        base.execute("PRAGMA ignore_check_constraints = ON")
        match draw.randrange(10):
            case 0:
                base.execute(f"DELETE FROM {table} WHERE rowid = {row}")
            case 1:
                base.execute(f"DROP TABLE {table}")
            case _:
                [[old]] = base.execute(
                    f"SELECT {column} FROM {table} WHERE rowid = {row}"
                )
                odd: Any = draw.choice((None, -1, 0, 2**62, 1e308, "x", "", b"\xff"))
                if isinstance(old, str) and draw.random() < 0.7:
                    with contextlib.suppress(ValueError):
                        odd = json.dumps(mutated_value(json.loads(old), draw))
                base.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = {row}", [odd]
                )


# The readers: commands, and the functions below them where those are too slow.


def run_command(*words: object) -> str:
    """Run ``advnce`` in this process; return what it prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        app([str(word) for word in words], prog_name="advnce", standalone_mode=False)
    return said.getvalue()


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it is, how it is damaged and who reads it.

    Attributes:
        folder: The folder in the corpus that is copied for every input.
        files: The files that may be damaged, below the folder.
        mutate: The mutations besides those of bytes.
        readers: The readers of the folder, with their weights.
        sealed: Whether a checksum protects the bytes, so that a file that is read is
            the undamaged one.
        share: How often it is drawn, relative to the others; slow readers are rarer.
    """

    folder: str
    files: tuple[str, ...]
    mutate: tuple[Mutate, ...]
    readers: tuple[tuple[Reader, float], ...]
    sealed: bool = False
    share: int = 3


class Corpus:
    """Undamaged files of every kind, made once."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root, root / "cache"
        draw = np.random.default_rng(0)
        table = pd.DataFrame(
            {
                "user": draw.integers(0, 20, 200),
                "item": draw.integers(0, 30, 200),
                "rating": draw.integers(1, 6, 200),
                "time": draw.integers(0, 10**6, 200),
            }
        )
        self._tables(table)
        splits, csv_file = root / "split" / "data", root / "split" / "table.csv"
        csv_file.parent.mkdir()
        table.to_csv(csv_file, index=False)
        run_command("data", "split", csv_file, "--out", splits)
        self.data = root / "data"
        shutil.copytree(splits, self.data)
        self.table = root / "table.csv"
        shutil.copy(csv_file, self.table)
        dataset = load_dataset(str(self.data), cache_dir=self.cache)
        self._train(
            "run",
            Config.resolve("lightgcn", "adv", str(self.data), layers=[SETTINGS]),
            dataset,
        )
        self._train(
            "other",
            Config.resolve(
                "lightgcn", "bpr", str(self.data), layers=[SETTINGS | {"loss": {}}]
            ),
            dataset,
        )
        custom = {"model": build, "loss": Hinge}
        self._train(
            "custom",
            Config.resolve("mf", "bpr", str(self.data))
            .with_custom(**custom)
            .updated(CUSTOM),
            dataset,
            **custom,
        )
        shutil.copytree(root / "run", root / "begun")
        (root / "begun/seed-0/metrics.json").unlink()
        self.search(root / "study")
        self.figure = dict(
            seeds=[0],
            config=Config.load(root / "run/seed-0/config.toml"),
            device="cpu",
            epochs=2,
        )
        self.dataset = dataset
        hardness_by_popularity(dataset, runs=root / "figure", **self.figure)
        self.kinds = self._kinds()
        self._check()

    def _check(self) -> None:
        """Let every reader read the undamaged files."""
        for kind in self.kinds.values():
            for file in kind.files if kind.folder == "tables" else kind.files[:1]:
                for reader, _ in kind.readers:
                    with tempfile.TemporaryDirectory(dir=self.root) as place:
                        folder = Path(place, "x")
                        copied(self, kind, file, folder)
                        reader(folder)

    def _train(self, name: str, config: Config, dataset: Any, **custom: Any) -> None:
        folder = self.root / name / "seed-0"
        train(config, dataset, device="cpu", out=folder, **custom)

    def search(self, folder: Path) -> str:
        """Make or continue a study."""
        words = ["tune", "mf", "--loss", "infonce", "--data", self.data]
        for key, value in flatten(STUDY).items():
            words += ["--set", f"{key}={value}"]
        words += ["--out", folder, "--trials", 3, "--json"]
        return run_command(*words, "--cache-dir", self.cache, "--device", "cpu")

    def _tables(self, table: pd.DataFrame) -> None:
        folder = self.root / "tables"
        folder.mkdir()
        table.to_csv(folder / "a.csv", index=False)
        table.to_csv(folder / "a.tsv", index=False, sep="\t")
        table.to_csv(folder / "a.data", index=False, sep=" ", header=False)
        table.to_json(folder / "a.jsonl", orient="records", lines=True)
        table.to_parquet(folder / "a.parquet")
        names = {name: f"{name}:float" for name in ("rating", "time")}
        inter = table.rename(
            columns=names | {"user": "user_id:token", "item": "item_id:token"}
        )
        inter.to_csv(folder / "a.inter", index=False, sep="\t")
        lines = ["::".join(map(str, row)) for row in table.to_numpy().tolist()]
        (folder / "a.dat").write_text("\n".join(lines) + "\n")

    def _kinds(self) -> dict[str, Kind]:
        cache = ["--cache-dir", self.cache, "--device", "cpu"]
        data = ["--data-root", self.root]
        seed, other = "seed-0/", self.root / "other"

        def evaluate(folder: Path) -> str:
            said = run_command("evaluate", folder, "--json", *cache, *data)
            return said.replace(str(folder), "")

        def compare(folder: Path) -> str:
            return run_command("compare", other, folder, "--json")

        def report(folder: Path) -> str:
            return run_command("report", folder, *cache[:2], *data)

        def history(folder: Path) -> object:
            return [seed.history for seed in read_run(folder)]

        def resume(folder: Path) -> str:
            words = ["train", "--resume", folder, "--set", "train.epochs=3"]
            return run_command(*words, "--force", "--json", *cache, *data)

        def train_with(folder: Path) -> str:
            words = ["train", "lightgcn", "--loss", "adv", "--data", self.data]
            words += ["--epochs", 1, "--config", folder / "seed-0/config.toml"]
            return run_command(*words, "--out", folder / "new", "--json", *cache)

        def recommend(folder: Path) -> str:
            words = ["recommend", folder, "--users", "1", "--format", "jsonl"]
            return run_command(*words, *cache, *data)

        def best(folder: Path) -> str:
            words = ["train", "mf", "--loss", "infonce", "--data", self.data]
            words += ["--epochs", 1, "--config", folder / "best.toml"]
            return run_command(*words, "--out", folder / "new", "--json", *cache)

        def profile(folder: Path) -> str:
            return run_command("data", "describe", folder / "data", "--json")

        def load(folder: Path) -> object:
            data = load_dataset(str(folder / "data"), cache_dir=folder / "cache")
            return data.summary()

        def split(folder: Path) -> str:
            words = ["data", "split", folder / "table.csv", "--out", folder / "data"]
            return run_command(*words)

        def tables(folder: Path) -> object:
            [path] = folder.iterdir()
            extra = {"columns": NAMES} if path.suffix in BARE else {}
            found = load_dataset(str(path), cache_dir=folder / "cache", **extra)
            return found.summary()

        def split_table(folder: Path) -> str:
            [path] = folder.iterdir()
            words = ["data", "split", path, "--out", folder / "new", "--split", "time"]
            words += ["--columns", NAMES] if path.suffix in BARE else []
            return run_command(*words, "--positive-if", "rating >= 2")

        def cached(folder: Path) -> object:
            data = load_dataset(str(self.data), cache_dir=folder)
            return [data.fingerprint]

        def figure(folder: Path) -> object:
            return hardness_by_popularity(self.dataset, runs=folder, **self.figure)

        splits = tuple(f"data/{p.name}" for p in self.data.glob("*.txt"))
        a_cache = tuple(p.name for p in self.cache.iterdir())
        a_figure = tuple(p.name for p in (self.root / "figure").iterdir())
        a_table = tuple(p.name for p in (self.root / "tables").iterdir())
        run = ((evaluate, 2.0), (compare, 2.0), (resume, 1.0), (report, 0.1))
        return {
            "run: config.toml": Kind(
                "run",
                (seed + "config.toml",),
                (by_toml,),
                (*run, (train_with, 2.0), (recommend, 0.5)),
            ),
            "run: metrics.json": Kind("run", (seed + "metrics.json",), (by_json,), run),
            "run: history.jsonl": Kind(
                "run",
                (seed + "history.jsonl",),
                (by_json_line,),
                ((history, 1.0), (report, 0.05)),
            ),
            "run: state, bytes": Kind(
                "begun", (seed + "state.safetensors",), (), ((resume, 1.0),), True
            ),
            "run: state, tampered": Kind(
                "begun", (seed + "state.safetensors",), (by_tensor,), ((resume, 1.0),)
            ),
            "run: weights": Kind(
                "run",
                (seed + "weights.safetensors",),
                (by_tensor,),
                ((evaluate, 1.0), (recommend, 0.5)),
            ),
            "run: embeddings": Kind(
                "custom",
                (seed + "embeddings.safetensors",),
                (by_tensor,),
                ((evaluate, 1.0), (recommend, 0.5)),
            ),
            "run: per_user.npz": Kind(
                "run", (seed + "per_user.npz",), (by_array,), ((compare, 1.0),)
            ),
            "study: study.sqlite3": Kind(
                "study",
                ("study.sqlite3",),
                (by_sql, by_sql),
                ((self.search, 1.0),),
                share=1,
            ),
            "study: summary.json": Kind(
                "study", ("summary.json",), (by_json,), ((report, 1.0),), share=1
            ),
            "study: trials.csv": Kind(
                "study", ("trials.csv",), (by_cell,), ((report, 1.0),), share=1
            ),
            "study: best.toml": Kind(
                "study", ("best.toml",), (by_toml,), ((best, 1.0),)
            ),
            "study: cached figure": Kind(
                "figure", a_figure, (by_json,), ((figure, 1.0),)
            ),
            "split: files": Kind(
                "split", splits, (by_token, by_token), ((load, 2.0), (profile, 1.0))
            ),
            "split: split.json": Kind(
                "split", ("data/split.json",), (by_json,), ((split, 1.0),)
            ),
            "table": Kind(
                "tables", a_table, (by_token,), ((tables, 1.0), (split_table, 1.0))
            ),
            "data cache": Kind("cache", a_cache, (), ((cached, 1.0),), True),
        }


# Running.


@dataclass
class Tally:
    """What happened to the inputs of one kind."""

    inputs: int = 0
    refused: int = 0
    read: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass
class Outcome:
    """What happened to all inputs.

    Attributes:
        tallies: The counts by kind.
        failures: The numbers of the inputs that failed, by kind and reason.
        texts: The first traceback of each reason.
    """

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    failures: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, str] = field(default_factory=dict)

    def table(self) -> str:
        """Return the counts as a table."""
        head = ("kind", "inputs", "refused", "read", "traceback", "seconds")
        rows = [
            (name, t.inputs, t.refused, t.read, t.failed, t.seconds)
            for name, t in sorted(self.tallies.items())
        ]
        total = [sum(column) for column in list(zip(*rows, strict=True))[1:]]
        rows.append(("all", *total))
        lines = [f"{head[0]:<24}" + "".join(f"{name:>11}" for name in head[1:])]
        for name, *counts, seconds in rows:
            cells = "".join(f"{count:>11,}" for count in counts)
            lines.append(f"{name:<24}{cells}{seconds:>11.1f}")
        return "\n".join(lines)


def copied(corpus: Corpus, kind: Kind, name: str, folder: Path) -> Path:
    """Copy a kind's folder, of tables only the one; return the path of a file in it."""
    shutil.copytree(corpus.root / kind.folder, folder)
    for path in folder.iterdir() if kind.folder == "tables" else ():
        if path.name != name:
            path.unlink()
    return folder / name


def damaged(corpus: Corpus, kind: Kind, draw: Draw, folder: Path) -> Path:
    """Copy a kind's folder with one file damaged; return that file."""
    path = copied(corpus, kind, draw.choice(kind.files), folder)
    binary = path.suffix == ".parquet"
    options = [by_bytes] if binary else [by_bytes, *kind.mutate, *kind.mutate]
    for _ in range(draw.choice((1, 1, 1, 2))):
        with contextlib.suppress(Exception):
            draw.choice(options)(path, draw)  # the first may leave no such file
    return path


def run_inputs(
    corpus: Corpus, numbers: range, seed: int, say: Callable[[str], None] = print
) -> Outcome:
    """Damage, read and count the inputs of some numbers."""
    outcome = Outcome()
    names = [name for name, kind in corpus.kinds.items() for _ in range(kind.share)]
    undamaged: dict[tuple[str, int], object] = {}

    def on_alarm(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        for number in numbers:
            name = names[number % len(names)]
            kind, draw = corpus.kinds[name], Draw(f"{seed}:{number}")
            chosen = draw.choices(
                range(len(kind.readers)), [weight for _, weight in kind.readers]
            )[0]
            reader = kind.readers[chosen][0]
            tally = outcome.tallies[name]
            if kind.sealed and (name, chosen) not in undamaged:
                undamaged[name, chosen] = _read_whole(corpus, kind, reader)
            started = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=corpus.root) as place:
                folder = Path(place, "x")
                path = damaged(corpus, kind, draw, folder)
                whole = corpus.root / kind.folder / path.relative_to(folder)
                same = path.read_bytes() == whole.read_bytes()
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                faulthandler.dump_traceback_later(10 * SECONDS, exit=True)
                try:
                    found = reader(folder)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    if kind.sealed and not same:
                        _check_same(found, undamaged[name, chosen], folder)
                    tally.read += 1
                except AdvInfoNCEError as error:
                    tally.refused += 1
                    if not str(error).strip():
                        _fail(outcome, name, number, error)
                except (Exception, HangError) as error:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    tally.failed += 1
                    _fail(outcome, name, number, error)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    faulthandler.cancel_dump_traceback_later()
            tally.inputs += 1
            tally.seconds += time.perf_counter() - started
            if number % 1000 == 999:
                failed = sum(map(len, outcome.failures.values()))
                say(f"{number + 1:,} inputs, {failed} failed")
    finally:
        signal.signal(signal.SIGALRM, before)
    return outcome


def _read_whole(corpus: Corpus, kind: Kind, reader: Reader) -> object:
    with tempfile.TemporaryDirectory(dir=corpus.root) as place:
        folder = Path(place, "x")
        shutil.copytree(corpus.root / kind.folder, folder)
        return _plain(reader(folder), folder)


def _plain(found: object, folder: Path) -> object:
    """Return what a reader returned without what differs between two runs."""
    if not isinstance(found, str):
        return found
    about = json.loads(found.replace(str(folder), ""))
    return about.get("metrics", about)


def _check_same(found: object, expected: object, folder: Path) -> None:
    if _plain(found, folder) != expected:
        raise AssertionError("a damaged file was read as another content")


def _fail(outcome: Outcome, name: str, number: int, error: BaseException) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "pyg_advinfonce" in f.filename or "/cli/" in f.filename]
    frame = (own or frames)[-1]
    place = f"{Path(frame.filename).name}:{frame.name}"
    reason = f"{name}: {type(error).__name__} in {place}"
    outcome.failures[reason].append(number)
    text = "".join(traceback.format_exception(error))
    outcome.texts.setdefault(reason, text[-3000:])


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Limit memory and threads, and let no warning through."""
    threads, limits = torch.get_num_threads(), resource.getrlimit(resource.RLIMIT_AS)
    torch.set_num_threads(1)
    with contextlib.suppress(OSError):  # a system without such a file has no limit
        pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def main() -> int:
    """Run the inputs that the command names; 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="repeat the input of this number")
    asked = parser.parse_args()
    only, size = asked.only, asked.inputs
    numbers = range(size) if only is None else range(only, only + 1)
    with tempfile.TemporaryDirectory() as root, limited():
        outcome = run_inputs(
            Corpus(Path(root)),
            numbers,
            asked.seed,
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    for reason, found in sorted(outcome.failures.items()):
        print(f"{len(found)} x {reason}: inputs {found[:5]}")
        print(
            outcome.texts[reason]
            if only is not None
            else outcome.texts[reason].strip().splitlines()[-1][:300]
        )
    print(outcome.table())
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
