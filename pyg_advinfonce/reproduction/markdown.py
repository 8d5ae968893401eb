"""A table as Markdown."""

import html
import re
from collections.abc import Sequence


def to_markdown(cells: Sequence[Sequence[str]]) -> str:
    """Return the head and the rows as a table of Markdown, no cell read as markup."""
    head, *rows = [[escape_markdown(cell) for cell in row] for row in cells]
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def escape_markdown(text: str) -> str:
    """Return text that Markdown, and the HTML made of it, show as it is."""
    line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", line)
