"""Options of the split into train, valid and test."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyg_advinfonce.errors import ConfigError, counted
from pyg_advinfonce.registry import unknown

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "random": {"valid_fraction": 0.1, "test_fraction": 0.1, "seed": 0},
    "leave-last": {"seed": 0},
    "time": {"valid_fraction": 0.1, "test_fraction": 0.1},
    "temporal-user": {"valid_fraction": 0.1, "test_fraction": 0.1, "seed": 0},
    "popularity-shift": {
        "valid_fraction": 0.1,
        "test_fraction": 0.1,
        "gammas": [200.0, 10.0, 2.0],
        "mode": "exact",
        "num_groups": 50,
        "seed": 0,
    },
}
"""Options and their defaults by kind of split."""

TIMED = ("leave-last", "time", "temporal-user")
"""Kinds of split that need the time of each interaction."""

MODES = ("exact", "notebook")


@dataclass(frozen=True)
class SplitOptions:
    """Kind of split and its options; an option without effect is an error.

    A split does not depend on ids. Random draws use the order of the rows.

    - ``random``: pairs are held out with equal probability; every user keeps one.
    - ``leave-last``: the last pair per user is test and the one before it valid, for
      users with at least three pairs; pairs of equal time are ordered at random.
    - ``time``: the latest pairs are test and those before them valid.
    - ``temporal-user``: the same shares of each user's pairs, rounded down; users with
      enough pairs have at least one of each. Pairs of equal time are ordered at random.
    - ``popularity-shift``: one test per gamma, in which the most popular items are
      gamma times as frequent as the least popular; see
      :func:`~pyg_advinfonce.datasets.splits.popularity_shift`.

    Args:
        split: One of the kinds above.
        valid_fraction: Share of all pairs that becomes valid (default: 0.1).
        test_fraction: Share of all pairs that becomes test, per test (default: 0.1); 0
            for no test.
        gammas: Popularity ratios of the tests of ``popularity-shift``, in the order in
            which the tests are drawn (default: 200, 10, 2).
        mode: ``exact`` (default) or ``notebook``, of ``popularity-shift``.
        num_groups: Number of groups of items with similar popularity, of
            ``popularity-shift`` (default: 50).
        seed: Seed of the split (default: 0).

    Raises:
        ConfigError: If a value is out of range or has no effect.
        UnknownNameError: If the split or mode is unknown.
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
            # Every data set takes a seed, whether the split is random or not.
            if value is not None and name not in (*known, "split", "seed"):
                raise ConfigError(
                    f"{name} has no effect on the split '{self.split}': remove it "
                    f"(options: {', '.join(known) or 'none'})"
                )
        self._check_values()

    @property
    def used(self) -> dict[str, Any]:
        """Options in effect, including defaults, as JSON values."""
        known = DEFAULTS[self.split]
        chosen = {name: getattr(self, name) for name in known}
        given = {name: value for name, value in chosen.items() if value is not None}
        used = {"split": self.split, **known, **given}
        for name in {"valid_fraction", "test_fraction"}.intersection(used):
            used[name] = float(used[name])
        if "gammas" in used:
            used["gammas"] = [float(gamma) for gamma in used["gammas"]]
        return used

    def _check_values(self) -> None:
        seed = 0 if self.seed is None else self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ConfigError(f"seed must be a non-negative integer (got {seed!r})")
        if self.split == "popularity-shift":
            _check_shift(self)
        if "test_fraction" in DEFAULTS[self.split]:
            _check_shares(self)


def parse_gammas(text: str) -> tuple[float, ...]:
    """Parse gammas such as ``200,10,2``.

    Raises:
        ConfigError: If the text is not a list of numbers.
    """
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ConfigError(
            f"gammas must be numbers like 200,10,2 (got '{text}')"
        ) from None


def _check_shares(options: SplitOptions) -> None:
    known = DEFAULTS[options.split]
    given = {n: value for n, value in asdict(options).items() if value is not None}
    both = {**known, **given}
    valid, test = both["valid_fraction"], both["test_fraction"]
    tests = len(options.gammas or known["gammas"]) if "gammas" in known else 1
    are_shares = all(_is_number(share) and 0 <= share < 1 for share in (valid, test))
    if not are_shares or not valid or valid + tests * test > 1 - 1e-9:
        raise ConfigError(
            "valid_fraction must be positive, test_fraction must not be negative, and "
            f"they must leave pairs for train (got {valid} and {test} for "
            f"{counted(tests, 'test')})"
        )
    if not test and "gammas" in known:
        raise ConfigError(
            "the split 'popularity-shift' is one of tests: test_fraction must be "
            "positive (got 0)"
        )


def _check_shift(options: SplitOptions) -> None:
    gammas, mode, groups = options.gammas, options.mode, options.num_groups
    if gammas is not None and not _are_gammas(gammas):
        raise ConfigError(
            f"gammas must be distinct numbers of at least 1 (got {list(gammas)})"
        )
    if mode is not None and mode not in MODES:
        raise unknown("mode", str(mode), MODES)
    if groups is not None and not (type(groups) is int and groups >= 2):
        raise ConfigError(f"num_groups must be an integer, at least 2 (got {groups!r})")


def _are_gammas(gammas: tuple[float, ...]) -> bool:
    fine = all(_is_number(gamma) and 1 <= gamma < 1e6 for gamma in gammas)
    return fine and bool(gammas) and len({f"{g:g}" for g in gammas}) == len(gammas)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
