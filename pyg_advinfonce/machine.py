"""Properties of the machine: devices, determinism, memory, allocator, versions."""

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
    """Make glibc keep freed memory for the next tensors of this process.

    By default glibc returns every freed tensor of more than a few hundred kilobytes to
    the system, and the tensors of the next step cost one page fault per 4 KiB, more
    than the sparse product that fills them. No effect with another C library.

    Returns:
        Whether the allocator accepted the settings.
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
    """Restrict torch to deterministic kernels.

    The CPU is always deterministic. On CUDA, kernels whose order of summation varies
    are replaced by slower ones, cuBLAS uses a fixed workspace, and
    :func:`~pyg_advinfonce.ops.propagate` uses another backend. Call it before any
    computation; it applies to the whole process. An operator without a deterministic
    kernel raises a ``RuntimeError``.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def find_device(name: torch.device | str) -> torch.device:
    """Return a device; ``auto`` is CUDA if available, else the CPU.

    Each process of ``torchrun`` has a GPU of its own, by its number on the machine.

    Raises:
        ConfigError: If the device is not available.
    """
    own = f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ else "cuda"
    if name == "auto":
        name = own if torch.cuda.is_available() else "cpu"
    elif str(name) == "cuda":
        name = own
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # a meta tensor cannot be copied
    except (RuntimeError, AssertionError) as error:
        count = torch.cuda.device_count()
        available = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise ConfigError(
            f"device '{name}' is not available: choose from {available}"
        ) from error
    return device


def peak_rss_mb() -> float:
    """Return the peak resident memory of this process in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


_FLOAT, _ID, _GB = 4, 8, 1e9


@dataclass(frozen=True)
class MemoryEstimate:
    """Lower bound of the memory of a training step, in bytes.

    Propagation, the adversary and the evaluation need additional memory.

    Attributes:
        tables: Embeddings of users and items, their gradients and Adam's two moments.
        batch: Negatives with their scores and gradients.
    """

    tables: int
    batch: int

    @classmethod
    def of(
        cls, *, num_nodes: int, dim: int, batch_size: int, num_negatives: int
    ) -> "MemoryEstimate":
        """Estimate the memory from the sizes in a configuration."""
        tables = 4 * num_nodes * dim * _FLOAT
        return cls(tables, batch_size * num_negatives * (_ID + 2 * _FLOAT))

    def check(self, device: torch.device) -> None:
        """Check that a device has enough memory in total.

        Raises:
            ConfigError: If the memory is too small.
        """
        advice = (
            f"lower model.dim (embeddings and optimiser take "
            f"{self.tables / _GB:.1f} GB), or train.batch_size or train.num_negatives "
            f"(a batch takes {self.batch / _GB:.1f} GB)"
        )
        check_memory(self.tables + self.batch, device, advice)


def check_memory(needed: int, device: torch.device, advice: str) -> None:
    """Check that a device has enough memory in total.

    Args:
        needed: The bytes that training needs at least.
        device: The device.
        advice: What to do if it has less.

    Raises:
        ConfigError: If the memory is too small.
    """
    total = memory_of(device)
    if needed > total:
        raise ConfigError(
            f"training needs at least {needed / _GB:.1f} GB, {device} has "
            f"{total / _GB:.1f} GB: {advice}"
        )


def memory_of(device: torch.device) -> float:
    """Return the total memory of a device in bytes; infinity if unknown."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type != "cpu":
        return float("inf")
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of the core dependencies and the given packages."""
    names = ("torch", "torch-geometric", *packages)
    found = {name: metadata.version(name) for name in names}
    python = platform.python_version()
    return {"pyg-advinfonce": __version__, **found, "python": python}
