"""What is shipped, what it is called, and what it says it needs."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pyg_advinfonce import __version__

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pyg_advinfonce"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]

# The extras that constraints.txt pins.
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
PINNED_EXTRAS = tuple(set(EXTRAS) - {"all"})

# An absolute path into a folder of one machine: no letter or dot stands before it.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|opt|home|tmp/dev)/")


def python_folders(folder: Path, name: str) -> dict[str, Path]:
    """Map package names to the folders below ``folder`` that hold Python files."""
    folders = {file.parent for file in folder.rglob("*.py")}
    return {
        ".".join((name, *found.relative_to(folder).parts)): found for found in folders
    }


PACKAGES = python_folders(PACKAGE, "pyg_advinfonce") | python_folders(
    ROOT / "cli", "pyg_advinfonce.cli"
)


def test_every_package_on_disk_is_listed_and_no_other():
    assert sorted(SETUPTOOLS["packages"]) == sorted(PACKAGES)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_folder_of_python_files_is_a_package(name):
    assert (PACKAGES[name] / "__init__.py").is_file()


def shipped_data() -> set[Path]:
    patterns = SETUPTOOLS["package-data"]["pyg_advinfonce"]
    return {file for pattern in patterns for file in PACKAGE.glob(pattern)}


@pytest.mark.parametrize("folder", ["config", "studies/tuning", "studies/paper"])
def test_every_file_of_settings_is_shipped(folder):
    files = set((PACKAGE / folder).rglob("*.toml"))
    assert files, f"there are no {folder}"
    assert files <= shipped_data()


def test_types_are_shipped():
    assert PACKAGE / "py.typed" in shipped_data()


def headings() -> list[str]:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert PYPROJECT["project"]["version"] == __version__
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]


def test_the_changelog_begins_with_unreleased_then_this_version():
    first, *released = headings()
    assert first == "Unreleased"
    assert released[:1] in ([], [__version__])


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def requirements() -> list[Requirement]:
    lines = [*PYPROJECT["project"]["dependencies"]]
    lines += [line for extra in sorted(PINNED_EXTRAS) for line in EXTRAS[extra]]
    return [Requirement(line) for line in lines]


def test_a_constraint_is_one_exact_public_version():
    exact = re.compile(r"==[^*+,]+")
    assert [
        str(p) for p in pins().values() if not exact.fullmatch(str(p.specifier))
    ] == []


def test_all_is_every_extra_but_those_of_developers_and_what_must_be_compiled():
    [every] = map(Requirement, EXTRAS["all"])
    assert canonicalize_name(every.name) == PYPROJECT["project"]["name"]
    assert every.extras == set(EXTRAS) - {"all", "test", "docs", "dev", "sparse"}


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_a_requirement_admits_the_version_that_ci_tests(requirement):
    [tested] = pins()[canonicalize_name(requirement.name)].specifier
    assert requirement.specifier.contains(tested.version)


def jobs_of_the_workflows() -> dict[str, dict[str, Any]]:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    return {
        f"{file.stem}/{name}": job
        for file in files
        for name, job in yaml.safe_load(file.read_text(encoding="utf-8"))[
            "jobs"
        ].items()
    }


def test_the_workflows_run_the_oldest_python_and_only_those_of_the_matrix():
    jobs = jobs_of_the_workflows()
    versions = jobs["tests/constraints"]["strategy"]["matrix"]["python"]
    assert PYPROJECT["project"]["requires-python"] == f">={versions[0]}"
    named = {
        (job, step["with"]["python-version"])
        for job, content in jobs.items()
        for step in content.get("steps", [])
        if step.get("uses", "").startswith("actions/setup-python@")
    }
    single = {pair for pair in named if pair[1] != "${{ matrix.python }}"}
    assert {job for job, _ in named - single} == {"tests/constraints"}
    assert {version for _, version in single} == {versions[0], versions[-1]}
    assert ("tests/lowest", versions[0]) in single
    assert ("tests/newest", versions[-1]) in single


def test_the_workflows_look_for_samplers_of_the_torch_that_is_installed():
    [step] = [
        step
        for step in jobs_of_the_workflows()["tests/constraints"]["steps"]
        if "PIP_FIND_LINKS" in step.get("env", {})
    ]
    [torch] = pins()["torch"].specifier
    assert f"/torch-{torch.version}+cpu.html" in step["env"]["PIP_FIND_LINKS"]


def test_a_release_waits_for_the_tests_and_stores_no_secret():
    publish = jobs_of_the_workflows()["release/publish"]
    assert "tests" in publish["needs"]
    assert publish["permissions"] == {"id-token": "write"}
    files = (ROOT / ".github" / "workflows").glob("*.yml")
    assert not any("secrets." in file.read_text(encoding="utf-8") for file in files)


def files_of_the_checkout() -> list[Path]:
    """Return what git tracks or would add, without what is deleted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        if not (ROOT / ".git").exists():
            pytest.skip("not a git checkout")
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot list the files: {error}")
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def machine_paths(file: Path) -> list[str]:
    """Return the lines of a text file that name a folder of one machine."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    return [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:200]}"
        for number, line in enumerate(lines, start=1)
        if MACHINE_PATH.search(line)
    ]


def test_no_file_names_a_path_of_one_machine():
    found = [line for file in files_of_the_checkout() for line in machine_paths(file)]
    assert found == []


SKIPPED = shutil.ignore_patterns("__pycache__")
WHAT_IS_BUILT = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
BACKEND = "from setuptools import build_meta; print(build_meta.build_{}('dist'))"


def build(kind: str, source: Path) -> Path:
    """Build a sdist or a wheel with the backend alone, which needs no network."""
    command = [sys.executable, "-W", "ignore", "-c", BACKEND.format(kind)]
    made = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return source / "dist" / made.stdout.splitlines()[-1]


def files_of_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as content:
        return {name for name in content.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Unpack the sdist of a copy of this folder, and build the wheels of both."""
    copy = tmp_path_factory.mktemp("source")
    for name in (*WHAT_IS_BUILT, "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(ROOT / name, copy)
    for name in ("pyg_advinfonce", "cli", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=SKIPPED)
    sdist = build("sdist", copy)
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as content:
        content.extractall(unpacked, filter="data")
    [folder] = unpacked.iterdir()
    return folder, build("wheel", folder), build("wheel", copy)


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_package_and_no_other(built):
    folders = {PACKAGE: "pyg_advinfonce", ROOT / "cli": "pyg_advinfonce/cli"}
    expected = {
        f"{name}/{file.relative_to(folder).as_posix()}"
        for folder, name in folders.items()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    _, wheel, wheel_of_checkout = built
    found = files_of_wheel(wheel)
    assert found == files_of_wheel(wheel_of_checkout)
    metadata = {name for name in found if ".dist-info/" in name}
    assert found - metadata == expected
    assert {Path(name).name for name in metadata} == {
        *("METADATA", "WHEEL", "RECORD", "LICENSE", "entry_points.txt"),
        "top_level.txt",
    }
    assert {Path(name).suffix for name in expected} == {
        *(".py", ".typed", ".toml", ".jinja", ".css", ".mplstyle")
    }


@pytest.mark.slow
def test_a_sdist_holds_what_is_built_and_no_other(built):
    folder, *_ = built
    found = {file.relative_to(folder).parts[0] for file in folder.iterdir()}
    assert found == {
        *(*WHAT_IS_BUILT, "CHANGELOG.md", "CITATION.cff", "PKG-INFO", "setup.cfg"),
        *("pyg_advinfonce", "pyg_advinfonce.egg-info", "cli", "build", "dist"),
    }


@pytest.mark.slow
def test_an_installed_wheel_trains_outside_of_the_checkout(built, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python, program = (environment / "bin" / name for name in ("python", "advnce"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    pip += ["--no-index", "--no-deps", built[1]]
    subprocess.run(pip, check=True, cwd=tmp_path)
    # Only now: pip would take an installation in the borrowed folders for this one.
    [site] = environment.glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "borrowed.pth").write_text("\n".join(borrowed))
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def output(*command: Path | str) -> str:
        ran = subprocess.run(
            command, cwd=tmp_path, env=clean, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    imported = output(python, "-c", "import pyg_advinfonce as a; print(a.__file__)")
    assert Path(imported.strip()).is_relative_to(site)
    assert output(program, "--version").split()[-1] == __version__
    words = "train lightgcn --loss adv --data simulated --epochs 2 --out run"
    assert "recall@20" in output(program, *words.split())
    assert list(tmp_path.glob("run/**/metrics.json"))
