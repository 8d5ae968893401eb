"""Who may import what, and what importing costs: the picture, as a table."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = "pyg_advinfonce"

BASICS = {"errors", "registry", "whole_file"}
TENSORS = {"functional", "batch", "step", "schedule", "ops"}
BASES = {"encoders.base", "losses.base", "terms.base", "methods.base"}
PARTS = {"graph", "transforms", "encoders", "hardness", "losses", "terms"}

# What the modules of a package or a module may import besides themselves, in functions
# too. `losses` stands for all of that package, `losses.base` for that module alone.
# Imports for type checkers only are free. Nobody may import `cli`.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "whole_file": set(),
    "finite": set(),
    "check_data": BASICS,
    "peak_memory": set(),
    "deterministic": set(),
    "registry": {"errors"},
    "allocator": set(),
    "out_of_memory": set(),
    "functional": BASICS | {"ops"},
    "ops": BASICS,
    "schedule": BASICS,
    "graph": {"errors"},
    "batch": BASICS | {"graph"},
    "step": BASICS | {"batch"},
    "transforms": BASICS | {"graph", "ops"},
    "encoders": BASICS | {"functional", "graph", "ops", "transforms"},
    "hardness": BASICS | {"functional", "batch", "ops", "graph"},
    "losses": BASICS | TENSORS | {"graph", "hardness"},
    "terms": BASICS | TENSORS | {"graph", "transforms", "encoders.base", "losses.base"},
    "methods": BASICS | TENSORS | PARTS,
    "training": BASICS | TENSORS | BASES | {"graph", "out_of_memory"},
    "datasets": BASICS | {"graph"},
    "presets": BASICS,
    "config": BASICS | {"presets", "graph"},
    "run_lock": BASICS,
    "run_folder": BASICS | {"run_lock"},
    "settings": BASICS | {"config", "hardness", "losses"},
    "per_user": BASICS,
    "seed_text": set(),
    "spreadsheet_text": set(),
    "serving": BASICS
    | {"graph", "functional", "ops", "encoders.base", "methods.base"}
    | {"config", "spreadsheet_text", "training.candidate_ranking"},
    "loader": BASICS | {"config", "methods.base", "training"},
    "find_device": BASICS,
    "build_method": BASICS
    | {"config", "graph", "hardness", "losses", "terms.base", "methods.base"}
    | {"training.trainer"},
    "assemble": BASICS
    | {"graph", "losses", "terms.base", "methods.base", "transforms", "training"}
    | {"config", "datasets.base", "loader", "build_method", "find_device"},
    "experiment": BASICS
    | {"graph", "losses.base", "terms.base", "methods.base", "training", "config"}
    | {"datasets.base", "assemble", "seed_folder", "out_of_memory", "serving"},
    "load_trained": BASICS
    | {"config", "datasets.load", "training.checkpoint", "run_folder", "serving"}
    | {"assemble", "build_method", "find_device", "finished", "check_data"},
    "resume": BASICS
    | {"config", "check_data", "training.state_file", "training.training_state"},
    "seed_folder": BASICS
    | {"__init__", "config", "per_user", "finite", "peak_memory", "resume", "training"}
    | {"batch"},
    "tuning": BASICS
    | {"graph", "config", "assemble", "find_device", "datasets.base"}
    | {"training.callbacks", "training.trainer"},
    "summary": BASICS | {"finished"},
    "figures": BASICS
    | {
        "graph",
        "config",
        "assemble",
        "build_method",
        "experiment",
        "datasets.base",
        "training",
        "spreadsheet_text",
    },
    "report": BASICS
    | {"graph", "config", "load_trained", "run_folder", "finished", "summary"}
    | {"figures", "training", "settings"},
    "finished": BASICS | {"config", "run_folder"},
    "analysis": BASICS
    | {"config", "finished", "per_user", "seed_text", "settings", "summary"},
    "reproduction": BASICS
    | {"graph", "config", "assemble", "experiment"}
    | {"finished", "summary", "analysis", "seed_text", "spreadsheet_text"}
    | {"run_folder", "datasets.base", "datasets.load", "training.callbacks"}
    | {"figures"},
    "cli": BASICS
    | {"config", "run_folder", "experiment", "summary", "datasets", "training", "ops"}
    | {"tuning", "analysis", "reproduction", "report", "seed_text"}
    | {"finished", "finite", "resume", "deterministic", "out_of_memory"}
    | {"serving", "assemble", "find_device", "load_trained", "seed_folder"}
    | {"check_data", "graph", "run_lock", "settings", "allocator"},
}

# What starts in a moment, and the packages that it may load besides the standard
# library. Where the command line needs more, a verb imports it in its function.
LIGHT: dict[str, set[str]] = {
    NAME: set(),
    f"{NAME}.errors": set(),
    f"{NAME}.registry": set(),
    f"{NAME}.presets": set(),
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


def unit(module: str) -> str:
    """Return the row of :data:`ALLOWED` that a module of ours belongs to."""
    return module.removeprefix(NAME).lstrip(".").split(".")[0] or "__init__"


UNITS = sorted({unit(module) for module in MODULES})


def modules_of(name: str) -> list[str]:
    return [module for module in sorted(MODULES) if unit(module) == name]


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def executed(node: ast.AST, *, later: bool) -> Iterator[ast.AST]:
    """Walk over what runs on import and, with ``later``, over functions' bodies too."""
    yield node
    function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for field, value in ast.iter_fields(node):
        if function and field == "body" and not later:
            continue
        if field == "body" and is_for_type_checkers(node):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from executed(child, later=later)


def nodes(module: str, *, later: bool) -> Iterator[ast.AST]:
    return executed(ast.parse(MODULES[module].read_text("utf-8")), later=later)


def imported(module: str, *, later: bool) -> set[str]:
    """Return what a module imports, by absolute name."""
    found = set()
    for node in nodes(module, later=later):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {named(module, node, alias.name) for alias in node.names}
    return found


def named(module: str, node: ast.ImportFrom, name: str) -> str:
    """Return the module that ``from ... import name`` reads."""
    source = node.module or ""
    if node.level:
        is_package = MODULES[module].name == "__init__.py"
        above = module.split(".")[: -node.level + is_package or None]
        source = ".".join([*above, *([node.module] if node.module else [])])
    whole = f"{source}.{name}"
    if whole in MODULES or (source == NAME and name != "__version__"):
        return whole
    return source


def ours(names: set[str]) -> set[str]:
    inside = {name for name in names if name.split(".")[0] == NAME}
    return {name.removeprefix(NAME).removeprefix(".") for name in inside} - {""}


def is_within(name: str, packages: set[str]) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in packages)


def test_every_module_has_a_row_in_the_table():
    assert set(UNITS) <= set(ALLOWED)


def test_nobody_may_import_the_command_line():
    assert not any("cli" in allowed for allowed in ALLOWED.values())


@pytest.mark.parametrize("name", UNITS)
def test_imports_only_what_the_design_allows(name):
    allowed = ALLOWED.get(name, set()) | {name}
    for module in modules_of(name):
        targets = ours(imported(module, later=True))
        extra = {target for target in targets if not is_within(target, allowed)}
        assert extra == set(), f"{module} must not import {extra}"


def loaded_with(module: str, seen: set[str]) -> set[str]:
    """Return the modules of ours that importing this one runs, packages included."""
    if module in seen or module not in MODULES:
        return seen
    seen.add(module)
    for name in {module.rpartition(".")[0], *imported(module, later=False)}:
        loaded_with(name, seen)
    return seen


@pytest.mark.parametrize("start", LIGHT)
def test_what_starts_in_a_moment_imports_nothing_heavy(start):
    allowed = LIGHT[start] | {NAME} | set(sys.stdlib_module_names)
    assert start in MODULES
    for module in loaded_with(start, set()):
        packages = {name.split(".")[0] for name in imported(module, later=False)}
        extra = packages - allowed
        assert extra == set(), f"{module} must not import {extra} at module level"


@pytest.mark.parametrize("name", UNITS)
def test_nothing_outside_is_read_on_import(name):
    for module in modules_of(name):
        names = {
            ast.unparse(node)
            for node in nodes(module, later=False)
            if isinstance(node, ast.Attribute)
        }
        assert names & READS == set(), f"{module} reads {names & READS} on import"


@pytest.mark.parametrize("name", UNITS)
def test_no_code_is_loaded_from_data(name):
    for module in modules_of(name):
        targets = {target.split(".")[0] for target in imported(module, later=True)}
        assert targets & UNSAFE == set(), f"{module} imports {targets & UNSAFE}"
        for call in nodes(module, later=True):
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
