"""Formulas as MathML, which browsers draw without script or network."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

# A function and its argument: TeX leaves a thin space unless a bracket follows.
APPLIED = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*(<mrow>\s*)?<mo[^>]*>[(\[])")

# Brackets grow in MathML, and bars have blanks around them; not so in TeX.
BRACKET = re.compile(r'<mo(?: stretchy="false")?>([|⟨⟩{}⌊⌋])</mo>')

logger = getLogger(__name__)


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(_mathml(node.astext(), node, as_block=False))
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write formulas, a blank line apart, on lines that scroll where they are wide."""
    for part in node.astext().split("\n\n"):
        formula = _mathml(part, node, as_block=True)
        writer.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def _mathml(latex: str, node: nodes.Element, *, as_block: bool) -> str:
    try:
        return _spaced(tex2mathml(latex, as_block=as_block))
    except MathError as error:
        logger.warning("%s: %s", error, latex, location=node)
        return ""


def _spaced(mathml: str) -> str:
    """Space a formula as TeX does."""
    text = APPLIED.sub(r'\g<0><mspace width="0.17em"/>', mathml)
    return BRACKET.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
