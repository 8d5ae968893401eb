"""What is there without the optional packages, and what says which one is missing."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
NEEDS = {
    "tune": ("optuna", ["tune", "mf", "--trials", "1"]),
    "plot": ("matplotlib", ["report", "run"]),
    "data": ("pyarrow", ["data", "split", "log.parquet", "--out", "made"]),
    "ann": ("faiss", ["export", "run", "--to", "faiss", "--out", "made"]),
    "onnx": ("onnx", ["export", "run", "--to", "onnx", "--out", "made"]),
    "track": ("tensorboard", ["train", "mf", "--track", "tensorboard"]),
    "wandb": ("wandb", ["train", "mf", "--track", "wandb"]),
    "mlflow": ("mlflow", ["train", "mf", "--track", "mlflow"]),
}
WITHOUT = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys({packages}))
from pyg_advinfonce.cli.main import main
for words in {commands}:
    sys.argv, said, code = ["advnce", *words], io.StringIO(), 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    print(json.dumps([code, said.getvalue()]))
"""


def run_without(packages, commands):
    """Run commands in a process that cannot import some packages."""
    script = WITHOUT.format(packages=packages, commands=commands)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_extra_that_a_user_may_miss_has_a_row():
    extras = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    assert set(NEEDS) == set(extras["optional-dependencies"]) - {
        *("sparse", "test", "docs", "dev", "all"),
    }


def test_without_any_extra_the_core_works_and_the_rest_says_what_is_missing(folder):
    folder.joinpath("log.parquet").write_bytes(b"PAR1")
    train = ["train", "mf", "--epochs", "1", "--quiet", "--out", "run"]
    core = [train, ["evaluate", "run"], ["data", "describe", "simulated:coat"]]
    packages = [package for package, _ in NEEDS.values()]
    packages += ["torch_sparse", "torch_scatter"]
    found = run_without(packages, core + [words for _, words in NEEDS.values()])
    assert [code for code, _ in found] == [0] * len(core) + [2] * len(NEEDS)
    for extra, (_, said) in zip(NEEDS, found[len(core) :], strict=True):
        (line,) = said.splitlines()
        assert line.endswith(f"pip install 'pyg-advinfonce[{extra}]'")
    assert {path.name for path in folder.iterdir()} == {"log.parquet", "run"}


def test_lists_and_usage_errors_need_neither_torch_nor_pandas(folder):
    lists = ["ls", "settings", "data list"]
    errors = [
        *("ls runs", "show run", "evaluate run", "recommend run --users all"),
        *("export run --out made.npz", "report run", "compare run", "compare a b"),
        *("train mff", "train mf --set loss.tua=1", "train mf --config no.toml"),
        *("train --resume run", "train --refit run", "tune mf --space no.toml"),
        *("reproduce tabel4", "data verify coat", "settings mff"),
    ]
    packages = ["torch", "torch_geometric", "pandas", "scipy"]
    found = run_without(packages, [words.split() for words in lists + errors])
    assert [code for code, _ in found] == [0] * len(lists) + [2] * len(errors)
    assert all(said.startswith("advnce: ") for _, said in found[len(lists) :])
