"""``.. command-line::`` documents every command of ``advnce``, as ``--help`` does.

The texts are those of the Typer application: nothing on the page is written by hand.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer.main
from docutils import nodes
from pyg_advinfonce.cli.main import app as advnce
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class CommandLine(SphinxDirective):
    """The directive: a section per command."""

    def run(self) -> list[nodes.Node]:
        return [_section(*command) for command in commands()]


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Yield each command's full name, the command and its context.

    They are ``Any``: Typer brings a copy of click that it does not export.
    """
    root: Any = typer.main.get_command(advnce)
    yield from _below(root, root.context_class(root, info_name="advnce"))


def _below(group: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    for name, command in group.commands.items():
        own = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from _below(command, own)
        else:
            yield own.command_path, command, own


def _section(path: str, command: Any, context: Any) -> nodes.section:  # noqa: ANN401
    usage = command.get_usage(context).removeprefix("Usage: ")
    records = [parameter.get_help_record(context) for parameter in command.params]
    section = nodes.section(ids=[path.replace(" ", "-")])
    section["support_smartquotes"] = False  # quotes are to be typed as they are shown
    section += nodes.title("", path)
    section += nodes.paragraph("", "", *_inline(command.help))
    section += nodes.literal_block("", " ".join(usage.split()), language="text")
    if items := [_definition(*record) for record in records if record]:
        section += nodes.definition_list("", *items)
    return section


def _definition(names: str, text: str) -> nodes.definition_list_item:
    term = nodes.term("", "", nodes.literal("", names))
    body = nodes.definition("", nodes.paragraph("", "", *_inline(text)))
    return nodes.definition_list_item("", term, body)


def _inline(text: str) -> Iterator[nodes.Node]:
    """Yield a help text's nodes: what stands between backticks is literal."""
    for index, part in enumerate(re.split("`", " ".join(text.split()))):
        if part:
            yield nodes.literal("", part) if index % 2 else nodes.Text(part)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
