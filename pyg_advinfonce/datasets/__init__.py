"""Data sets: published, simulated, and any table or folder of split files."""

from pyg_advinfonce.datasets.coat import Coat
from pyg_advinfonce.datasets.folder import Dataset, InteractionDataset
from pyg_advinfonce.datasets.graph_dataset import as_dataset
from pyg_advinfonce.datasets.kuairec import KuaiRec
from pyg_advinfonce.datasets.load import load_dataset, load_named
from pyg_advinfonce.datasets.make_split import make_split, save_simulated
from pyg_advinfonce.datasets.profile import Profile, SplitProfile, profile
from pyg_advinfonce.datasets.table import TableDataset
from pyg_advinfonce.datasets.tencent import Tencent
from pyg_advinfonce.datasets.yahoo import Yahoo

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
    "as_dataset",
    "load_dataset",
    "load_named",
    "make_split",
    "profile",
    "save_simulated",
]
