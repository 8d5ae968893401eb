"""Files of a study beside its storage: best settings, table of trials, summary."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from pyg_advinfonce.config import NAMED, Config, unflatten
from pyg_advinfonce.files import without_formulas, write_text, writing
from pyg_advinfonce.machine import versions
from pyg_advinfonce.runs import BEST, SUMMARY, TRIALS
from pyg_advinfonce.studies import ranked_trials, setting_text
from pyg_advinfonce.studies.tuning.space import Params
from pyg_advinfonce.studies.tuning.storage import (
    is_finished,
    is_of_default,
    settings_of,
)
from pyg_advinfonce.training import Trainer

NUM_TOP = 10
COLUMNS = ("trial", "state", "value", "default", "best_epoch", "epochs", "seconds")
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def save_study(
    study: Study, config: Config, fixed: Collection[str], folder: Path
) -> dict[str, Any]:
    """Write ``best.toml``, ``trials.csv`` and ``summary.json``; return the last."""
    trials = study.get_trials(deepcopy=False)
    rows = [trial_row(trial) for trial in trials if trial.state.is_finished()]
    summary = study_summary(study, config, rows, folder)
    best = summary["best"]
    with writing(folder):
        if best is not None:
            write_text(folder / BEST, _settings(config, fixed, best["params"]))
        write_text(folder / TRIALS, _csv(rows))
        write_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    return summary


def trial_row(trial: FrozenTrial) -> dict[str, Any]:
    """Return an ended trial as a row of ``trials.csv``, with settings in ``params``."""
    notes, duration = trial.user_attrs, trial.duration  # of a clock that may be set
    interrupted = trial.state == TrialState.FAIL and not is_finished(trial)
    return {
        "trial": trial.number,
        "state": "interrupted" if interrupted else STATES[trial.state],
        "value": trial.value,
        "default": is_of_default(trial),
        "best_epoch": notes.get("best_epoch"),
        "epochs": notes.get("epochs"),
        "seconds": max(0.0, round(duration.total_seconds(), 3)) if duration else None,
        "params": notes.get("settings", {}),
        "error": notes.get("error"),
    }


def trial_text(row: Mapping[str, Any]) -> str:
    """Return one line about an ended trial."""
    value = "" if row["value"] is None else f" {row['value']:.4f}"
    mark = " (default)" if row["default"] else ""
    error = f": {row['error']}" if row["error"] else ""
    return f"trial {row['trial']}{mark} {row['state']}{value}{error}"


def params_text(params: Params) -> str:
    """Return a trial's settings in one line."""
    return " ".join(f"{name}={setting_text(value)}" for name, value in params.items())


def study_summary(
    study: Study, config: Config, rows: list[dict[str, Any]], folder: Path
) -> dict[str, Any]:
    """Return a JSON-ready object about a study."""
    top = [row for row in ranked_trials(rows) if row["state"] == "complete"]
    default = next((row["value"] for row in top if row["default"]), None)
    counts = {state: 0 for state in ("complete", "pruned", "failed")}
    for row in rows:
        if row["state"] in counts:
            counts[row["state"]] += 1
    return {
        "model": config.model.name,
        "loss": config.loss.name,
        "data": config.data.name,
        "fingerprint": settings_of(study)["data"],
        "monitor": Trainer.monitor,
        "trials": {"finished": sum(counts.values()), **counts},
        "epochs": config.train.epochs,
        "seed": config.train.seed,
        "best": next(iter(top), None),
        "default_value": default,
        "top": top[:NUM_TOP],
        "seconds": round(sum(row["seconds"] or 0.0 for row in rows), 3),
        "versions": versions("optuna"),
        "study_dir": str(folder),
    }


def _settings(config: Config, fixed: Collection[str], params: Params) -> str:
    """Return a file for ``advnce train --config``: fixed and found settings.

    The epochs of a trial are a budget of the search: they count only if searched.
    """
    known = config.flat()
    names = [
        *(f"{section}.name" for section in NAMED),
        *sorted({*fixed} - {"train.epochs"}),
    ]
    found = {key: known[key] for key in names if key in known}
    return tomli_w.dumps(unflatten(found | params))


def _csv(rows: list[dict[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row["params"]))
    cells = [{**row, **row["params"]} for row in rows]
    # As objects, so that integers stay integers beside empty cells.
    table = pd.DataFrame(cells, columns=[*COLUMNS, *keys, "error"], dtype=object)
    return without_formulas(table).to_csv(index=False, lineterminator="\n")
