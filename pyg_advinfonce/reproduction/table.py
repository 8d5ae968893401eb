"""A table of the paper, run again."""

import json
from collections.abc import Sequence

from pyg_advinfonce.assemble import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.errors import DataError, DatasetNotFoundError
from pyg_advinfonce.graph import test_splits
from pyg_advinfonce.reproduction.line import Line, fill
from pyg_advinfonce.reproduction.paper_table import PaperRow, PaperTable, paper_table
from pyg_advinfonce.reproduction.report import make_report
from pyg_advinfonce.reproduction.request import Report, Request, Watcher


def reproduce_table(request: Request, watcher: Watcher) -> Report:
    """Run what is missing of a table, or one row of it, and set it beside the paper.

    Finished runs are found again by their settings and the data; an interrupted seed is
    trained anew, those before it stay. Writes Markdown, LaTeX and CSV, unless it is
    a check.

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
        request.make_folders()
    for line in lines:
        fill(line, request, watcher)
    return make_report(table, lines, request)


class _Source:
    """Loads each data set once; keeps the reason where one is missing."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._loaded: dict[str, Dataset | DataError] = {}

    def config(self, row: PaperRow, data: str) -> Config:
        layers = [*self.request.layers, row.settings]
        return Config.resolve(row.model, row.loss, data, layers=layers)

    def load(self, config: Config) -> Dataset | DataError:
        key = json.dumps([config.dataset, config.data], sort_keys=True)
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
    # A mistake is to be known before the first of many rows trains. The trainer is not
    # kept: those of all rows would not fit into memory.
    assemble(config, dataset, device=source.request.device)
    splits = test_splits(dataset.graph)
    return Line(row, data, config, dataset, metrics or _metrics_of(splits))


def _metrics_of(splits: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{split}/{m}" for split in splits for m in ("recall@20", "ndcg@20"))


def _check_runnable(lines: Sequence[Line]) -> None:
    if any(line.dataset is not None for line in lines):
        return
    reasons = dict.fromkeys(line.reason for line in lines)
    raise DatasetNotFoundError("; ".join(reasons))
