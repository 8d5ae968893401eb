"""Criteria: losses over batches of edges, usable in anyone's training loop."""

from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.losses.bpr import BPR
from pyg_advinfonce.losses.dcl import DCL
from pyg_advinfonce.losses.infonce import InfoNCE

__all__ = ["BPR", "DCL", "AdvInfoNCE", "Criterion", "InfoNCE"]
