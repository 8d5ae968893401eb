"""Signals that ask a process to end, as exceptions that let it save its work."""

import signal
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def raise_at_sigterm() -> None:
    """Let SIGTERM raise what Ctrl-C raises, once; a second one ends at once."""
    signal.signal(signal.SIGTERM, _terminate)


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code that the signal behind an exception stands for."""
    return TERMINATED if isinstance(error, _Terminated) else INTERRUPTED


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise _Terminated
