"""The search for good settings, on the validation split alone (extra ``[tune]``)."""

from pyg_advinfonce.errors import MissingExtraError

try:
    import optuna  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "tuning needs optuna: pip install 'pyg-advinfonce[tune]'"
    ) from error

from pyg_advinfonce.tuning.report import ranked
from pyg_advinfonce.tuning.space import Space, flatten, search_space
from pyg_advinfonce.tuning.storage import FILE
from pyg_advinfonce.tuning.tune import tune
from pyg_advinfonce.tuning.watcher import Watcher

__all__ = ["FILE", "Space", "Watcher", "flatten", "ranked", "search_space", "tune"]
