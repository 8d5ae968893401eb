"""Arguments of the library's classes and functions, read without importing them."""

import ast
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent

NAMES = {
    **{"Any": Any, "Literal": Literal, "Mapping": Mapping, "Sequence": Sequence},
    "math": math,
}
"""Names that annotations and defaults of arguments with a default may use."""


@cache
def described(target: str) -> Callable[..., Any]:
    """Return a stand-in for a class or function: its arguments and its docstring.

    Importing torch and PyG takes seconds, reading a file does not. What cannot be read
    this way, e.g. an inherited constructor, is imported.

    Args:
        target: ``module:attribute`` below this package; a package's face names it.
    """
    module, name = target.split(":")
    try:
        home = _imports(_file(module))[name]
        return _stand_in(_file(home), name)
    except (KeyError, NameError, OSError):
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)


def _file(module: str) -> Path:
    path = FOLDER.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(file: Path) -> dict[str, str]:
    """Return the module below this package that a face imports each name from."""
    return {
        alias.name: (node.module or "").removeprefix(f"{__package__}.")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _stand_in(file: Path, name: str) -> Callable[..., Any]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = _functions(tree.body)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name in classes:
        document = ast.get_docstring(classes[name])
        function = _functions(classes[name].body)["__init__"]
        del function.args.args[0]
    else:
        function = functions[name]
        document = ast.get_docstring(function)
    required = len(function.args.args) - len(function.args.defaults)
    for argument in function.args.args[:required]:
        argument.annotation = None  # of torch
    function.name, function.returns, function.decorator_list = name, None, []
    function.body = [ast.Pass()]
    found: dict[str, Any] = dict(NAMES)
    code = ast.fix_missing_locations(ast.Module([function], []))
    exec(compile(code, file, "exec"), found)
    made: Callable[..., Any] = found[name]
    made.__doc__ = document
    return made


def _functions(body: Sequence[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
