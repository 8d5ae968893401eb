"""SIGTERM, as the exception that lets a process save its work."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

_received: list[int] = []


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let the first SIGTERM raise what Ctrl-C raises; a second one ends at once."""
    _received.clear()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code() -> int:
    """Return the exit code of an interruption: by Ctrl-C, or by SIGTERM."""
    return TERMINATED if _received else INTERRUPTED


def _interrupt(number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _received.append(number)
    raise KeyboardInterrupt
