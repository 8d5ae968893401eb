"""Trainer, callbacks and saved training state."""

from pyg_advinfonce.training.callbacks import (
    Diagnostics,
    EpochProgress,
    FalseNegatives,
    HistoryFile,
    SplitMetrics,
    batch_hardness,
)
from pyg_advinfonce.training.checkpoint import (
    load_weights,
    read_tensors,
    save_weights,
    write_tensors,
)
from pyg_advinfonce.training.cuda_graph import StepGraph
from pyg_advinfonce.training.state import (
    StateFile,
    TrainingState,
    read_state,
    remove_shards,
)
from pyg_advinfonce.training.trackers import MLflow, TensorBoard, Tracker, WandB
from pyg_advinfonce.training.trainer import (
    Callback,
    EarlyStopping,
    Record,
    Sampler,
    Trainer,
    seed_everything,
    train_only,
)

__all__ = [
    "Callback",
    "Diagnostics",
    "EarlyStopping",
    "EpochProgress",
    "FalseNegatives",
    "HistoryFile",
    "MLflow",
    "Record",
    "Sampler",
    "SplitMetrics",
    "StateFile",
    "StepGraph",
    "TensorBoard",
    "Tracker",
    "Trainer",
    "TrainingState",
    "WandB",
    "batch_hardness",
    "load_weights",
    "read_state",
    "read_tensors",
    "remove_shards",
    "save_weights",
    "seed_everything",
    "train_only",
    "write_tensors",
]
