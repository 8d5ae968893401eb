"""Runs on disk: folders, seeds, summaries and trained models."""

from pyg_advinfonce.runs.card import write_card
from pyg_advinfonce.runs.finished import (
    TIMES,
    FinishedSeed,
    Outcome,
    check_data,
    find_seed,
    load_per_user,
    read_run,
    read_seed,
)
from pyg_advinfonce.runs.folder import (
    BEST,
    CONFIG,
    LOCK,
    RUNS,
    STATE,
    STUDY,
    SUMMARY,
    TRIALS,
    continue_run_folder,
    create_run_folder,
    folder_name,
    run_lock,
    seed_folders,
    seed_path,
)
from pyg_advinfonce.runs.resume import check_settings
from pyg_advinfonce.runs.seed_folder import SeedFolder
from pyg_advinfonce.runs.summary import (
    mean_and_std,
    mean_and_std_text,
    run_summary,
    seed_text,
)
from pyg_advinfonce.runs.trained import Result, load_run

__all__ = [
    "BEST",
    "CONFIG",
    "LOCK",
    "RUNS",
    "STATE",
    "STUDY",
    "SUMMARY",
    "TIMES",
    "TRIALS",
    "FinishedSeed",
    "Outcome",
    "Result",
    "SeedFolder",
    "check_data",
    "check_settings",
    "continue_run_folder",
    "create_run_folder",
    "find_seed",
    "folder_name",
    "load_per_user",
    "load_run",
    "mean_and_std",
    "mean_and_std_text",
    "read_run",
    "read_seed",
    "run_lock",
    "run_summary",
    "seed_folders",
    "seed_path",
    "seed_text",
    "write_card",
]
