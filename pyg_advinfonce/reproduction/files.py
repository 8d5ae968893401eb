"""The files of a table that was run again."""

from collections.abc import Sequence
from pathlib import Path

from pyg_advinfonce.reproduction.cells import TEXT_COLUMNS
from pyg_advinfonce.reproduction.csv_text import to_csv
from pyg_advinfonce.reproduction.latex import to_latex
from pyg_advinfonce.reproduction.line import Line
from pyg_advinfonce.reproduction.markdown import escape_markdown, to_markdown
from pyg_advinfonce.reproduction.records import Record
from pyg_advinfonce.reproduction.request import Report


def write_files(
    report: Report, records: Sequence[Record], lines: Sequence[Line], name: Path
) -> list[Path]:
    """Write a table as Markdown, LaTeX and CSV.

    Args:
        report: The table as text.
        records: Its numbers.
        lines: Its rows, whose settings Markdown lists.
        name: The files' path without their endings.

    Returns:
        The files.
    """
    caption = f"{report.title}. Seeds {dict(report.head)['seeds']}."
    texts = {
        ".md": _markdown(report, lines),
        ".tex": to_latex(
            report.cells,
            caption=caption,
            label=name.name,
            left=sum(column in TEXT_COLUMNS for column in report.cells[0]),
        ),
        ".csv": to_csv(records).rstrip("\n"),
    }
    files = {name.with_name(name.name + end): text for end, text in texts.items()}
    for file, text in files.items():
        file.write_text(text + "\n", encoding="utf-8")
    return list(files)


def _markdown(report: Report, lines: Sequence[Line]) -> str:
    head = [f"- {name}: {escape_markdown(t)}" for name, t in report.head]
    notes = [f"- {escape_markdown(note)}" for note in report.notes]
    settings = [escape_markdown(f"{line.name}: {line.settings}") for line in lines]
    parts = [
        f"# {escape_markdown(report.title)}",
        "\n".join(head),
        to_markdown(report.cells),
        "\n".join(notes),
        "## Settings",
        "\n".join(f"- {text}" for text in settings),
    ]
    return "\n\n".join(part for part in parts if part)
