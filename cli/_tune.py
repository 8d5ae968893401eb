"""The hyperparameter search behind ``advnce tune``."""

import json
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import typer

from pyg_advinfonce.config import flatten
from pyg_advinfonce.errors import counted
from pyg_advinfonce.progress import listener
from pyg_advinfonce.runs import BEST, STUDY, TRIALS, continue_run_folder
from pyg_advinfonce.studies import best_command, setting_text
from pyg_advinfonce.studies.tuning import tune

from ._plan import Plan
from .console import fitted, next_step, on_screen
from .options import FAILED


def run(
    plan: Plan,
    *,
    space: Mapping[str, Any] | None,
    trials: int,
    timeout: float | None,
    device: str,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run or continue a study and print its trials, the best first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    config = plan.resolve()
    dataset = config.load_dataset(plan.data_root, plan.cache_dir)
    name = f"tune-{config.title}"
    bar = listener(not quiet, lines=True)
    bar.say(f"data: {dataset.fingerprint}")
    try:
        summary = tune(
            config,
            dataset,
            folder=partial(continue_run_folder, out, name, mark=STUDY),
            fixed={key for layer in plan.layers for key in flatten(layer)},
            space=space,
            trials=trials,
            timeout=timeout,
            device=device,
            progress=bar,
            **plan.custom,
        )
    except KeyboardInterrupt:
        command = shlex.join(["advnce", *sys.argv[1:]])
        print(f"to continue: {command}", file=sys.stderr)
        raise
    text = study_table(summary, plan.data_root)
    typer.echo(json.dumps(summary) if as_json else text)
    if summary["best"] is None:
        bar.say(f"no trial is complete: see {summary['study_dir']}/{TRIALS}")
        raise typer.Exit(FAILED)


def study_table(summary: Mapping[str, Any], data_root: Path) -> str:
    """Return the best trials, best first, and the study's folder."""
    counts = summary["trials"]
    states = ", ".join(f"{counts[s]} {s}" for s in ("complete", "pruned", "failed"))
    folder = summary["study_dir"]
    lines = [
        f"{summary['model']} + {summary['loss']}, at most "
        f"{counted(summary['epochs'], 'epoch')} per trial: {states}",
        f"data   {on_screen(summary['fingerprint'], indent=7)}",
        "",
        *fitted(_rows(summary)),
        "",
        f"study  {folder}, {summary['seconds']:.1f} s of training",
    ]
    if summary["best"] is not None:
        words = best_command(summary, Path(folder, BEST))
        command = next_step(*words, data=summary["data"], data_root=data_root)
        lines.append(f"next   {command}")
    return "\n".join(lines)


def _rows(summary: Mapping[str, Any]) -> list[list[str]]:
    keys = list(dict.fromkeys(k for row in summary["top"] for k in row["params"]))
    short = [key.split(".")[1] for key in keys]
    names = short if len(set(short)) == len(short) else keys
    rows = [["trial", summary["monitor"], "epoch", *names]]
    for row in summary["top"]:
        mark = " (default)" if row["default"] else ""
        cells = [f"{row['value']:.4f}", str(row["best_epoch"])]
        settings = (setting_text(row["params"].get(key, "")) for key in keys)
        rows.append([f"{row['trial']}{mark}", *cells, *settings])
    return rows
