"""``.. registry-table:: LOSSES`` lists a table of the registry."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from pyg_advinfonce import registry


class RegistryTable(SphinxDirective):
    """The directive: name, location and one line of help."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        entries = getattr(registry, self.arguments[0])
        lines = [".. list-table::", "   :widths: auto", ""]
        for name, entry in entries.items():
            lines += [f"   * - ``{name}``", f"     - {_link(entry)}"]
            lines += [f"     - {entry.help}"]
        return self.parse_text_to_nodes("\n".join(lines))


def _link(entry: registry.Entry) -> str:
    module, _, name = entry.target.partition(":")
    home = f"pyg_advinfonce.{module}"
    if name[0].isupper():
        return f":class:`~{home}.{name}`"
    return f":func:`{module.rpartition('.')[2]}.{name}() <{home}.{name}>`"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("registry-table", RegistryTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
