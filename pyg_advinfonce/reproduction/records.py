"""The numbers of a table: ours, the paper's, how far apart, and by chance or not."""

from collections.abc import Sequence
from typing import Any

from pyg_advinfonce.analysis.compare import compare
from pyg_advinfonce.analysis.corrected import corrected
from pyg_advinfonce.finished import TIMES
from pyg_advinfonce.reproduction.line import Line
from pyg_advinfonce.reproduction.paper_table import PaperTable
from pyg_advinfonce.summary import spread

ABSOLUTE = {"coat": 0.01}  # on so little data
RELATIVE = 0.03
ROUNDING = 1e-9
NOTHING: dict[str, Any] = {"mean": None, "std": None, "values": []}

Record = dict[str, Any]


def make_records(table: PaperTable, lines: Sequence[Line]) -> list[Record]:
    """Return a JSON-ready object for every line and metric.

    ``off`` is the relative difference to the paper, ``within`` whether that is
    tolerated (methods.md 7: on Coat 0.01, else 3 %; None where it is not judged),
    ``ratio`` and ``paper_ratio`` are to the baseline. What
    :func:`~pyg_advinfonce.analysis.corrected.corrected` says of the difference to the
    baseline follows, corrected over the whole table.
    """
    records = {
        (i, m): _own(line, m) for i, line in enumerate(lines) for m in line.metrics
    }
    pairs = [(i, j, m) for i, j in _bases(table, lines) for m in lines[i].metrics]
    for i, j, metric in pairs:
        records[i, metric] |= _ratios(records[i, metric], records[j, metric])
    tested = [(i, j, m) for i, j, m in pairs if _is_tested(lines[i], lines[j], m)]
    found = corrected(
        [compare(lines[j].seeds, lines[i].seeds, m) for i, j, m in tested]
    )
    for (i, _, metric), comparison in zip(tested, found, strict=True):
        records[i, metric] |= comparison
    return list(records.values())


def _own(line: Line, metric: str) -> Record:
    values = spread([s.value(metric) for s in line.seeds]) if line.seeds else NOTHING
    paper = line.row.numbers.get(line.data, {}).get(metric)
    return {
        "data": line.data,
        "row": line.row.label,
        "model": line.row.model,
        "loss": line.row.loss,
        "metric": metric,
        "seeds": [seed.seed for seed in line.seeds],
        **values,
        "paper": paper,
        "off": _ratio(values["mean"], paper, 1.0),
        "within": _within(line, metric, values["mean"], paper),
    }


def _within(
    line: Line, metric: str, mean: float | None, paper: float | None
) -> bool | None:
    if paper is None or metric in TIMES or not line.seeds:
        return None
    tolerance = ABSOLUTE.get(line.data, RELATIVE * paper)
    return mean is not None and abs(mean - paper) <= tolerance + ROUNDING


def _bases(table: PaperTable, lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Return the numbers of the lines that have a baseline, and of the baselines."""
    places = {(line.data, id(line.row)): i for i, line in enumerate(lines)}
    bases = [table.baseline(line.row) for line in lines]
    return [
        (i, places[line.data, id(base)])
        for i, (line, base) in enumerate(zip(lines, bases, strict=True))
        if base is not None
    ]


def _ratios(record: Record, base: Record) -> Record:
    return {
        "ratio": _ratio(record["mean"], base["mean"]),
        "paper_ratio": _ratio(record["paper"], base["paper"]),
    }


def _ratio(value: float | None, base: float | None, minus: float = 0.0) -> float | None:
    return None if value is None or not base else value / base - minus


def _is_tested(line: Line, base: Line, metric: str) -> bool:
    return bool(line.seeds and base.seeds) and metric not in TIMES
