"""Criteria: losses over batches of edges, usable in anyone's training loop."""

from pyg_advinfonce.losses.adap_tau import AdapTau
from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.losses.bc import BC
from pyg_advinfonce.losses.bce import BCE
from pyg_advinfonce.losses.bpr import BPR
from pyg_advinfonce.losses.ccl import CCL
from pyg_advinfonce.losses.infonce import InfoNCE

__all__ = ["BC", "BCE", "BPR", "CCL", "AdapTau", "AdvInfoNCE", "Criterion", "InfoNCE"]
