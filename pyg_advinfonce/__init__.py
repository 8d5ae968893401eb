"""Contrastive collaborative filtering on PyTorch Geometric, around AdvInfoNCE.

Names are imported when they are first used: importing this package loads neither torch
nor PyG.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyg_advinfonce.batch import EdgeBatch
    from pyg_advinfonce.config import Config
    from pyg_advinfonce.datasets.load import load_dataset
    from pyg_advinfonce.encoders.lightgcn import LightGCN
    from pyg_advinfonce.experiment import Result, load_run, train
    from pyg_advinfonce.graph import (
        INTERACTS,
        REV_INTERACTS,
        build_graph,
        message_graph,
    )
    from pyg_advinfonce.hardness import (
        EmbeddingHardness,
        Hardness,
        MLPHardness,
        RandomHardness,
        UniformHardness,
    )
    from pyg_advinfonce.losses import BPR, DCL, AdvInfoNCE, Criterion, InfoNCE
    from pyg_advinfonce.training.evaluator import Evaluator
    from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm
    from pyg_advinfonce.transforms.edge_drop import EdgeDrop
    from pyg_advinfonce.transforms.node_drop import NodeDrop
    from pyg_advinfonce.transforms.random_walk_drop import RandomWalkDrop

__version__ = "0.1.0"

_HOME = {
    "AdvInfoNCE": "losses.adv_infonce",
    "BPR": "losses.bpr",
    "BipartiteNorm": "transforms.bipartite_norm",
    "Config": "config",
    "Criterion": "losses.base",
    "DCL": "losses.dcl",
    "EdgeBatch": "batch",
    "EdgeDrop": "transforms.edge_drop",
    "EmbeddingHardness": "hardness",
    "Evaluator": "training.evaluator",
    "Hardness": "hardness",
    "INTERACTS": "graph",
    "InfoNCE": "losses.infonce",
    "LightGCN": "encoders.lightgcn",
    "MLPHardness": "hardness",
    "NodeDrop": "transforms.node_drop",
    "REV_INTERACTS": "graph",
    "RandomHardness": "hardness",
    "RandomWalkDrop": "transforms.random_walk_drop",
    "Result": "experiment",
    "UniformHardness": "hardness",
    "build_graph": "graph",
    "load_dataset": "datasets.load",
    "load_run": "experiment",
    "message_graph": "graph",
    "train": "experiment",
}

__all__ = [
    "BPR",
    "DCL",
    "INTERACTS",
    "REV_INTERACTS",
    "AdvInfoNCE",
    "BipartiteNorm",
    "Config",
    "Criterion",
    "EdgeBatch",
    "EdgeDrop",
    "EmbeddingHardness",
    "Evaluator",
    "Hardness",
    "InfoNCE",
    "LightGCN",
    "MLPHardness",
    "NodeDrop",
    "RandomHardness",
    "RandomWalkDrop",
    "Result",
    "UniformHardness",
    "build_graph",
    "load_dataset",
    "load_run",
    "message_graph",
    "train",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
