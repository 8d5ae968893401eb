"""Random user-item graphs of the published data sets' sizes."""

from functools import cache

import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.keys import pair_keys, pairs_of
from pyg_advinfonce.transforms import BipartiteNorm

SIZES = {  # users, items, train pairs
    "coat": (290, 295, 1_363),
    "yahoo": (14_382, 1_000, 88_684),
    "kuairec": (7_176, 10_728, 1_087_278),
    "gowalla": (29_858, 40_981, 810_128),
    "tencent": (95_709, 41_602, 1_771_533),
}


@cache
def random_graph(size: str, device: torch.device) -> HeteroData:
    """Draw that many pairs, items by a power law, with normalised weights; once."""
    num_users, num_items, num_pairs = SIZES[size]
    generator = torch.Generator().manual_seed(0)
    weight = torch.arange(1, num_items + 1).double().pow(-0.7)
    keys = torch.empty(0, dtype=torch.long)
    while keys.numel() < num_pairs:
        user = torch.randint(num_users, (num_pairs,), generator=generator)
        item = torch.multinomial(weight, num_pairs, True, generator=generator)
        keys = torch.unique(torch.cat([keys, pair_keys(user, item)]))
    keys = keys[torch.randperm(keys.numel(), generator=generator)[:num_pairs]]
    pairs = torch.stack(pairs_of(keys))
    graph = build_graph(pairs, num_users=num_users, num_items=num_items)
    normalised: HeteroData = BipartiteNorm()(graph).to(device)
    return normalised
