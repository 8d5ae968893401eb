"""Medians of repeated calls, and a table of them."""

import platform
import resource
import time
from collections.abc import Callable

import torch


def once_ms(
    call: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Call once; return the milliseconds."""
    started = clock()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1e3 * (clock() - started)


def median_ms(
    call: Callable[[], object],
    *,
    seconds: float = 2.0,
    least: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Call for some time, at least a few times after a warm-up; return the median."""
    call()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < least or time.perf_counter() - begun < seconds:
        times.append(once_ms(call, clock))
    return sorted(times)[len(times) // 2]


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(row) + " |")


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return the clock of the CPU's time if one thread computes, else of the wall."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def machine(device: torch.device) -> str:
    """Name what the timings were taken on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return f"{platform.machine()} CPU, {threads} threads, torch {torch.__version__}"


def peak_mb() -> float:
    """Return the process's largest resident memory so far, in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
