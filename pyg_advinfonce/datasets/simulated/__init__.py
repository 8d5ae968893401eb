"""Simulated data, missing not at random."""

from pyg_advinfonce.datasets.simulated.dataset import Simulated
from pyg_advinfonce.datasets.simulated.truth import SIZES

__all__ = [
    "SIZES",
    "Simulated",
]
