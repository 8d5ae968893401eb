"""Terms added to the ranking loss of an objective."""

from pyg_advinfonce.terms.contrast import (
    Contrast,
    LayerContrast,
    NeighborContrast,
    PassContrast,
    ViewContrast,
)
from pyg_advinfonce.terms.item_graph import ItemGraph
from pyg_advinfonce.terms.penalties import EmbeddingL2, KLPrior, TableL2
from pyg_advinfonce.terms.prototype_contrast import PrototypeContrast
from pyg_advinfonce.terms.svd_contrast import SVDContrast

__all__ = [
    "Contrast",
    "EmbeddingL2",
    "ItemGraph",
    "KLPrior",
    "LayerContrast",
    "NeighborContrast",
    "PassContrast",
    "PrototypeContrast",
    "SVDContrast",
    "TableL2",
    "ViewContrast",
]
