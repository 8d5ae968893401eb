"""What is shipped, what it is called, and what it says it needs."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
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
