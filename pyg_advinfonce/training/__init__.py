"""Training: samplers, the trainer, evaluation and what is saved."""

from pyg_advinfonce.training.evaluator import Evaluator
from pyg_advinfonce.training.neighbor_edge_sampler import NeighborEdgeSampler
from pyg_advinfonce.training.sampler import EdgeSampler
from pyg_advinfonce.training.trainer import Trainer

__all__ = ["EdgeSampler", "Evaluator", "NeighborEdgeSampler", "Trainer"]
