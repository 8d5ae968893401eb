"""Contrastive collaborative filtering on PyTorch Geometric, around AdvInfoNCE.

Names are imported when they are first used: importing this package loads neither torch
nor PyG.
"""

from typing import TYPE_CHECKING

from pyg_advinfonce.lazy import lazy_names
from pyg_advinfonce.version import __version__

if TYPE_CHECKING:
    from pyg_advinfonce.batch import EdgeBatch
    from pyg_advinfonce.config import Config
    from pyg_advinfonce.datasets import load_dataset
    from pyg_advinfonce.encoders import VGAE, AutoCF, LightGCN, UltraGCN
    from pyg_advinfonce.evaluation import Evaluator
    from pyg_advinfonce.experiment import train
    from pyg_advinfonce.graph import (
        INTERACTS,
        REV_INTERACTS,
        build_graph,
        message_graph,
    )
    from pyg_advinfonce.losses import (
        BC,
        BCE,
        BPR,
        CCL,
        DCL,
        HDCCF,
        SDRO,
        XIR,
        AdapTau,
        AdvInfoNCE,
        AutoCFLoss,
        Criterion,
        DirectAU,
        EmbeddingHardness,
        Hardness,
        InfoNCE,
        InvCF,
        MLPHardness,
        RandomHardness,
        UniformHardness,
    )
    from pyg_advinfonce.runs import Result, load_run
    from pyg_advinfonce.serving import Recommender, fold_in
    from pyg_advinfonce.transforms import (
        BipartiteNorm,
        EdgeDrop,
        JointGraph,
        NodeDrop,
        RandomLinks,
        RandomWalkDrop,
        SubgraphMask,
    )

_HOME = {
    "AdapTau": "losses",
    "AdvInfoNCE": "losses",
    "AutoCF": "encoders",
    "AutoCFLoss": "losses",
    "BC": "losses",
    "BCE": "losses",
    "BPR": "losses",
    "BipartiteNorm": "transforms",
    "CCL": "losses",
    "Config": "config",
    "Criterion": "losses",
    "DCL": "losses",
    "DirectAU": "losses",
    "EdgeBatch": "batch",
    "EdgeDrop": "transforms",
    "EmbeddingHardness": "losses",
    "Evaluator": "evaluation",
    "HDCCF": "losses",
    "Hardness": "losses",
    "INTERACTS": "graph",
    "InfoNCE": "losses",
    "InvCF": "losses",
    "JointGraph": "transforms",
    "LightGCN": "encoders",
    "MLPHardness": "losses",
    "NodeDrop": "transforms",
    "REV_INTERACTS": "graph",
    "RandomHardness": "losses",
    "RandomLinks": "transforms",
    "RandomWalkDrop": "transforms",
    "Recommender": "serving",
    "Result": "runs",
    "SDRO": "losses",
    "SubgraphMask": "transforms",
    "UltraGCN": "encoders",
    "UniformHardness": "losses",
    "VGAE": "encoders",
    "XIR": "losses",
    "build_graph": "graph",
    "fold_in": "serving",
    "load_dataset": "datasets",
    "load_run": "runs",
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
    "__version__",
    "build_graph",
    "fold_in",
    "load_dataset",
    "load_run",
    "message_graph",
    "train",
]


__getattr__, __dir__ = lazy_names(__name__, _HOME)
