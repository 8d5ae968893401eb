"""Data sets: published, simulated, and any table or folder of split files.

Names are imported on first use, so that names and files are checked without torch.
"""

from typing import TYPE_CHECKING

from pyg_advinfonce.lazy import lazy_names

if TYPE_CHECKING:
    from pyg_advinfonce.datasets.folder import (
        Dataset,
        InteractionDataset,
        PublishedDataset,
    )
    from pyg_advinfonce.datasets.graph_dataset import as_dataset
    from pyg_advinfonce.datasets.load import load_dataset, load_named
    from pyg_advinfonce.datasets.profiles import Profile, SplitProfile, profile
    from pyg_advinfonce.datasets.split_folder import make_split, save_simulated
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Dataset": "folder",
        "InteractionDataset": "folder",
        "Profile": "profiles",
        "PublishedDataset": "folder",
        "SplitProfile": "profiles",
        "TableDataset": "table",
        "as_dataset": "graph_dataset",
        "load_dataset": "load",
        "load_named": "load",
        "make_split": "split_folder",
        "profile": "profiles",
        "save_simulated": "split_folder",
    },
)
