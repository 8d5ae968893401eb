"""Trackers by name."""

from collections.abc import Callable
from pathlib import Path

from pyg_advinfonce.registry import TRACKERS, unknown
from pyg_advinfonce.training.tracker import Tracker


def find_tracker(name: str | None) -> Callable[[Path], Tracker] | None:
    """Return what makes a tracker of a seed's folder; None for no name.

    Raises:
        UnknownNameError: If there is no such tracker.
        MissingExtraError: If its package is not installed.
    """
    if name is None:
        return None
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    found: Callable[[Path], Tracker] = TRACKERS[name].load()
    return found
