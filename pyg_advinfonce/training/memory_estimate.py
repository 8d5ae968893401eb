"""Whether training can fit into memory at all."""

import os
from dataclasses import dataclass

import torch

from pyg_advinfonce.errors import ConfigError

_FLOAT, _ID, _GB = 4, 8, 1e9


@dataclass(frozen=True)
class MemoryEstimate:
    """The least bytes that a training step holds at once, whatever is trained.

    Propagation, the adversary and an evaluation come on top.

    Attributes:
        tables: Users' and items' embeddings, their gradients and Adam's two moments.
        batch: Negatives with a score and its gradient each.
    """

    tables: int
    batch: int

    @classmethod
    def of(
        cls, *, num_nodes: int, dim: int, batch_size: int, num_negatives: int
    ) -> "MemoryEstimate":
        """Estimate from the sizes that a configuration sets."""
        tables = 4 * num_nodes * dim * _FLOAT
        return cls(tables, batch_size * num_negatives * (_ID + 2 * _FLOAT))

    def check(self, device: torch.device) -> None:
        """Refuse what clearly cannot fit.

        Raises:
            ConfigError: If a device has less memory, in use or not.
        """
        needed, there = self.tables + self.batch, memory_of(device)
        if needed <= there:
            return
        raise ConfigError(
            f"training needs at least {needed / _GB:.1f} GB, {device} has "
            f"{there / _GB:.1f} GB: lower encoder.dim (embeddings and optimiser take "
            f"{self.tables / _GB:.1f} GB), or train.batch_size or train.num_negatives "
            f"(a batch takes {self.batch / _GB:.1f} GB)"
        )


def memory_of(device: torch.device) -> float:
    """Return a device's bytes of memory, infinity where nobody tells."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type != "cpu":
        return float("inf")
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
