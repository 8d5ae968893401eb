"""The shapes in which data can be simulated: those of the published data sets."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The shape of a simulated data set.

    Args:
        num_users: The number of users.
        num_items: The number of items.
        num_train: The number of train pairs.
        num_valid: The number of valid pairs.
        num_test: The number of test pairs.
        like_rate: About which share of all pairs is liked.
        dim: The rank of the preferences.
        panel: How many users and items the unbiased part covers (default: all). With
            a panel, valid is unbiased too and other items are not ranked.
    """

    num_users: int
    num_items: int
    num_train: int
    num_valid: int
    num_test: int
    like_rate: float
    dim: int
    panel: tuple[int, int] | None = None


SIZES: Mapping[str, Size] = {
    "coat": Size(290, 295, 1363, 553, 860, 0.12, 8),
    "yahoo": Size(14_382, 1000, 88_684, 36_393, 4671, 0.0865, 8),
    "kuairec": Size(
        7176, 10_728, 1_087_278, 72_392, 144_783, 0.12, 16, panel=(1411, 3327)
    ),
    "tencent": Size(95_709, 41_602, 1_771_533, 295_505, 290_308, 0.12, 16),
}
