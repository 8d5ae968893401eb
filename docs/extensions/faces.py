"""``.. face:: NAME`` documents what a package exports, in the order of ``__all__``.

An object is documented under the package that exports it, and a reference to the file
that defines it is resolved to that entry. What a file keeps to itself is shown without
a link.
"""

from importlib import import_module
from inspect import isclass, isfunction
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective


class Face(SphinxDirective):
    """The directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        members = ", ".join(_members(name))
        entry = f".. automodule:: {name}\n   :imported-members:\n   :members: {members}"
        return self.parse_text_to_nodes(entry, allow_section_headings=True)


def _members(name: str) -> list[str]:
    """Return the classes and functions of a package's ``__all__``."""
    package = import_module(name)
    found = {member: getattr(package, member) for member in package.__all__}
    return [
        member for member, value in found.items() if isclass(value) or isfunction(value)
    ]


def at_its_package(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Element | None:
    """Resolve ``package.file.Name`` to ``package.Name``."""
    if node.get("refdomain") != "py":
        return None
    domain, parts = env.get_domain("py"), node["reftarget"].split(".")
    for place in range(1, len(parts) - 1):
        target = ".".join([*parts[:place], *parts[place + 1 :]])
        if target in domain.objects:
            kind, where = node["reftype"], node["refdoc"]
            return domain.resolve_xref(
                env, where, app.builder, kind, target, node, contnode
            )
    if _is_internal(node["reftarget"]):
        return contnode
    return None


def _is_internal(target: str) -> bool:
    """Return whether a name exists in a file of ours without being exported."""
    module, _, name = target.rpartition(".")
    if not module.startswith("pyg_advinfonce."):
        return False
    try:
        found = import_module(module)
    except ImportError:
        return False
    return not hasattr(found, "__path__") and hasattr(found, name)


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
    app.add_directive("face", Face)
    app.connect("missing-reference", at_its_package)
    app.connect("autodoc-process-docstring", without_title)
    app.connect("autodoc-process-signature", readable_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
