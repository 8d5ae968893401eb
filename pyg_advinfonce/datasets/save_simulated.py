"""Simulated data as a folder of split files."""

from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.datasets.split_files import SplitPairs
from pyg_advinfonce.datasets.splits.recipe import Recipe
from pyg_advinfonce.datasets.splits.split_folder import SplitFolder, make_split_folder
from pyg_advinfonce.graph import ITEM, num_nodes, split_edges, split_names


def save_simulated(
    out: Path,
    *,
    size: str = "coat",
    popularity_bias: float = 1.0,
    seed: int = 0,
    overwrite: bool = False,
) -> SplitFolder:
    """Write what :class:`~.simulated.Simulated` makes; raw ids are its rows.

    Args:
        out: The folder to write.
        size: Argument of the simulation.
        popularity_bias: Argument of the simulation.
        seed: Argument of the simulation.
        overwrite: Whether splits by other options are replaced.

    Raises:
        UnknownNameError: If there is no such size.
        ConfigError: If an argument is out of range or the folder is taken.
    """
    options = {"size": size, "popularity_bias": float(popularity_bias), "seed": seed}
    recipe = Recipe({}, {"kind": "simulated", **options})

    def simulate() -> SplitPairs:
        return _splits(Simulated(size, popularity_bias=popularity_bias, seed=seed))

    return make_split_folder(out, recipe, simulate, overwrite=overwrite)


def _splits(dataset: Simulated) -> SplitPairs:
    graph = dataset.graph
    num_users, num_items = num_nodes(graph)
    mask = graph[ITEM].get("candidate_mask")
    return SplitPairs(
        num_users,
        num_items,
        {n: split_edges(graph, n).numpy() for n in ["train", *split_names(graph)]},
        {},
        candidate_mask=None if mask is None else mask.numpy(),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
    )
