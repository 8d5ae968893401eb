"""A table's numbers as text."""

from collections.abc import Callable, Sequence

from pyg_advinfonce.analysis.p_text import p_text
from pyg_advinfonce.reproduction.paper_table import PaperTable
from pyg_advinfonce.reproduction.records import Record

Cells = list[list[str]]
TEXT_COLUMNS = ("data", "row", "metric")


def make_cells(table: PaperTable, records: Sequence[Record]) -> Cells:
    """Return the head and a row a record.

    Columns without content are left out, and the data set where it is the only one.
    """
    head = [*TEXT_COLUMNS, "ours", "paper", "off by", f"vs {table.against}"]
    head += ["paper's", "p seeds", "p users", "within"]
    rows = [_row(record, table.is_of_times) for record in records]
    first = 0 if len(table.columns) > 1 else 1
    used = [i for i in range(first, len(head)) if any(row[i] for row in rows)]
    return [[row[i] for i in used] for row in [head, *_without_repeats(rows)]]


def _row(record: Record, is_of_times: bool) -> list[str]:
    number = _seconds if is_of_times else _metric
    change = _times if is_of_times else _percent_of
    within = {True: "yes", False: "no", None: ""}[record["within"]]
    off = "" if is_of_times else _percent(record["off"])
    return [
        record["data"],
        record["row"],
        record["metric"],
        _ours(record, number),
        "" if record["paper"] is None else number(record["paper"]),
        off,
        change(record.get("ratio")),
        change(record.get("paper_ratio")),
        _p(record, "p_seeds_holm"),
        _p(record, "p_users_holm"),
        within,
    ]


def _ours(record: Record, number: Callable[[float], str]) -> str:
    if record["mean"] is None:
        return "nan" if record["seeds"] else "missing"
    std = "" if record["std"] is None else f" ± {number(record['std'])}"
    return number(record["mean"]) + std


def _without_repeats(rows: Cells) -> Cells:
    """Name data and row where they begin."""
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


def _p(record: Record, key: str) -> str:
    return p_text(record[key]) if key in record else ""
