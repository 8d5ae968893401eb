"""Runs on disk: folders, seeds, summaries, trained models."""

from pyg_advinfonce.runs.finished import (
    TIMES,
    FinishedSeed,
    check_data,
    load_per_user,
    read_run,
    read_seed,
)
from pyg_advinfonce.runs.folder import (
    continue_run_folder,
    create_run_folder,
    folder_name,
    run_lock,
    seed_folders,
)
from pyg_advinfonce.runs.seed_folder import STATE, SeedFolder, check_settings
from pyg_advinfonce.runs.summary import seed_text, spread, spread_text, summarize
from pyg_advinfonce.runs.trained import LoadedRun, Result, load_run

__all__ = [
    "STATE",
    "TIMES",
    "FinishedSeed",
    "LoadedRun",
    "Result",
    "SeedFolder",
    "check_data",
    "check_settings",
    "continue_run_folder",
    "create_run_folder",
    "folder_name",
    "load_per_user",
    "load_run",
    "read_run",
    "read_seed",
    "run_lock",
    "seed_folders",
    "seed_text",
    "spread",
    "spread_text",
    "summarize",
]
