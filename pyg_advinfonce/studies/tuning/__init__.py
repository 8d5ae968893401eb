"""Hyper-parameter search on the validation split alone (extra ``[tune]``)."""

# ruff: noqa: E402

from pyg_advinfonce.errors import optional_package

optional_package("optuna")  # before a module of this package imports it

from pyg_advinfonce.studies.tuning.space import Space, search_space
from pyg_advinfonce.studies.tuning.tune import tune

__all__ = [
    "Space",
    "search_space",
    "tune",
]
