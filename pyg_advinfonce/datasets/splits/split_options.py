"""How interactions are to be divided into train, valid and test."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import unknown

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "random": {"valid_fraction": 0.1, "test_fraction": 0.1, "seed": 0},
    "leave-last": {},
    "time": {"valid_fraction": 0.1, "test_fraction": 0.1},
    "popularity-shift": {
        "valid_fraction": 0.1,
        "test_fraction": 0.1,
        "gammas": (200.0, 10.0, 2.0),
        "mode": "exact",
        "num_groups": 50,
        "seed": 0,
    },
}
"""The options of each split."""

TIMED = ("leave-last", "time")
"""The splits that need the times of the interactions."""

MODES = ("exact", "notebook")


@dataclass(frozen=True)
class SplitOptions:
    """How to divide interactions; what a split does not use may not be given.

    - ``random``: any pair is equally likely to be held out; every user keeps one.
    - ``leave-last``: a user's last pair is test, the one before it valid, where the
      user has three pairs or more.
    - ``time``: the latest pairs of all are test, those before them valid.
    - ``popularity-shift``: a test for every gamma, in which the most popular items are
      gamma times as frequent as the least popular; see
      :func:`~pyg_advinfonce.datasets.splits.popularity_shift.popularity_shift`.

    Args:
        split: One of these four.
        valid_fraction: The share of all pairs that becomes valid (default: 0.1).
        test_fraction: The share of all pairs that becomes test, or each of the tests
            (default: 0.1).
        gammas: The tests of ``popularity-shift``, in the order in which they are drawn
            (default: 200, 10, 2).
        mode: ``exact`` (default) or ``notebook``, of ``popularity-shift``.
        num_groups: The groups of items of like popularity there (default: 50).
        seed: The same seed gives the same split (default: 0).

    Raises:
        ConfigError: If a value is out of range or has no effect.
        UnknownNameError: If there is no such split or mode.
    """

    split: str = "random"
    valid_fraction: float | None = None
    test_fraction: float | None = None
    gammas: tuple[float, ...] | None = None
    mode: str | None = None
    num_groups: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.split not in DEFAULTS:
            raise unknown("split", self.split, DEFAULTS)
        known = DEFAULTS[self.split]
        for name, value in asdict(self).items():
            # Every data set has a seed: it is no error where nothing is drawn.
            if value is None or name in ("split", "seed"):
                continue
            if name not in known:
                keys = ", ".join(known) or "none"
                raise ConfigError(
                    f"{name} has no effect on the split '{self.split}': leave it out "
                    f"(its options: {keys})"
                )
        self._check_values()

    @property
    def used(self) -> dict[str, Any]:
        """The options that decide the outcome, defaults included."""
        given = asdict(self)
        known = DEFAULTS[self.split]
        return {"split": self.split} | {
            name: default if given[name] is None else given[name]
            for name, default in known.items()
        }

    def _check_values(self) -> None:
        used = self.used
        tests = len(used.get("gammas", (1,)))
        shares = [used.get("valid_fraction", 0.1), used.get("test_fraction", 0.1)]
        if not all(_is_number(x) and 0 < x < 1 for x in shares) or (
            shares[0] + tests * shares[1] >= 1
        ):
            raise ConfigError(
                "valid_fraction and test_fraction must be positive and leave some "
                f"pairs to train (got {shares[0]} and {shares[1]} for {tests} tests)"
            )
        seed = 0 if self.seed is None else self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ConfigError(f"seed must be an integer, zero or more (got {seed!r})")
        if self.split == "popularity-shift":
            _check_shift(used)


def parse_gammas(text: str) -> tuple[float, ...]:
    """Read ``200,10,2``.

    Raises:
        ConfigError: If the text has another form.
    """
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ConfigError(
            f"gammas wants numbers like 200,10,2 (got '{text}')"
        ) from None


def _check_shift(used: Mapping[str, Any]) -> None:
    gammas, groups = used["gammas"], used["num_groups"]
    is_fine = all(_is_number(gamma) and 1 <= gamma < 1e9 for gamma in gammas)
    if not is_fine or not gammas or len(set(gammas)) < len(gammas):
        raise ConfigError(
            f"gammas must be different numbers from 1 on (got {list(gammas)})"
        )
    if used["mode"] not in MODES:
        raise unknown("mode", str(used["mode"]), MODES)
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 2:
        raise ConfigError(f"num_groups must be at least 2 (got {groups!r})")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
