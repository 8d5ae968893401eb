"""Encoders of user-item graphs."""

from pyg_advinfonce.encoders.autocf import AutoCF
from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.lightgcn import LightGCN, UniformNoise
from pyg_advinfonce.encoders.ultragcn import UltraGCN
from pyg_advinfonce.encoders.vgae import VGAE

__all__ = [
    "VGAE",
    "AutoCF",
    "Embeddings",
    "Encoder",
    "LightGCN",
    "UltraGCN",
    "UniformNoise",
]
