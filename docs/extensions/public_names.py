"""``.. public-names::`` lists the names of ``from pyg_advinfonce import ...``."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import pyg_advinfonce


class PublicNames(SphinxDirective):
    """The directive: a link for each name."""

    def run(self) -> list[nodes.Node]:
        homes = sorted(pyg_advinfonce._HOME.items(), key=lambda pair: pair[0].lower())
        links = [f":obj:`~pyg_advinfonce.{home}.{name}`" for name, home in homes]
        return self.parse_text_to_nodes(", ".join(links))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
