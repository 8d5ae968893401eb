"""A figure as SVG within a page, in the page's own colours."""

import io
import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from pyg_advinfonce.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RULE,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the page's style sheet may give other values, for dark screens.
VARIABLES = {
    INK: "var(--ink)",
    RULE: "var(--rule)",
    GREY: "var(--grey)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
}


@styled
def inline_svg(figure: "Figure", name: str, title: str) -> Markup:
    """Return a figure as an ``svg`` element without a background.

    Args:
        figure: The figure.
        name: Unique in the page; begins the ids of the element's parts.
        title: What it shows, for those who do not see it.
    """
    from matplotlib import rcParams

    rcParams["svg.fonttype"] = "none"  # the page's own font
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    head, _, body = file.getvalue().partition("<svg")[2].partition(">")
    return Markup(_opening(head, title) + _embedded(body, name))


def _embedded(text: str, name: str) -> str:
    """Return the element's content with ids and colours that suit a page."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (id="|xlink:href="#)', rf" \g<1>{name}-", text)
    text = text.replace("url(#", f"url(#{name}-")
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    return text


def _opening(head: str, title: str) -> str:
    """Return the element's opening without a size of its own."""
    [box] = re.findall(r'viewBox="[\d. -]+"', head)
    names = 'xmlns="http://www.w3.org/2000/svg"'
    links = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {names} {links} {box} role="img" aria-label="{escape(title)}">'
