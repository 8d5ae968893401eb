"""A run's summary as a table for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyg_advinfonce.config import Config, comparable
from pyg_advinfonce.summary import spread_text


def metrics_table(summary: Mapping[str, Any], fingerprint: str) -> str:
    """Return the metrics by split, the paper's beside them, and where the run lies."""
    rows = split_rows(summary["metrics"])
    (_, *columns), *splits = rows
    paper = comparable(Config.model_validate(summary["config"]))
    for split, *_ in splits:
        known = {c: paper[f"{split}/{c}"] for c in columns if f"{split}/{c}" in paper}
        if known:
            cells = [f"{known[c]:.4f}" if c in known else "" for c in columns]
            rows.append([f"{split}, paper", *cells])
    return "\n".join(
        [*_head(summary, fingerprint), "", *aligned(rows), "", _foot(summary)]
    )


def split_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return the spread of each metric, a row a split, the validation split last."""
    splits = list(dict.fromkeys(name.split("/")[0] for name in metrics))
    columns = list(dict.fromkeys(name.split("/")[1] for name in metrics))
    rows = [["split", *columns]]
    for split in sorted(splits, key=lambda s: s == "valid"):
        rows.append([split, *(spread_text(metrics[f"{split}/{c}"]) for c in columns)])
    return rows


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return lines whose first columns are flush left and the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _head(summary: Mapping[str, Any], fingerprint: str) -> list[str]:
    seeds = ", ".join(map(str, summary["seeds"]))
    epochs = zip(summary["best_epoch"], summary["epochs"], strict=True)
    best = ", ".join(f"{best} of 0-{total - 1}" for best, total in epochs)
    rising = summary["config"]["train"]["epochs"] - 1 in summary["best_epoch"]
    return [
        f"{summary['model']} + {summary['loss']} on {summary['device']}",
        f"data        {fingerprint}",
        f"seeds       {seeds}",
        f"best epoch  {best} (by valid recall@20)",
        *(
            ["note        the last epoch was a best: try more --epochs"]
            if rising
            else []
        ),
    ]


def _foot(summary: Mapping[str, Any]) -> str:
    seconds = summary["seconds_per_epoch"]
    speed = "" if seconds is None else f"{seconds:.4f} s an epoch, "
    return (
        f"{speed}{summary['wall_seconds']:.1f} s in all, "
        f"{summary['peak_rss_mb']:.0f} MB at most\nrun         {summary['run_dir']}"
    )
