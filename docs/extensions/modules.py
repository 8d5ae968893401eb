"""``.. modules:: NAME ...`` documents modules, and what is in a package.

A package stands for all of its modules but ``base``, so that a new loss or encoder is
on its page as soon as its file is there. What a module is for are its classes;
functions are documented where there is no class. With ``:titled:`` each module has a
heading, the first line of its docstring.
"""

from collections.abc import Iterator
from importlib import import_module
from inspect import isclass, isfunction
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Modules(SphinxDirective):
    """The directive."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"titled": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for name in self.arguments[0].split():
            for module in _modules(import_module(name)):
                lines += self._lines(module)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)

    def _lines(self, module: ModuleType) -> list[str]:
        title = (module.__doc__ or module.__name__).splitlines()[0].rstrip(".")
        heading = [title, "-" * len(title), ""] if "titled" in self.options else []
        members = ", ".join(_members(module))
        entry = f".. automodule:: {module.__name__}\n   :members: {members}"
        return [*heading, entry, ""]


def _modules(module: ModuleType) -> Iterator[ModuleType]:
    if not hasattr(module, "__path__"):
        yield module
        return
    names = sorted(found.name for found in iter_modules(module.__path__))
    yield from (
        import_module(f"{module.__name__}.{name}") for name in names if name != "base"
    )


def _members(module: ModuleType) -> list[str]:
    own = {
        name: found
        for name, found in vars(module).items()
        if not name.startswith("_")
        and getattr(found, "__module__", None) == module.__name__
    }
    classes = [name for name, found in own.items() if isclass(found)]
    return classes or [name for name, found in own.items() if isfunction(found)]


def without_title(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Leave out the first line of a module's docstring: it is the heading."""
    if what == "module":
        del lines[:1]


def readable_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Mend what is no Python, and leave out what a class has from torch."""
    if not signature or what != "class":
        return None
    if signature.startswith("(*args: Any"):
        return "", returned
    return signature.replace("<factory>", "..."), returned


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", without_title)
    app.connect("autodoc-process-signature", readable_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
