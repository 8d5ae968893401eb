"""A module's weights on disk."""

from pathlib import Path

from torch import nn

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training.tensor_file import read_tensors, write_tensors


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's state; a reader sees the old file or the new one, never half."""
    write_tensors(path, module.state_dict())


def load_weights(module: nn.Module, path: Path) -> None:
    """Give a module the state in a file.

    Raises:
        CheckpointError: If the file is missing, damaged or of another module.
    """
    tensors, _ = read_tensors(path)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: weights of another model: {reason}") from error
