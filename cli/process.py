"""What a process inherits, made safe: streams, warnings, environment variables."""

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import (
    ExitStack,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pyg_advinfonce.errors import DataWarning
from pyg_advinfonce.launch import is_first_process, is_launched, num_restarts

if TYPE_CHECKING:
    import torch

MAX_THREADS = 1024
"""More threads exhaust the memory or the system's limit before they help."""

_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def prepare_process() -> None:
    """Make the command line independent of what it inherits.

    Call it before torch and matplotlib are imported, which read the variables.
    """
    _open_streams()
    _limit_errors()
    for name in _COUNTS:
        _check_count(name)
    # By default waiting threads spin for milliseconds, which slows training tenfold
    # when another process uses the cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown; an unknown name would fail


class _Messages(io.TextIOWrapper):
    """Standard error that drops what it cannot write: messages never end a training."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def together(device: "torch.device", *, columns: bool) -> Iterator[None]:
    """Join the processes that ``torchrun`` has started; only the first one talks.

    Args:
        device: The device of this process.
        columns: Whether they divide tables by columns.
    """
    from pyg_advinfonce.ranks import is_first, joined

    with ExitStack() as stack:
        stack.enter_context(joined(device, columns=columns))
        if not is_first():
            nothing = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            stack.enter_context(nothing)
            stack.enter_context(redirect_stdout(nothing))
            stack.enter_context(redirect_stderr(nothing))
        yield


def is_first_to_fail() -> bool:
    """Whether no other process of this launch has failed; True without a launch.

    The processes of a launch fail together, and one message is enough.
    """
    if not is_launched():
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=5))
        return store.add(f"advnce/failed/{num_restarts()}", 1) == 1
    except (RuntimeError, OSError, ValueError):  # the launcher has ended
        return is_first_process()


def is_lost_process(error: Exception) -> bool:
    """Whether an error is that another process of this launch has gone."""
    if not is_launched():
        return False
    from torch.distributed import DistError

    words = str(error)
    gone = isinstance(error, RuntimeError) and ("gloo" in words or "NCCL" in words)
    return gone or isinstance(error, DistError)


def _open_streams() -> None:
    """Direct closed streams to the null device, or files would get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    found = sys.__stderr__
    if found is not None and sys.stderr is found:  # not replaced, e.g. by a test
        sys.stderr = _Messages(
            found.buffer, found.encoding, found.errors, line_buffering=True
        )


def _limit_errors() -> None:
    """Let ``python -W error`` turn warnings about data into errors, and no others.

    The libraries warn when they are imported, which ``-W error`` would turn into a
    failure of every command.
    """
    filters = cast("list[Any]", warnings.filters)
    errors = [entry for entry in filters if entry[0] == "error"]
    if not sys.warnoptions or not errors:
        return
    filters[:] = [entry for entry in filters if entry[0] != "error"]
    if any(issubclass(DataWarning, category) for _, _, category, *_ in errors):
        warnings.simplefilter("error", DataWarning)


def _check_count(name: str) -> None:
    """Remove a number of threads with which torch ends the process or fails."""
    text = os.environ.get(name, "")
    counts = [count.strip() for count in text.split(",")]
    if text and not all(
        re.fullmatch("[0-9]{1,4}", count) and 1 <= int(count) <= MAX_THREADS
        for count in counts
    ):
        del os.environ[name]
        warnings.warn(
            f"{name} is ignored: expected 1 to {MAX_THREADS} (got {text[:40]!r})",
            stacklevel=1,
        )
