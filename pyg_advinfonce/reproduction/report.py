"""What is said of a table that was run again: to a person, as JSON, in files."""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyg_advinfonce.analysis.note_lines import note_lines
from pyg_advinfonce.reproduction.cells import make_cells
from pyg_advinfonce.reproduction.files import write_files
from pyg_advinfonce.reproduction.line import Line
from pyg_advinfonce.reproduction.paper_table import PaperTable
from pyg_advinfonce.reproduction.records import Record, make_records
from pyg_advinfonce.reproduction.request import Report, Request
from pyg_advinfonce.run_folder import folder_name
from pyg_advinfonce.seed_text import seed_text

DEFAULT_SEEDS = [0, 1, 2, 3, 4]


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
    changed = [
        f"{section}.{key}={value}"
        for layer in request.layers
        for section, keys in layer.items()
        for key, value in keys.items()
    ]
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
        yield (
            "p: paired t-test over seeds and paired bootstrap over users, two-sided, "
            f"Holm-corrected over {len(tested)} comparisons with {table.against}"
        )
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
