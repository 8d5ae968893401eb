"""Ranking metrics on held-out splits."""

from pyg_advinfonce.evaluation.evaluator import Evaluator
from pyg_advinfonce.evaluation.metrics import RankedLists, UserMetrics
from pyg_advinfonce.evaluation.ranking import CandidateRanking

__all__ = [
    "CandidateRanking",
    "Evaluator",
    "RankedLists",
    "UserMetrics",
]
