"""Training: samplers, the trainer, evaluation and what is saved."""

from pyg_advinfonce.training.evaluator import Evaluator
from pyg_advinfonce.training.sampler import EdgeSampler
from pyg_advinfonce.training.trainer import Trainer

__all__ = ["EdgeSampler", "Evaluator", "Trainer"]
