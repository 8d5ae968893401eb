"""Hyper-parameter search on the validation split alone (extra ``[tune]``)."""

from pyg_advinfonce.errors import MissingExtraError

try:
    import optuna  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "tuning needs optuna: pip install 'pyg-advinfonce[tune]'"
    ) from error

from pyg_advinfonce.studies.tuning.report import ranked, setting_text
from pyg_advinfonce.studies.tuning.space import Space, flatten, search_space
from pyg_advinfonce.studies.tuning.storage import STUDY_FILE
from pyg_advinfonce.studies.tuning.tune import tune

__all__ = [
    "STUDY_FILE",
    "Space",
    "flatten",
    "ranked",
    "search_space",
    "setting_text",
    "tune",
]
