"""The C library's allocator, told to keep what is freed."""

import ctypes
import sys

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
