"""Contrastive collaborative filtering on PyTorch Geometric, around AdvInfoNCE."""

__version__ = "0.1.0"
