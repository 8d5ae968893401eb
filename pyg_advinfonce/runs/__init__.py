"""Runs on disk: folders, seeds, summaries and trained models.

What needs torch is imported on first use, so that runs are listed without it.
"""

from typing import TYPE_CHECKING

from pyg_advinfonce.lazy import lazy_names
from pyg_advinfonce.runs.finished import (
    TIMES,
    FinishedSeed,
    Outcome,
    check_data,
    epoch_text,
    find_seed,
    is_same_data,
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
    is_seed_name,
    run_lock,
    seed_folders,
    seed_path,
    trained_seed,
)
from pyg_advinfonce.runs.listing import (
    Run,
    Start,
    StudySummary,
    find_run,
    find_seeds,
    list_runs,
    list_studies,
    read_starts,
)
from pyg_advinfonce.runs.summary import (
    mean_and_std,
    mean_and_std_text,
    run_summary,
    seed_text,
)

if TYPE_CHECKING:
    from pyg_advinfonce.runs.card import card_path, write_card
    from pyg_advinfonce.runs.resume import check_settings
    from pyg_advinfonce.runs.seed_folder import SeedFolder
    from pyg_advinfonce.runs.trained import Result, load_data, load_run

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
    "Run",
    "SeedFolder",
    "Start",
    "StudySummary",
    "card_path",
    "check_data",
    "check_settings",
    "continue_run_folder",
    "create_run_folder",
    "epoch_text",
    "find_run",
    "find_seed",
    "find_seeds",
    "folder_name",
    "is_same_data",
    "is_seed_name",
    "list_runs",
    "list_studies",
    "load_data",
    "load_per_user",
    "load_run",
    "mean_and_std",
    "mean_and_std_text",
    "read_run",
    "read_seed",
    "read_starts",
    "run_lock",
    "run_summary",
    "seed_folders",
    "seed_path",
    "seed_text",
    "trained_seed",
    "write_card",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Result": "trained",
        "SeedFolder": "seed_folder",
        "card_path": "card",
        "check_settings": "resume",
        "load_data": "trained",
        "load_run": "trained",
        "write_card": "card",
    },
)
