"""Who may import what, and what importing costs: the picture, as a table."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = "pyg_advinfonce"

# What each package or module at the top may import from the others, in functions and
# for type checkers as well: who stands higher may look down, never up. Nobody may
# import `cli` or `studies` but `cli`.
ALLOWED: dict[str, set[str]] = {
    "__init__": {
        "version",
        "lazy",
        "batch",
        "config",
        "datasets",
        "encoders",
        "evaluation",
    }
    | {"experiment", "graph", "losses", "runs", "serving", "transforms"},
    "version": set(),
    "lazy": set(),
    "source": set(),
    "errors": set(),
    "files": {"errors", "progress"},
    "schema": {"errors", "files"},
    "machine": {"errors", "version"},
    "registry": {"errors"},
    "progress": set(),
    "launch": set(),
    "ranks": {"errors", "launch"},
    "ops": {"ranks"},
    "scorer": set(),
    "functional": {"ops"},
    "pairs": set(),
    "keys": set(),
    "graph": {"errors", "keys", "pairs"},
    "batch": {"errors", "graph", "keys"},
    "transforms": {"errors", "graph"},
    "encoders": {"errors", "batch", "functional", "graph", "keys", "ops"}
    | {"transforms"},
    "objective": {"errors", "batch", "encoders", "graph"},
    "losses": {"errors", "registry", "functional", "batch", "graph", "objective"}
    | {"ops", "transforms", "encoders", "ranks"},
    "terms": {"batch", "functional", "graph", "objective", "ops", "ranks"},
    "methods": {"errors", "functional", "graph", "objective", "scorer", "transforms"}
    | {"encoders", "losses", "terms", "ranks"},
    "loader": {"errors", "batch", "graph", "pairs"},
    "evaluation": {"errors", "graph", "keys", "ops", "registry", "scorer", "ranks"},
    "training": {"errors", "files", "functional", "progress", "batch", "objective"}
    | {"schema", "encoders", "methods", "evaluation", "registry", "ranks", "ops"},
    "datasets": {"errors", "files", "progress", "registry", "graph", "schema"}
    | {"keys", "lazy"},
    "config": {"errors", "files", "registry", "schema", "graph", "datasets"}
    | {"lazy", "source"},
    "build": {"errors", "machine", "registry", "graph", "objective", "transforms"}
    | {"encoders", "losses", "methods", "loader", "evaluation", "training"}
    | {"datasets", "config", "schema", "ranks"},
    "serving": {"version", "errors", "files", "registry", "functional", "graph"}
    | {"keys", "ops", "methods", "evaluation", "scorer"}
    | {"ranks"},
    "runs": {"errors", "files", "lazy", "machine", "registry"}
    | {"batch", "graph", "methods", "version"}
    | {"encoders", "objective"}
    | {"evaluation", "training", "datasets", "config", "build", "serving", "schema"}
    | {"launch", "ranks"},
    "experiment": {"errors", "progress", "graph", "methods"}
    | {"evaluation", "training", "datasets", "config", "build", "runs", "ranks"},
    "studies": {"version", "errors", "files", "machine", "registry", "batch", "graph"}
    | {"loader", "evaluation", "training", "datasets", "config", "build", "runs"}
    | {"experiment", "keys", "progress", "schema"},
    "cli": {"version", "errors", "files", "machine", "progress", "registry"}
    | {"graph", "ops", "evaluation", "training", "datasets", "config", "build"}
    | {"scorer", "serving", "runs", "experiment", "studies", "launch", "ranks"}
    | {"keys"},
}

# Who runs whatever can be trained, and so takes no more than the bases of its parts.
GENERIC = ("loader", "evaluation", "training")
PARTS = {f"{NAME}.{part}" for part in ("encoders", "losses", "terms", "methods")}

# What starts in a moment, and the packages that it may load besides the standard
# library. Where the command line needs more, a verb imports it in its function.
LIGHT: dict[str, set[str]] = {
    NAME: set(),
    f"{NAME}.errors": set(),
    f"{NAME}.registry": set(),
    f"{NAME}.launch": set(),
    f"{NAME}.config.presets": set(),
    f"{NAME}.cli.main": {"typer"},
}

HEAVY = ["torch", "torch_geometric", "numpy", "pandas", "scipy", "sklearn", "pydantic"]

# What a module may not look at while it is imported.
READS = {
    *("sys.argv", "os.environ", "os.getenv", "time.time", "time.perf_counter"),
    *("time.monotonic", "datetime.now", "datetime.datetime.now", "random.seed"),
    *("torch.manual_seed", "torch.Generator", "np.random.default_rng"),
}

# Modules that load code from data.
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def module_names() -> dict[str, Path]:
    """Map the name of every module of ours to its file."""
    found = {}
    for folder, package in ((ROOT / NAME, NAME), (ROOT / "cli", f"{NAME}.cli")):
        for file in folder.rglob("*.py"):
            parts = (package, *file.relative_to(folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


MODULES = module_names()


PACKAGES = {name for name, file in MODULES.items() if file.name == "__init__.py"}


def unit(module: str) -> str:
    """Return the row of :data:`ALLOWED` that a module of ours belongs to."""
    return module.removeprefix(NAME).lstrip(".").split(".")[0] or "__init__"


UNITS = sorted({unit(module) for module in MODULES})


def modules_of(name: str) -> list[str]:
    return [module for module in sorted(MODULES) if unit(module) == name]


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Walk over what runs on import: no bodies of functions, nothing for checkers."""
    yield node
    function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for field, value in ast.iter_fields(node):
        if field == "body" and (function or is_for_type_checkers(node)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from executed(child)


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def imports(nodes: Iterable[ast.AST], module: str = "") -> Iterator[tuple[str, str]]:
    """Yield what is imported, as ``source, name``; the name is empty for a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = source_of(node, module)
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                is_module = whole in MODULES and alias.name not in exports(source)
                yield (whole, "") if is_module else (source, alias.name)


@cache
def exports(package: str) -> set[str]:
    """Return what a package hands on; a function may be called as its file is."""
    for node in tree_of(package).body if package in PACKAGES else []:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def source_of(node: ast.ImportFrom, module: str) -> str:
    """Return what ``from ... import`` names, absolutely."""
    if not node.level:
        return node.module or ""
    above = module.split(".")[: -node.level + (module in PACKAGES) or None]
    return ".".join([*above, *([node.module] if node.module else [])])


def imported(module: str, *, on_import: bool = False) -> set[str]:
    """Return the modules that a module imports: anywhere, or when it is imported."""
    tree = tree_of(module)
    nodes = executed(tree) if on_import else ast.walk(tree)
    return {source for source, _ in imports(nodes, module)}


def ours(module: str) -> set[str]:
    """Return which of our modules a module of ours imports anywhere."""
    return (imported(module) & set(MODULES)) - {module}


def package_of(module: str) -> str:
    return module if module in PACKAGES else module.rpartition(".")[0]


def test_every_module_has_a_row_in_the_table():
    assert set(UNITS) == set(ALLOWED)


def test_nobody_else_may_import_the_command_line_or_studies():
    assert not any("cli" in allowed for allowed in ALLOWED.values())
    assert [row for row, found in ALLOWED.items() if "studies" in found] == ["cli"]


@pytest.mark.parametrize("name", UNITS)
def test_imports_only_what_the_design_allows(name):
    found = {unit(t) for module in modules_of(name) for t in ours(module)} - {name}
    assert found == ALLOWED[name]


def test_what_runs_everything_takes_bases_alone():
    for module in (m for name in GENERIC for m in modules_of(name)):
        for source, name in imports(ast.walk(tree_of(module)), module):
            if source in PARTS:
                home = getattr(import_module(source), name).__module__
                assert home == f"{source}.base", f"{module} must not import {name}"


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups whose members reach each other."""
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen, todo = set(), [start]
        while todo:
            new = arrows.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        reached[start] = seen
    groups = {
        frozenset({a, *(b for b in reached[a] if a in reached.get(b, ()))})
        for a in reached
        if a in reached[a]
    }
    return sorted(sorted(group) for group in groups)


def arrows_between(place: Callable[[str], str]) -> dict[str, set[str]]:
    """Return who imports whom, of modules, packages or folders."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        here = place(module)
        targets = {place(target) for target in ours(module)}
        found[here] = found.get(here, set()) | (targets - {here})
    return found


def folder_of(module: str) -> str:
    """Return a module's folder; what lies at the top stands for itself."""
    folder = package_of(module)
    return module if folder == NAME else folder


@pytest.mark.parametrize("place", [str, folder_of, unit])
def test_no_import_leads_back(place):
    assert circles(arrows_between(place)) == []


def test_a_circle_is_seen():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert circles(arrows) == [["b", "c"]]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_has_a_face(package):
    face = import_module(package)
    assert len(set(face.__all__)) == len(face.__all__)
    assert [name for name in face.__all__ if not hasattr(face, name)] == []


def files_behind_faces(sources: Iterable[str], importer: str = "") -> list[str]:
    """Return which sources are files of a package other than the importer's."""
    home = package_of(importer) if importer else NAME
    return [
        source
        for source in sources
        if source in MODULES and source not in PACKAGES
        if package_of(source) not in (home, NAME)
    ]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_other_packages_are_imported_by_their_faces(module):
    assert files_behind_faces(imported(module), module) == []


FENCED = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
SCRIPTS = sorted({*ROOT.glob("examples/**/*.py"), *ROOT.glob("benchmarks/**/*.py")})


def blocks(page: Path) -> Iterator[str]:
    """Yield a page's Python, without what is the content of a file of the package."""
    text = page.read_text("utf-8")
    for block in re.findall(
        r"^( *)```python\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE
    ):
        code = textwrap.dedent(block[1])
        if not code.startswith(f"# {NAME}/"):
            yield code


def test_pages_and_scripts_import_faces():
    codes = [code for page in PAGES for code in blocks(page)]
    codes += [script.read_text("utf-8") for script in SCRIPTS]
    assert len(codes) > len(SCRIPTS) > 5
    for code in codes:
        sources = [source for source, _ in imports(ast.walk(ast.parse(code)))]
        assert files_behind_faces(sources) == [], code


def test_tests_import_from_a_file_only_what_its_face_lacks():
    for file in (ROOT / "tests").rglob("*.py"):
        for source, name in imports(ast.walk(ast.parse(file.read_text("utf-8")))):
            if name and files_behind_faces([source]):
                face = import_module(package_of(source))
                assert name not in face.__all__, f"{file.name}: {name} of {source}"


def loaded_with(module: str, seen: set[str]) -> set[str]:
    """Return the modules of ours that importing this one runs, packages included."""
    if module in seen or module not in MODULES:
        return seen
    seen.add(module)
    for name in {module.rpartition(".")[0], *imported(module, on_import=True)}:
        loaded_with(name, seen)
    return seen


@pytest.mark.parametrize("start", LIGHT)
def test_what_starts_in_a_moment_imports_nothing_heavy(start):
    allowed = LIGHT[start] | {NAME} | set(sys.stdlib_module_names)
    assert start in MODULES
    for module in loaded_with(start, set()):
        packages = {name.split(".")[0] for name in imported(module, on_import=True)}
        extra = packages - allowed
        assert extra == set(), f"{module} must not import {extra} at module level"


@pytest.mark.parametrize("name", UNITS)
def test_nothing_outside_is_read_on_import(name):
    for module in modules_of(name):
        names = {
            ast.unparse(node)
            for node in executed(tree_of(module))
            if isinstance(node, ast.Attribute)
        }
        assert names & READS == set(), f"{module} reads {names & READS} on import"


@pytest.mark.parametrize("name", UNITS)
def test_no_code_is_loaded_from_data(name):
    for module in modules_of(name):
        targets = {target.split(".")[0] for target in imported(module)}
        assert targets & UNSAFE == set(), f"{module} imports {targets & UNSAFE}"
        for call in ast.walk(tree_of(module)):
            if isinstance(call, ast.Call):
                assert_safe(module, call)


def assert_safe(module: str, call: ast.Call) -> None:
    """Check that a call of torch's or numpy's loader refuses pickled objects."""
    given = {k.arg: ast.unparse(k.value) for k in call.keywords}
    where = f"{module}:{call.lineno}"
    assert given.get("allow_pickle", "False") == "False", where
    if ast.unparse(call.func) == "torch.load":
        assert given.get("weights_only") == "True", where


def loaded_by(code: str) -> set[str]:
    """Run code in a new interpreter and return the heavy packages it has loaded."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps([*sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1])) & set(HEAVY)


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_nothing_heavy(module):
    assert loaded_by(f"import {module}") == set()


def test_what_is_loaded_is_seen():
    assert "numpy" in loaded_by("import numpy")


@pytest.mark.parametrize(
    "words",
    [
        *("--help", "train --help", "tune --help", "ls", "ls losses"),
        *("recommend --help", "export --help"),
        "ls reproductions",
        *("reproduce --help", "compare --help", "report --help", "data fetch --help"),
    ],
)
def test_a_command_that_only_prints_loads_nothing_heavy(words):
    assert loaded_by_command(words, code=0) <= {"pydantic"}  # Typer's for arguments


@pytest.mark.parametrize(
    "words",
    ["train lightgnc", "train sgl --loss ccl", "tune mf --loss x", "settings lightgnc"],
)
def test_a_wrong_name_is_told_before_anything_heavy_is_loaded(words):
    assert loaded_by_command(words, code=2) <= {"pydantic"}


TABLES = {"numpy", "pandas", "pydantic", "scipy"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("data list", 0),
        ("data verify nowhere", 2),
        *((f"settings {words}", 0) for words in ("", "mf --loss bc", "ease --json")),
        ("settings lightgcn --preset no", 2),
        ("train lightgcn --data gowala", 2),
        ("train lightgcn --data no/such/folder", 2),
        *((f"train lightgcn --set {s}=x", 2) for s in ("loss.taw", "train.lr")),
        *((f"train lightgcn --set {s}=x", 2) for s in ("loss.tau", "hardness.dim")),
        ("train lightgcn --seeds 3-1", 2),
        ("train lightgcn --batch-size 3", 2),
        ("train lightgcn --config no.toml", 2),
        ("tune sgl --set model.dop=1", 2),
        ("reproduce tabel4", 2),
        *((f"{verb} nowhere", 2) for verb in ("evaluate", "compare", "report")),
        ("recommend nowhere --users all", 2),
        ("export nowhere --out x.npz", 2),
        ("evaluate", 2),
    ],
)
def test_an_answer_without_tensors_loads_no_torch(words, code):
    assert loaded_by_command(words, code) <= TABLES


def loaded_by_command(words: str, code: int) -> set[str]:
    """Call ``advnce`` in a new interpreter, and return the same of it."""
    return loaded_by(f"""
import sys
sys.argv = ["advnce", *{words.split()!r}]
from {NAME}.cli.main import main
try:
    main()
except SystemExit as stop:
    assert (stop.code or 0) == {code}, stop.code
""")
