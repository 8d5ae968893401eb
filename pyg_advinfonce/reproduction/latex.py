"""A table as LaTeX."""

from collections.abc import Sequence

SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


def to_latex(
    cells: Sequence[Sequence[str]], *, caption: str, label: str, left: int = 1
) -> str:
    r"""Return the head and the rows as a table in the manner of ``booktabs``.

    Args:
        cells: Texts; no character of them is read as a command.
        caption: The caption's text.
        label: What ``\ref`` calls the table.
        left: How many columns are flush left; the others are numbers.
    """
    head, *rows = [" & ".join(map(escape_latex, row)) + r" \\" for row in cells]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(cells[0]) - left)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def escape_latex(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    return "".join(SPECIAL.get(character, character) for character in text)
