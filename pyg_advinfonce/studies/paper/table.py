"""Reproducing a table of the paper, and its report."""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config, flatten, settings_text
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import DataError, DatasetNotFoundError
from pyg_advinfonce.graph import test_splits
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import folder_name, seed_text
from pyg_advinfonce.studies import MAIN_METRICS, note_lines, tests_text
from pyg_advinfonce.studies.paper.formats import make_cells, write_files
from pyg_advinfonce.studies.paper.published import PaperRow, PaperTable, paper_table
from pyg_advinfonce.studies.paper.request import Report, Request
from pyg_advinfonce.studies.paper.results import (
    Line,
    Record,
    check_settings,
    fill,
    make_records,
)

DEFAULT_SEEDS = [0, 1, 2, 3, 4]


def reproduce_table(request: Request, progress: Progress = Progress()) -> Report:
    """Run what is missing of a table, or one row of it, and set it beside the paper.

    Finished runs are found again by their settings and the data; an interrupted seed is
    resumed. Writes Markdown, LaTeX and CSV, unless it is a check.

    Raises:
        ConfigError: If a name or setting is wrong.
        DatasetNotFoundError: If the data of no row is there, and it is no check.
    """
    table = paper_table(request.name, request.against)
    if request.data is not None:
        table = table.on(request.data)
    source = _Source(request)
    lines = [_line(table, row, d, source) for d in table.columns for row in table.rows]
    if not request.check:
        _check_runnable(lines)
        for line in lines:  # a mistake is to be known before the first of many trains
            check_settings(line, request)
        request.make_folders()
    for line in lines:
        fill(line, request, progress)
    return make_report(table, lines, request)


def _check_runnable(lines: Sequence[Line]) -> None:
    if any(line.dataset is not None for line in lines):
        return
    reasons = dict.fromkeys(line.reason for line in lines)
    raise DatasetNotFoundError("; ".join(reasons))


class _Source:
    """Loads each data set once; keeps the reason where one is missing."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._loaded: dict[str, Dataset | DataError] = {}

    def config(self, row: PaperRow, data: str) -> Config:
        layers = [*self.request.layers, row.settings]
        return Config.resolve(row.model, row.loss, data, layers=layers)

    def load(self, config: Config) -> Dataset | DataError:
        key = json.dumps(config.data.model_dump(), sort_keys=True)
        if key not in self._loaded:
            try:
                self._loaded[key] = self.request.load(config)
            except DataError as error:
                self._loaded[key] = error
        return self._loaded[key]


def _line(table: PaperTable, row: PaperRow, data: str, source: _Source) -> Line:
    config = source.config(row, data)
    dataset = source.load(config)
    metrics = table.columns[data]
    if isinstance(dataset, DataError):
        shown = metrics or _metrics_of(["test"])
        return Line(row, data, config, None, shown, reason=str(dataset))
    config = config.fitted_to(dataset)
    splits = test_splits(dataset.graph)
    return Line(row, data, config, dataset, metrics or _metrics_of(splits))


def _metrics_of(splits: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{split}/{m}" for split in splits for m in MAIN_METRICS)


def make_report(table: PaperTable, lines: Sequence[Line], request: Request) -> Report:
    """Put the numbers together, judge them and, unless it is a check, write files."""
    records = make_records(table, lines)
    report = Report(
        f"{table.name}: {table.title}",
        _head(lines, request),
        make_cells(table, records),
        [*_notes(table, lines, records)],
        {},
        _succeeded(lines, records, request),
    )
    report.summary.update(_summary(report, records, lines, table, request))
    name = request.folder / _stem(table.name, request)
    files = [] if request.check else write_files(report, records, lines, name)
    report.summary["files"] = [str(file) for file in files]
    return report


def _head(lines: Sequence[Line], request: Request) -> list[tuple[str, str]]:
    devices = dict.fromkeys(s.record.get("device", "") for x in lines for s in x.seeds)
    changed = [settings_text(flatten(layer)) for layer in request.layers]
    found = {
        "seeds": _seeds(lines, request),
        "device": ", ".join(devices),
        "changed": " ".join(changed),
    }
    data = dict.fromkeys(x.dataset.fingerprint for x in lines if x.dataset is not None)
    return [
        *(("data", fingerprint) for fingerprint in data),
        *((name, text) for name, text in found.items() if text),
    ]


def _seeds(lines: Sequence[Line], request: Request) -> str:
    asked = seed_text(request.seeds)
    lacking = any(len(line.seeds) < len(request.seeds) for line in lines)
    return f"{asked} asked for, not all are there" if lacking else asked


def _notes(
    table: PaperTable, lines: Sequence[Line], records: Sequence[Record]
) -> Iterator[str]:
    yield from _missing(lines)
    defaults = [line.name for line in lines if not line.is_packaged]
    if defaults:
        yield f"no packaged settings, the method's defaults: {', '.join(defaults)}"
    if any(record["within"] is not None for record in records):
        yield "within: 0.01 of the paper on Coat, 3 % of it elsewhere"
    if table.is_of_times:
        yield "seconds are this machine's and not judged; the paper's are of one V100"
    tested = [record for record in records if "notes" in record]
    if tested:
        yield tests_text(len(tested), table.against)
    yield from note_lines({_name(record): record["notes"] for record in tested})


def _name(record: Record) -> str:
    return f"{record['data']} {record['row']} {record['metric']}"


def _missing(lines: Sequence[Line]) -> Iterator[str]:
    """Give each reason once, with the rows of one data set that it is for."""
    for data, reason in dict.fromkeys((x.data, x.reason) for x in lines if x.reason):
        rows = [x.row.label for x in lines if (x.data, x.reason) == (data, reason)]
        yield f"missing, {data} ({', '.join(rows)}): {reason}"


def _succeeded(
    lines: Sequence[Line], records: Sequence[Record], request: Request
) -> bool:
    if request.check:
        off = any(record["within"] is False for record in records)
        return not off and not any(line.reason for line in lines)
    return not any(line.failed for line in lines)


def _stem(name: str, request: Request) -> str:
    """Return the files' name: what is not the whole table by default has its own."""
    data = [] if request.data is None else [Path(request.data).name]
    path = None if request.data in (None, *data) else request.data
    layers = [layer for layer in request.layers if layer]
    asked = [list(request.seeds), layers, request.against, path]
    if asked == [DEFAULT_SEEDS, [], None, None]:
        return folder_name("-".join([name, *data]))
    digest = sha256(json.dumps(asked).encode()).hexdigest()[:6]
    seeds = seed_text(request.seeds)
    return folder_name("-".join([name, digest, *data, "seeds", seeds]))


def _summary(
    report: Report,
    records: Sequence[Record],
    lines: Sequence[Line],
    table: PaperTable,
    request: Request,
) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "data": [text for name, text in report.head if name == "data"],
        "seeds": list(request.seeds),
        "changed": [*request.layers],
        "against": table.against,
        "succeeded": report.succeeded,
        "rows": [_row(line, records) for line in lines],
        "notes": list(report.notes),
    }


def _row(line: Line, records: Sequence[Record]) -> dict[str, Any]:
    own = [r for r in records if (r["data"], r["row"]) == (line.data, line.row.label)]
    keys = ("data", "row", "model", "loss", "seeds")
    return {
        **{key: own[0][key] for key in keys},
        "missing": line.reason or None,
        "packaged": line.is_packaged,
        "run_dir": str(line.seeds[0].folder.parent) if line.seeds else None,
        "config": line.config.model_dump(mode="json", exclude_none=True),
        "metrics": {
            r["metric"]: {k: v for k, v in r.items() if k not in (*keys, "metric")}
            for r in own
        },
    }
