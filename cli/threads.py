"""How many cores a verb may use."""

import torch


def use_threads(threads: int | None) -> None:
    """Let torch use so many threads on the CPU; None leaves its choice."""
    if threads is not None:
        torch.set_num_threads(threads)
