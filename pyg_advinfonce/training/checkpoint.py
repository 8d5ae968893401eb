"""Weights on disk: safetensors, never pickle."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pyg_advinfonce.errors import CheckpointError


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's state; a reader sees the old file or the new one, never half."""
    state = {n: t.detach().cpu().contiguous() for n, t in module.state_dict().items()}
    partial = path.with_name(path.name + ".partial")
    save_file(state, partial)
    partial.replace(path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Give a module the state in a file.

    Raises:
        CheckpointError: If the file is missing, corrupt or of another module.
    """
    try:
        module.load_state_dict(load_file(path))
    except OSError as error:
        raise CheckpointError(f"{path}: no weights there ({error})") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: weights of another model: {reason}") from error
