"""Data sets: published, simulated, and any table or folder of split files."""

from pyg_advinfonce.datasets.folder import Dataset, InteractionDataset
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.datasets.make_split import make_split, save_simulated
from pyg_advinfonce.datasets.profile import Profile, SplitProfile, profile
from pyg_advinfonce.datasets.sets import Coat, KuaiRec, Tencent, Yahoo
from pyg_advinfonce.datasets.table import TableDataset

__all__ = [
    "Coat",
    "Dataset",
    "InteractionDataset",
    "KuaiRec",
    "Profile",
    "SplitProfile",
    "TableDataset",
    "Tencent",
    "Yahoo",
    "load_dataset",
    "make_split",
    "profile",
    "save_simulated",
]
