"""Encoders of user-item graphs."""

from pyg_advinfonce.encoders.autocf import AutoCF
from pyg_advinfonce.encoders.base import (
    CustomEncoder,
    Embeddings,
    Encoder,
    FixedEmbeddings,
    as_encoder,
)
from pyg_advinfonce.encoders.lightgcn import LightGCN, UniformNoise
from pyg_advinfonce.encoders.ultragcn import UltraGCN
from pyg_advinfonce.encoders.vgae import VGAE

__all__ = [
    "VGAE",
    "AutoCF",
    "CustomEncoder",
    "Embeddings",
    "Encoder",
    "FixedEmbeddings",
    "LightGCN",
    "UltraGCN",
    "UniformNoise",
    "as_encoder",
]
