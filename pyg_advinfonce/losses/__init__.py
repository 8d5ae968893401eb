"""Losses over batches of edges, usable in any training loop, and hardness."""

from pyg_advinfonce.losses.adap_tau import AdapTau
from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
from pyg_advinfonce.losses.autocf import AutoCFLoss, centrality
from pyg_advinfonce.losses.base import Criterion, batch_scores
from pyg_advinfonce.losses.bc import BC
from pyg_advinfonce.losses.bce import BCE
from pyg_advinfonce.losses.bpr import BPR
from pyg_advinfonce.losses.ccl import CCL
from pyg_advinfonce.losses.dcl import DCL
from pyg_advinfonce.losses.directau import DirectAU
from pyg_advinfonce.losses.hardness import (
    EmbeddingHardness,
    Hardness,
    MLPHardness,
    RandomHardness,
    UniformHardness,
    build_hardness,
    find_hardness,
)
from pyg_advinfonce.losses.hdccf import HDCCF
from pyg_advinfonce.losses.infonce import InfoNCE
from pyg_advinfonce.losses.invcf import InvCF
from pyg_advinfonce.losses.sdro import SDRO
from pyg_advinfonce.losses.xir import XIR

__all__ = [
    "BC",
    "BCE",
    "BPR",
    "CCL",
    "DCL",
    "HDCCF",
    "SDRO",
    "XIR",
    "AdapTau",
    "AdvInfoNCE",
    "AutoCFLoss",
    "Criterion",
    "DirectAU",
    "EmbeddingHardness",
    "Hardness",
    "InfoNCE",
    "InvCF",
    "MLPHardness",
    "RandomHardness",
    "UniformHardness",
    "batch_scores",
    "build_hardness",
    "centrality",
    "find_hardness",
]
