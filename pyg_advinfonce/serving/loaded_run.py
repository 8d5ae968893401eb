"""A trained run, as it is found again on disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.config import Config
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.serving.export import export
from pyg_advinfonce.serving.recommend import recommend


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """One trained seed; it unpacks into ``config, method, graph``.

    Attributes:
        config: What was trained.
        method: The method with the weights of the best validation epoch.
        graph: The normalised graph.
        fingerprint: The data, in one line.
    """

    config: Config
    method: Method
    graph: HeteroData
    fingerprint: str

    def __repr__(self) -> str:
        config = self.config
        return f"LoadedRun({config.model} + {config.criterion} on {self.fingerprint})"

    def __iter__(self) -> Iterator[Any]:
        return iter((self.config, self.method, self.graph))

    recommend = recommend

    def export(self, path: Path, to: str | None = None) -> Path:
        """Write the embeddings; :func:`~pyg_advinfonce.serving.export.export` says how.

        Model, loss, seed and data are noted in the file.
        """
        notes = {
            "model": self.config.model,
            "loss": self.config.criterion,
            "seed": str(self.config.train.seed),
            "data": self.fingerprint,
        }
        return export(self.method, self.graph, path, to=to, notes=notes)
