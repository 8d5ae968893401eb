"""The site is built without a warning, and everything public is on it."""

import re
import shutil
import subprocess
import sys
from html import unescape
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path

import pytest
from pyg_advinfonce.cli.main import app as advnce
from typer.main import get_command

import pyg_advinfonce
from pyg_advinfonce.registry import DATASETS, LOSSES, MODELS

pytest.importorskip("sphinx", reason="Sphinx is not installed (extra [docs])")
pytest.importorskip("myst_nb", reason="MyST-NB is not installed (extra [docs])")
pytest.importorskip("furo", reason="Sphinx's theme is not installed (extra [docs])")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(pyg_advinfonce.__file__).parent

pytestmark = pytest.mark.slow


def build(source, out):
    words = ["-q", "-W", "--keep-going", "-d", f"{out}-doctrees"]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(source), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("docs") / "html"
    built = build(DOCS, out)
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="module")
def names(site):
    """The qualified names that have an entry of their own."""
    from sphinx.util.inventory import InventoryFile

    with site.joinpath("objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, path: path)
    return {
        name
        for kind, entries in found.items()
        if kind.startswith("py:") and kind != "py:module"
        for name in entries
    }


def test_every_public_name_is_documented(names):
    homes = pyg_advinfonce._HOME.items()
    wanted = {f"pyg_advinfonce.{home}.{name}" for name, home in homes}
    entries = [*LOSSES.values(), *MODELS.values(), *DATASETS.values()]
    wanted |= {f"pyg_advinfonce.{e.target.replace(':', '.')}" for e in entries}
    assert wanted - names == set()


@pytest.mark.parametrize(
    "package",
    sorted(
        file.parent for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE
    ),
    ids=lambda folder: folder.relative_to(PACKAGE).as_posix(),
)
def test_what_a_package_exports_is_documented(names, package):
    face = f"pyg_advinfonce.{'.'.join(package.relative_to(PACKAGE).parts)}"
    exported = {
        name: getattr(import_module(face), name) for name in import_module(face).__all__
    }
    wanted = {f"{face}.{n}" for n, v in exported.items() if isclass(v) or isfunction(v)}
    assert wanted - names == set()


def test_every_command_and_option_is_on_its_page(site):
    text = site.joinpath("cli.html").read_text("utf-8")
    root = get_command(advnce)
    groups = {"advnce": root, "advnce-data": root.commands["data"]}
    leaves = {
        f"{group}-{name}": command
        for group, found in groups.items()
        for name, command in found.commands.items()
        if command is not root.commands["data"]
    }
    assert len(leaves) > 15
    sections = dict(
        re.findall(r'<section id="(advnce[\w-]+)">(.*?)</section>', text, re.S)
    )
    assert sections.keys() == leaves.keys()
    for place, command in leaves.items():
        shown = unescape(re.sub(r"<[^>]+>", "", sections[place]))
        assert " ".join(command.help.replace("`", "").split()) in shown
        for parameter in command.params:
            named = parameter.param_type_name == "argument" and parameter.metavar
            assert (parameter.metavar if named else parameter.opts[0]) in shown


def test_what_is_private_is_not(names):
    assert [name for name in names if re.search(r"\._(?!_)", name)] == []


def test_pages_need_no_network(site):
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert re.findall(r"<(?:script|img|iframe)[^>]* src=\"http", text) == []
        assert re.findall(r"<link[^>]*stylesheet[^>]* href=\"http", text) == []


def test_formulas_are_drawn(site):
    text = site.joinpath("api/losses.html").read_text("utf-8")
    formulas = re.findall(r"<math.*?</math>", text, re.DOTALL)
    assert len(formulas) > 20
    assert not any("\\" in formula for formula in formulas)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[there](nowhere.md)", "nowhere.md"),
        ("[there](#nowhere)", "nowhere"),
        ("{class}`pyg_advinfonce.losses.Nowhere`", "Nowhere"),
        ("{math}`\\nowhere x`", "nowhere"),
    ],
)
def test_what_is_broken_is_an_error(tmp_path, text, complaint):
    source = tmp_path / "docs"
    shutil.copytree(DOCS / "extensions", source / "extensions")
    shutil.copytree(DOCS / "static", source / "static")
    shutil.copy(DOCS / "conf.py", source)
    source.joinpath("index.md").write_text(f"# A page\n\n{text}\n", "utf-8")
    built = build(source, tmp_path / "html")
    assert built.returncode == 1
    assert complaint in built.stderr
