"""Tables of the paper and of benchmarks: their rows and published numbers."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from pyg_advinfonce.config import Sections
from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.registry import REPRODUCTIONS, unknown
from pyg_advinfonce.runs import TIMES

_ROW_TITLE = "one row of the tables"

Numbers = Mapping[str, dict[str, float]]


@dataclass(frozen=True)
class PaperRow:
    """A row of a table.

    Attributes:
        label: The paper's name of the row.
        model: The model.
        loss: The loss.
        numbers: The published numbers, by data set and metric.
        encoder: The model that ``model`` extends; else ``model`` itself.
        settings: Settings that distinguish rows of the same model and loss.
    """

    label: str
    model: str
    loss: str
    numbers: Numbers
    encoder: str
    settings: Sections = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, or some of its rows.

    Attributes:
        name: The table, e.g. ``table4``, or a row such as ``coat/lightgcn-adv``.
        title: The title, one line.
        against: The loss or label of the baseline row.
        columns: The metrics by data set; empty for recall and NDCG of the test splits.
        rows: The rows.
        note: What to know about the published numbers.
    """

    name: str
    title: str
    against: str
    columns: Mapping[str, tuple[str, ...]]
    rows: tuple[PaperRow, ...]
    note: str = ""

    @property
    def is_of_times(self) -> bool:
        """Whether the numbers are seconds."""
        return any(
            set(metrics) <= set(TIMES) for metrics in self.columns.values() if metrics
        )

    def on(self, data: str) -> "PaperTable":
        """Return the table for one data set, which may have no published numbers."""
        times = next(iter(self.columns.values())) if self.is_of_times else ()
        return replace(self, columns={data: self.columns.get(data, times)})

    def baseline(self, row: PaperRow) -> PaperRow | None:
        """Return the baseline of a row, which has the same encoder, or None."""
        same = [other for other in self.rows if other.encoder == row.encoder]
        found = [r for r in same if self.against in (r.loss, r.label)]
        return found[0] if found and found[0] is not row else None


def paper_table(name: str, against: str | None = None) -> PaperTable:
    """Return a table of the paper, or one row as a table.

    Args:
        name: The table, e.g. ``table4``, or a row such as ``coat/lightgcn-adv``.
        against: The loss or label of the baseline row (default: the table's).

    Raises:
        UnknownNameError: If the paper has no such row, or the table no such baseline.
    """
    table = _row_table(name) if "/" in name else _read(name)
    if against is None:
        return table
    known = dict.fromkeys(name for row in table.rows for name in (row.loss, row.label))
    if against not in known:
        raise unknown("row", against, known)
    return replace(table, against=against)


def tables() -> dict[str, PaperTable]:
    """Return all tables by name."""
    names = [name for name in REPRODUCTIONS if not name.startswith("fig")]
    return {name: _read(name) for name in names}


def _read(name: str) -> PaperTable:
    folder = resources.files("pyg_advinfonce.studies.paper") / "tables"
    content = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    columns = {data: tuple(names) for data, names in content["columns"].items()}
    return PaperTable(
        name,
        REPRODUCTIONS[name].help,
        content["against"],
        columns,
        tuple(_row(row, columns) for row in content["rows"]),
        content.get("note", ""),
    )


def _row(row: Mapping[str, Any], columns: Mapping[str, tuple[str, ...]]) -> PaperRow:
    numbers = {d: dict(zip(columns[d], row[d], strict=True)) for d in columns}
    encoder, settings = row.get("encoder", row["model"]), row.get("settings", {})
    return PaperRow(row["label"], row["model"], row["loss"], numbers, encoder, settings)


def _row_table(name: str) -> PaperTable:
    """Merge the rows of all tables for one model and loss on one data set."""
    data = name.split("/")[0]
    found: dict[str, PaperRow] = {}
    notes: dict[str, str] = {}
    for key, row, note in _metric_rows(data):
        notes[key] = note
        numbers = row.numbers[data] | (found[key].numbers[data] if key in found else {})
        found[key] = replace(row, numbers={data: numbers})
    if name not in found:
        raise _unknown_row(name, found)
    columns = {data: tuple(found[name].numbers[data])}
    row, note = found[name], notes[name]
    return PaperTable(name, _ROW_TITLE, row.label, columns, (row,), note)


def _metric_rows(data: str) -> Iterator[tuple[str, PaperRow, str]]:
    for table in tables().values():
        if data in table.columns and not table.is_of_times:
            for row in table.rows:
                if not row.settings:
                    yield f"{data}/{row.model}-{row.loss}", row, table.note


def _unknown_row(name: str, rows: Mapping[str, PaperRow]) -> UnknownNameError:
    if rows:
        return unknown("row", name, rows)
    data = dict.fromkeys(data for table in tables().values() for data in table.columns)
    return unknown("data set of the paper", name.split("/")[0], data)
