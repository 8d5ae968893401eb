"""The same bits from the same seed on a GPU, too."""

import os

import torch


def use_deterministic_algorithms() -> None:
    """Let torch use only kernels that give the same bits every time.

    The CPU needs nothing of this. On CUDA some kernels add numbers in the order in
    which threads come; others, slower, take their place, cuBLAS gets a workspace of its
    own, and :func:`~pyg_advinfonce.ops.propagate` another backend. Call it before
    anything is computed; it holds for the whole process. An operator that has no such
    kernel raises a ``RuntimeError``.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
