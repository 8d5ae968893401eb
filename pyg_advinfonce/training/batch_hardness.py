"""What a trained adversary thinks of a batch's negatives."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.methods.base import Method


@torch.no_grad()
def batch_hardness(method: Method, graph: HeteroData, batch: EdgeBatch) -> Tensor:
    """Return the hardness ``[B, K]`` of the negatives, for unperturbed embeddings.

    Args:
        method: A method whose criterion has a hardness; it is left in evaluation mode.
        graph: The graph that the batch's rows are of.
        batch: The batch.
    """
    z = method.eval().encoder(graph, perturb=False)
    x_user, x_item = z.layers[0]
    hardness: Any = method.criterion.hardness
    delta: Tensor = hardness(z.user, z.item, batch, x_user=x_user, x_item=x_item)
    return delta
