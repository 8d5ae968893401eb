"""Hyper-parameter search on the validation split alone (extra ``[tune]``)."""

# ruff: noqa: E402

from pyg_advinfonce.errors import optional_package

optional_package("optuna")  # before a module of ours imports it without more ado

from pyg_advinfonce.studies.tuning.report import ranked, setting_text
from pyg_advinfonce.studies.tuning.space import Space, search_space
from pyg_advinfonce.studies.tuning.storage import STUDY_FILE
from pyg_advinfonce.studies.tuning.tune import tune

__all__ = [
    "STUDY_FILE",
    "Space",
    "ranked",
    "search_space",
    "setting_text",
    "tune",
]
