"""Simulated data that is missing not at random."""

from pyg_advinfonce.datasets.simulated.dataset import Simulated
from pyg_advinfonce.datasets.simulated.preference import SIZES

__all__ = [
    "SIZES",
    "Simulated",
]
