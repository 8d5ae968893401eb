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
    from pyg_advinfonce.encoders.autocf import AutoCF
    from pyg_advinfonce.encoders.lightgcn import LightGCN
    from pyg_advinfonce.encoders.ultragcn import UltraGCN
    from pyg_advinfonce.encoders.vgae import VGAE
    from pyg_advinfonce.experiment import Result, train
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
    from pyg_advinfonce.load_trained import load_run
    from pyg_advinfonce.losses.adap_tau import AdapTau
    from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
    from pyg_advinfonce.losses.base import Criterion
    from pyg_advinfonce.losses.bc import BC
    from pyg_advinfonce.losses.bce import BCE
    from pyg_advinfonce.losses.bpr import BPR
    from pyg_advinfonce.losses.ccl import CCL
    from pyg_advinfonce.losses.dcl import DCL
    from pyg_advinfonce.losses.directau import DirectAU
    from pyg_advinfonce.losses.hdccf import HDCCF
    from pyg_advinfonce.losses.infonce import InfoNCE
    from pyg_advinfonce.losses.sdro import SDRO
    from pyg_advinfonce.losses.xir import XIR
    from pyg_advinfonce.serving.fold_in import fold_in
    from pyg_advinfonce.serving.recommender import Recommender
    from pyg_advinfonce.terms.autocf_loss import AutoCFLoss
    from pyg_advinfonce.terms.invcf import InvCF
    from pyg_advinfonce.training.evaluator import Evaluator
    from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm
    from pyg_advinfonce.transforms.edge_drop import EdgeDrop
    from pyg_advinfonce.transforms.joint_graph import JointGraph
    from pyg_advinfonce.transforms.node_drop import NodeDrop
    from pyg_advinfonce.transforms.random_links import RandomLinks
    from pyg_advinfonce.transforms.random_walk_drop import RandomWalkDrop
    from pyg_advinfonce.transforms.subgraph_mask import SubgraphMask

__version__ = "0.1.0"

_HOME = {
    "AdapTau": "losses.adap_tau",
    "AdvInfoNCE": "losses.adv_infonce",
    "AutoCF": "encoders.autocf",
    "AutoCFLoss": "terms.autocf_loss",
    "BC": "losses.bc",
    "BCE": "losses.bce",
    "BPR": "losses.bpr",
    "BipartiteNorm": "transforms.bipartite_norm",
    "CCL": "losses.ccl",
    "Config": "config",
    "Criterion": "losses.base",
    "DCL": "losses.dcl",
    "DirectAU": "losses.directau",
    "EdgeBatch": "batch",
    "EdgeDrop": "transforms.edge_drop",
    "EmbeddingHardness": "hardness",
    "Evaluator": "training.evaluator",
    "HDCCF": "losses.hdccf",
    "Hardness": "hardness",
    "INTERACTS": "graph",
    "InfoNCE": "losses.infonce",
    "InvCF": "terms.invcf",
    "JointGraph": "transforms.joint_graph",
    "LightGCN": "encoders.lightgcn",
    "MLPHardness": "hardness",
    "NodeDrop": "transforms.node_drop",
    "REV_INTERACTS": "graph",
    "RandomHardness": "hardness",
    "RandomLinks": "transforms.random_links",
    "RandomWalkDrop": "transforms.random_walk_drop",
    "Recommender": "serving.recommender",
    "Result": "experiment",
    "SDRO": "losses.sdro",
    "SubgraphMask": "transforms.subgraph_mask",
    "UltraGCN": "encoders.ultragcn",
    "UniformHardness": "hardness",
    "VGAE": "encoders.vgae",
    "XIR": "losses.xir",
    "build_graph": "graph",
    "fold_in": "serving.fold_in",
    "load_dataset": "datasets.load",
    "load_run": "load_trained",
    "message_graph": "graph",
    "train": "experiment",
}

__all__ = [
    "BC",
    "BCE",
    "BPR",
    "CCL",
    "DCL",
    "HDCCF",
    "INTERACTS",
    "REV_INTERACTS",
    "SDRO",
    "VGAE",
    "XIR",
    "AdapTau",
    "AdvInfoNCE",
    "AutoCF",
    "AutoCFLoss",
    "BipartiteNorm",
    "Config",
    "Criterion",
    "DirectAU",
    "EdgeBatch",
    "EdgeDrop",
    "EmbeddingHardness",
    "Evaluator",
    "Hardness",
    "InfoNCE",
    "InvCF",
    "JointGraph",
    "LightGCN",
    "MLPHardness",
    "NodeDrop",
    "RandomHardness",
    "RandomLinks",
    "RandomWalkDrop",
    "Recommender",
    "Result",
    "SubgraphMask",
    "UltraGCN",
    "UniformHardness",
    "build_graph",
    "fold_in",
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
