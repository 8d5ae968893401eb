"""Data sets: published, simulated, and any table or folder of split files."""

from pyg_advinfonce.datasets.folder import (
    Dataset,
    InteractionDataset,
    PublishedDataset,
)
from pyg_advinfonce.datasets.graph_dataset import as_dataset
from pyg_advinfonce.datasets.load import load_dataset, load_named
from pyg_advinfonce.datasets.make_split import make_split, save_simulated
from pyg_advinfonce.datasets.profile import Profile, SplitProfile, profile
from pyg_advinfonce.datasets.table import TableDataset

__all__ = [
    "Dataset",
    "InteractionDataset",
    "Profile",
    "PublishedDataset",
    "SplitProfile",
    "TableDataset",
    "as_dataset",
    "load_dataset",
    "load_named",
    "make_split",
    "profile",
    "save_simulated",
]
