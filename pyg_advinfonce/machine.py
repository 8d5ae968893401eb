"""The machine: devices, determinism, memory, the allocator, versions."""

import ctypes
import os
import platform
import resource
import sys
from dataclasses import dataclass
from importlib import metadata

import torch

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.version import __version__

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
_LARGEST_MMAP_THRESHOLD = 32 * 2**20


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for this process's next tensors.

    By default it hands every freed tensor of more than a few hundred kilobytes back to
    the system, and the next step's tensors cost a page fault for every 4 KiB: more than
    the sparse product that fills them. Has no effect with another C library.

    Returns:
        Whether the allocator took the settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _MMAP_THRESHOLD: _LARGEST_MMAP_THRESHOLD,
        _TRIM_THRESHOLD: 2**30,
        _TOP_PAD: 2**24,
    }
    return all(mallopt(name, value) == 1 for name, value in settings.items())


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


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


_FLOAT, _ID, _GB = 4, 8, 1e9


@dataclass(frozen=True)
class MemoryEstimate:
    """The least bytes that a training step holds at once, whatever is trained.

    Propagation, the adversary and an evaluation come on top.

    Attributes:
        tables: Users' and items' embeddings, their gradients and Adam's two moments.
        batch: Negatives with a score and its gradient each.
    """

    tables: int
    batch: int

    @classmethod
    def of(
        cls, *, num_nodes: int, dim: int, batch_size: int, num_negatives: int
    ) -> "MemoryEstimate":
        """Estimate from the sizes that a configuration sets."""
        tables = 4 * num_nodes * dim * _FLOAT
        return cls(tables, batch_size * num_negatives * (_ID + 2 * _FLOAT))

    def check(self, device: torch.device) -> None:
        """Refuse what clearly cannot fit.

        Raises:
            ConfigError: If a device has less memory, in use or not.
        """
        needed, there = self.tables + self.batch, memory_of(device)
        if needed <= there:
            return
        raise ConfigError(
            f"training needs at least {needed / _GB:.1f} GB, {device} has "
            f"{there / _GB:.1f} GB: lower model.dim (embeddings and optimiser take "
            f"{self.tables / _GB:.1f} GB), or train.batch_size or train.num_negatives "
            f"(a batch takes {self.batch / _GB:.1f} GB)"
        )


def memory_of(device: torch.device) -> float:
    """Return a device's bytes of memory, infinity where nobody tells."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type != "cpu":
        return float("inf")
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of what results depend on, and of further packages."""
    names = ("torch", "torch-geometric", *packages)
    found = {name: metadata.version(name) for name in names}
    python = platform.python_version()
    return {"pyg-advinfonce": __version__, **found, "python": python}
