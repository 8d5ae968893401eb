"""Encoders: from a user-item graph to embeddings."""

from pyg_advinfonce.encoders.autocf import AutoCF
from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.lightgcn import LightGCN

__all__ = ["AutoCF", "Embeddings", "Encoder", "LightGCN"]
