"""Formats of a table: text, CSV, LaTeX and Markdown."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pyg_advinfonce.files import output_file, without_formulas
from pyg_advinfonce.studies import format_p
from pyg_advinfonce.studies.paper.paper_table import PaperTable
from pyg_advinfonce.studies.paper.request import Reproduction
from pyg_advinfonce.studies.paper.results import Measurement, TableRow

Cells = list[list[str]]
TEXT_COLUMNS = ("data", "row", "metric")


def make_cells(table: PaperTable, measurements: Sequence[Measurement]) -> Cells:
    """Return the header and one row per measurement.

    Empty columns are omitted, and the column of the data set if the table has one.
    """
    head = [*TEXT_COLUMNS, "ours", "paper", "off by", f"vs {table.against}"]
    head += ["paper's", "p seeds", "p users", "within"]
    rows = [_row_cells(measurement, table.is_of_times) for measurement in measurements]
    first = 0 if len(table.columns) > 1 else 1
    used = [i for i in range(first, len(head)) if any(row[i] for row in rows)]
    return [[row[i] for i in used] for row in [head, *_without_repeats(rows)]]


def _row_cells(measurement: Measurement, is_of_times: bool) -> list[str]:
    number = _seconds if is_of_times else _metric
    change = _times if is_of_times else _percent_of
    within = {True: "yes", False: "no", None: ""}[measurement["within"]]
    off = "" if is_of_times else _percent(measurement["off"])
    return [
        measurement["data"],
        measurement["row"],
        measurement["metric"],
        _ours(measurement, number),
        "" if measurement["paper"] is None else number(measurement["paper"]),
        off,
        change(measurement.get("ratio")),
        change(measurement.get("paper_ratio")),
        _p(measurement, "p_seeds_holm"),
        _p(measurement, "p_users_holm"),
        within,
    ]


def _ours(measurement: Measurement, number: Callable[[float], str]) -> str:
    if measurement["mean"] is None:
        return "nan" if measurement["seeds"] else "missing"
    std = "" if measurement["std"] is None else f" ± {number(measurement['std'])}"
    return number(measurement["mean"]) + std


def _without_repeats(rows: Cells) -> Cells:
    """Keep data and row only in the first of their lines."""
    shown: Cells = []
    before: list[str] = []
    for row in rows:
        repeated = row[:2] == before[:2]
        first = row[0] if row[:1] != before[:1] else ""
        shown.append(["", "", *row[2:]] if repeated else [first, *row[1:]])
        before = row
    return shown


def _metric(value: float) -> str:
    return f"{value:.4f}"


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:+.1f} %"


def _percent_of(ratio: float | None) -> str:
    return "" if ratio is None else _percent(ratio - 1)


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def _p(measurement: Measurement, key: str) -> str:
    return format_p(measurement[key]) if key in measurement else ""


def to_csv(measurements: Sequence[Mapping[str, object]]) -> str:
    """Return one line per measurement; lists are joined by semicolons.

    An apostrophe precedes text that a spreadsheet would read as a formula. Numbers stay
    unchanged.
    """
    rows = [
        {k: "; ".join(map(str, v)) if isinstance(v, list) else v for k, v in r.items()}
        for r in measurements
    ]
    text: str = without_formulas(pd.DataFrame(rows)).to_csv(index=False)
    return text


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
    r"""Return a table in the style of ``booktabs``.

    Args:
        cells: The header and the rows as plain text, escaped here.
        caption: The caption as plain text.
        label: The table's label for ``\ref``.
        left: The number of left-aligned columns; the others are numbers.
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
    """Escape plain text for LaTeX."""
    return "".join(SPECIAL.get(character, character) for character in text)


def to_markdown(cells: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of plain-text cells, escaped here."""
    head, *rows = [[escape_markdown(cell) for cell in row] for row in cells]
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def escape_markdown(text: str) -> str:
    """Escape plain text for Markdown and the HTML made from it."""
    line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", line)


def write_files(
    reproduction: Reproduction,
    measurements: Sequence[Measurement],
    rows: Sequence[TableRow],
    name: Path,
) -> list[Path]:
    """Write a table as Markdown, LaTeX and CSV.

    Args:
        reproduction: The table as text.
        measurements: Its numbers.
        rows: Its rows, whose settings Markdown lists.
        name: The files' path without suffix.

    Returns:
        The files.

    Raises:
        ConfigError: If a file cannot be written.
    """
    caption = f"{reproduction.title}. Seeds {dict(reproduction.head)['seeds']}."
    texts = {
        ".md": _markdown(reproduction, rows),
        ".tex": to_latex(
            reproduction.cells,
            caption=caption,
            label=name.name,
            left=sum(column in TEXT_COLUMNS for column in reproduction.cells[0]),
        ),
        ".csv": to_csv(measurements).rstrip("\n"),
    }
    files = {name.with_name(name.name + end): text for end, text in texts.items()}
    for file, text in files.items():
        with output_file(file) as unfinished:
            unfinished.write_text(text + "\n", encoding="utf-8")
    return list(files)


def _markdown(reproduction: Reproduction, rows: Sequence[TableRow]) -> str:
    head = [f"- {name}: {escape_markdown(t)}" for name, t in reproduction.head]
    notes = [f"- {escape_markdown(note)}" for note in reproduction.notes]
    settings = [escape_markdown(f"{row.name}: {row.settings}") for row in rows]
    parts = [
        f"# {escape_markdown(reproduction.title)}",
        "\n".join(head),
        to_markdown(reproduction.cells),
        "\n".join(notes),
        "## Settings",
        "\n".join(f"- {text}" for text in settings),
    ]
    return "\n\n".join(part for part in parts if part)
