"""Users of whom train knows nothing."""

import warnings
from collections.abc import Mapping

import numpy as np

from pyg_advinfonce.datasets.data_warning import DataWarning
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.errors import DataError


def without_cold_users(splits: Mapping[str, Ids]) -> dict[str, Ids]:
    """Leave out the held-out pairs of users that have no train pair.

    Nothing can be learned about them, so that a mean over users would measure how many
    there are. How many pairs were left out is a warning.

    Args:
        splits: Pairs ``[2, E]`` by split, ``train`` among them.

    Raises:
        DataError: If a split would be empty.
    """
    known = np.zeros(
        1 + max(int(pairs[0].max()) for pairs in splits.values()), np.bool_
    )
    known[splits["train"][0]] = True
    kept = {name: pairs[:, known[pairs[0]]] for name, pairs in splits.items()}
    for name, pairs in splits.items():
        cold = np.unique(pairs[0, ~known[pairs[0]]])
        if not kept[name].size:
            raise DataError(f"no user of {name} has a train pair")
        if cold.size:
            warnings.warn(
                f"{len(cold):,} users of {name} have no train pair: their "
                f"{pairs.shape[1] - kept[name].shape[1]:,} pairs are left out",
                DataWarning,
                stacklevel=4,
            )
    return kept
