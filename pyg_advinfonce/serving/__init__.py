"""Use what was trained: recommend, fold in new users, export."""

from pyg_advinfonce.serving.export import export
from pyg_advinfonce.serving.fold_in import fold_in
from pyg_advinfonce.serving.recommender import Recommender

__all__ = ["Recommender", "export", "fold_in"]
