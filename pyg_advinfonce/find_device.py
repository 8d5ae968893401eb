"""Devices by name."""

import torch

from pyg_advinfonce.errors import ConfigError


def find_device(name: torch.device | str) -> torch.device:
    """Turn ``auto`` into CUDA where it is, and check that a named device exists.

    Raises:
        ConfigError: If it does not exist.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # a meta tensor cannot be copied
    except (RuntimeError, AssertionError) as error:
        count = torch.cuda.device_count()
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise ConfigError(
            f"device '{name}' is not there: choose from {there}"
        ) from error
    return device
