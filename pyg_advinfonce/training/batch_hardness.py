"""What a trained adversary thinks of a batch's negatives."""

from typing import Any

import torch
from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders.base import Embeddings
from pyg_advinfonce.methods.base import Method


@torch.no_grad()
def batch_hardness(method: Method, z: Embeddings, batch: EdgeBatch) -> Tensor:
    """Return the hardness ``[B, K]`` of the negatives.

    Args:
        method: A method whose criterion has a hardness; it is left in evaluation mode.
        z: What :meth:`Method.encode` makes of the graph that the batch's rows are of.
        batch: The batch.
    """
    x_user, x_item = z.layers[0]
    hardness: Any = method.eval().criterion.hardness
    delta: Tensor = hardness(z.user, z.item, batch, x_user=x_user, x_item=x_item)
    return delta
