"""Encoders of user-item graphs."""

from pyg_advinfonce.encoders.autocf import AutoCF
from pyg_advinfonce.encoders.base import (
    CustomEncoder,
    Embeddings,
    Encoder,
    FittedEncoder,
    FixedEmbeddings,
    as_encoder,
)
from pyg_advinfonce.encoders.fitted import EASE, ItemKNN, Popularity
from pyg_advinfonce.encoders.ials import IALS
from pyg_advinfonce.encoders.lightgcn import LightGCN, UniformNoise
from pyg_advinfonce.encoders.ultragcn import UltraGCN
from pyg_advinfonce.encoders.vgae import VGAE

__all__ = [
    "EASE",
    "IALS",
    "VGAE",
    "AutoCF",
    "CustomEncoder",
    "Embeddings",
    "Encoder",
    "FittedEncoder",
    "FixedEmbeddings",
    "ItemKNN",
    "LightGCN",
    "Popularity",
    "UltraGCN",
    "UniformNoise",
    "as_encoder",
]
