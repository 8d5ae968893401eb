"""Reproduction of a table of the paper."""

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
from pyg_advinfonce.studies.paper.paper_table import PaperRow, PaperTable, paper_table
from pyg_advinfonce.studies.paper.request import Reproduction, Request
from pyg_advinfonce.studies.paper.results import (
    Measurement,
    TableRow,
    check_settings,
    make_measurements,
    train_missing,
)

DEFAULT_SEEDS = [0, 1, 2, 3, 4]


def reproduce_table(request: Request, progress: Progress = Progress()) -> Reproduction:
    """Train the missing runs of a table or row and compare them with the paper.

    Finished runs with the same settings and data are reused; an interrupted seed is
    resumed. The table is written as Markdown, LaTeX and CSV. With ``request.check``,
    nothing is trained or written.

    Raises:
        ConfigError: If a name or setting is wrong.
        DatasetNotFoundError: If the data of all rows is missing and ``request.check``
            is False.
    """
    table = paper_table(request.name, request.against)
    if request.data is not None:
        table = table.on(request.data)
    source = _Source(request)
    rows = [
        _table_row(table, paper_row, data, source)
        for data in table.columns
        for paper_row in table.rows
    ]
    if not request.check:
        _check_runnable(rows)
        for row in rows:  # find wrong settings before hours of training
            check_settings(row, request)
        request.make_folders()
    for row in rows:
        train_missing(row, request, progress)
    return make_reproduction(table, rows, request)


def _check_runnable(rows: Sequence[TableRow]) -> None:
    if any(row.dataset is not None for row in rows):
        return
    first, *others = dict.fromkeys(row.reason for row in rows)
    error = DatasetNotFoundError(first)
    for reason in others:
        error.add_note(reason)
    raise error


class _Source:
    """Loads each data set once; keeps the error if it is missing."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._loaded: dict[str, Dataset | DataError] = {}

    def config(self, paper_row: PaperRow, data: str) -> Config:
        layers = [*self.request.layers, paper_row.settings]
        return Config.resolve(paper_row.model, paper_row.loss, data, layers=layers)

    def load(self, config: Config) -> Dataset | DataError:
        key = json.dumps(config.data.model_dump(), sort_keys=True)
        if key not in self._loaded:
            try:
                self._loaded[key] = self.request.load(config)
            except DataError as error:
                self._loaded[key] = error
        return self._loaded[key]


def _table_row(
    table: PaperTable, paper_row: PaperRow, data: str, source: _Source
) -> TableRow:
    config = source.config(paper_row, data)
    dataset = source.load(config)
    metrics = table.columns[data]
    if isinstance(dataset, DataError):
        shown = metrics or _metrics_of(["test"])
        return TableRow(paper_row, data, config, None, shown, reason=str(dataset))
    config = config.fitted_to(dataset)
    splits = test_splits(dataset.graph)
    return TableRow(paper_row, data, config, dataset, metrics or _metrics_of(splits))


def _metrics_of(splits: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{split}/{m}" for split in splits for m in MAIN_METRICS)


def make_reproduction(
    table: PaperTable, rows: Sequence[TableRow], request: Request
) -> Reproduction:
    """Compare the numbers with the paper; write files unless ``request.check``."""
    measurements = make_measurements(table, rows)
    reproduction = Reproduction(
        f"{table.name}: {table.title}",
        _head(rows, request),
        make_cells(table, measurements),
        [*_notes(table, rows, measurements)],
        {},
        _succeeded(rows, measurements, request),
    )
    reproduction.summary.update(
        _summary(reproduction, measurements, rows, table, request)
    )
    name = request.folder / _stem(table.name, request)
    files = [] if request.check else write_files(reproduction, measurements, rows, name)
    reproduction.summary["files"] = [str(file) for file in files]
    return reproduction


def _head(rows: Sequence[TableRow], request: Request) -> list[tuple[str, str]]:
    devices = dict.fromkeys(s.outcome.device for x in rows for s in x.seeds)
    changed = [settings_text(flatten(layer)) for layer in request.layers]
    found = {
        "seeds": _seeds(rows, request),
        "device": ", ".join(devices),
        "changed": " ".join(changed),
    }
    data = dict.fromkeys(x.dataset.fingerprint for x in rows if x.dataset is not None)
    return [
        *(("data", fingerprint) for fingerprint in data),
        *((name, text) for name, text in found.items() if text),
    ]


def _seeds(rows: Sequence[TableRow], request: Request) -> str:
    asked = seed_text(request.seeds)
    lacking = any(len(row.seeds) < len(request.seeds) for row in rows)
    return f"{asked} requested, some are missing" if lacking else asked


def _notes(
    table: PaperTable, rows: Sequence[TableRow], measurements: Sequence[Measurement]
) -> Iterator[str]:
    yield from _missing(rows)
    if table.note and any(
        row.numbers.get(d) for row in table.rows for d in table.columns
    ):
        yield table.note
    defaults = [row.name for row in rows if not row.is_packaged]
    if defaults:
        yield f"no packaged settings, the model's defaults: {', '.join(defaults)}"
    if any(measurement["within"] is not None for measurement in measurements):
        yield "within: 0.01 of the paper on Coat, 3 % of it elsewhere"
    if table.is_of_times:
        yield "seconds are of this machine and not checked; the paper's are of one V100"
    tested = [measurement for measurement in measurements if "notes" in measurement]
    if tested:
        yield tests_text(len(tested), table.against)
    yield from note_lines(
        {_name(measurement): measurement["notes"] for measurement in tested}
    )


def _name(measurement: Measurement) -> str:
    return f"{measurement['data']} {measurement['row']} {measurement['metric']}"


def _missing(rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield each reason once, with its data set and rows."""
    for data, reason in dict.fromkeys((x.data, x.reason) for x in rows if x.reason):
        same = [row for row in rows if (row.data, row.reason) == (data, reason)]
        labels = ", ".join(row.paper_row.label for row in same)
        yield f"missing, {data} ({labels}): {reason}"


def _succeeded(
    rows: Sequence[TableRow], measurements: Sequence[Measurement], request: Request
) -> bool:
    if request.check:
        off = any(measurement["within"] is False for measurement in measurements)
        return not off and not any(row.reason for row in rows)
    return not any(row.failed for row in rows)


def _stem(name: str, request: Request) -> str:
    """Return the files' name, with a hash unless the request is the default."""
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
    reproduction: Reproduction,
    measurements: Sequence[Measurement],
    rows: Sequence[TableRow],
    table: PaperTable,
    request: Request,
) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "data": [text for name, text in reproduction.head if name == "data"],
        "seeds": list(request.seeds),
        "changed": [*request.layers],
        "against": table.against,
        "succeeded": reproduction.succeeded,
        "rows": [_row_summary(row, measurements) for row in rows],
        "notes": list(reproduction.notes),
    }


def _row_summary(row: TableRow, measurements: Sequence[Measurement]) -> dict[str, Any]:
    own = [
        r
        for r in measurements
        if (r["data"], r["row"]) == (row.data, row.paper_row.label)
    ]
    keys = ("data", "row", "model", "loss", "seeds")
    return {
        **{key: own[0][key] for key in keys},
        "missing": row.reason or None,
        "packaged": row.is_packaged,
        "run_dir": str(row.seeds[0].folder.parent) if row.seeds else None,
        "config": row.config.model_dump(mode="json", exclude_none=True),
        "metrics": {
            r["metric"]: {k: v for k, v in r.items() if k not in (*keys, "metric")}
            for r in own
        },
    }
