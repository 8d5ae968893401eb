"""The worked example of CONTRIBUTING.md: one file, two lines, one row."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^   ```python\n(.*?)^   ```", re.MULTILINE | re.DOTALL)
CONTRACTS = (
    "tests/losses/test_contract.py",
    "tests/methods/test_device.py",
    "tests/test_batch.py",
    "tests/test_experiment.py",
    "tests/test_registry.py",
    "tests/training/test_trainer.py",
)


def blocks():
    """Return the example's code by the file that its first line names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = {}
    for block in BLOCK.findall(text):
        first, _, rest = dedent(block).partition("\n")
        found[first.removeprefix("# ")] = rest
    return found


def insert(file, before, text):
    """Insert text before the only place where a file has another text."""
    source = file.read_text(encoding="utf-8")
    assert source.count(before) == 1
    file.write_text(source.replace(before, text + before), encoding="utf-8")


@pytest.fixture
def project(tmp_path):
    """A copy of the project with the example in it."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("pyg_advinfonce", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    # In the copy the command line is an ordinary package.
    shutil.copytree(ROOT / "cli", tmp_path / "pyg_advinfonce" / "cli", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code = blocks()
    loss = tmp_path / "pyg_advinfonce/losses/hinge.py"
    loss.write_text(code.pop("pyg_advinfonce/losses/hinge.py"), encoding="utf-8")
    line = code.pop("pyg_advinfonce/registry.py")
    assert line.count("\n") == 1
    insert(tmp_path / "pyg_advinfonce/registry.py", '    "infonce": Entry(', line)
    face = tmp_path / "pyg_advinfonce/losses/__init__.py"
    insert(
        face,
        "from pyg_advinfonce.losses.infonce",
        code.pop(face.relative_to(tmp_path).as_posix()),
    )
    insert(face, '    "InfoNCE",\n', '    "Hinge",\n')
    naive, row = code.pop("tests/cases.py").rsplit("\n\n\n", 1)
    cases = tmp_path / "tests/cases.py"
    insert(cases, "CASES = (\n", naive.strip() + "\n\n\n")
    insert(cases, '    Case("infonce", by_info_nce),\n', row)
    assert not code
    return tmp_path


def run(project, *words):
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_trains_and_passes_its_contract_tests(project):
    words = ["train", "mf", "--loss", "hinge", "--set", "loss.margin=0.5"]
    trained = run(project, "pyg_advinfonce.cli.main", *words, "--epochs", "1", "--json")
    assert trained.returncode == 0, trained.stderr
    assert '"loss": "hinge"' in trained.stdout
    tested = run(project, "pytest", "-q", "-k", "hinge", *CONTRACTS)
    assert tested.returncode == 0, tested.stdout
    passed = int(re.search(r"(\d+) passed", tested.stdout).group(1))
    assert passed > 25
