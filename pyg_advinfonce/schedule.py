"""Phases: who is trained on what, in which epochs, down or up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from pyg_advinfonce.terms.base import Objective

EpochPredicate = Callable[[int], bool]


def always(epoch: int) -> bool:
    """Run in every epoch."""
    return True


def from_epoch(first: int) -> EpochPredicate:
    """Run in epoch ``first`` and ever after."""
    return lambda epoch: epoch >= first


def before_epoch(end: int) -> EpochPredicate:
    """Run in the epochs before ``end``."""
    return lambda epoch: epoch < end


def every(period: int, *, first: int, times: int) -> EpochPredicate:
    """Run ``times`` times: in epoch ``first`` and then once in ``period`` epochs.

    Raises:
        ValueError: If the period is not positive or another argument is negative.
    """
    if period < 1 or first < 0 or times < 0:
        raise ValueError(
            "period must be positive, first and times not negative "
            f"(got {period}, {first}, {times})"
        )

    def active(epoch: int) -> bool:
        passed, rest = divmod(epoch - first, period)
        return rest == 0 and 0 <= passed < times

    return active


@dataclass(frozen=True)
class Phase:
    """One pass over the data within an epoch.

    Attributes:
        name: A short name for the history.
        objective: What is optimised.
        params: The parameters that this phase, and no other, trains, but for frozen
            ones; None means every parameter that no other phase owns.
        lr: The learning rate of the phase's own Adam.
        maximize: Ascend instead of descend.
        active: Tells whether the phase runs in an epoch, counted from 0.
    """

    name: str
    objective: "Objective"
    params: tuple[nn.Parameter, ...] | None = None
    lr: float = 1e-3
    maximize: bool = False
    active: EpochPredicate = always
