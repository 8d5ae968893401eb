import json

import pytest

from pyg_advinfonce.datasets.splits import SplitOptions, parse_gammas
from pyg_advinfonce.errors import ConfigError


def test_what_is_used_has_the_defaults_and_is_what_json_has():
    used = SplitOptions("popularity-shift", gammas=(5,), seed=3).used
    assert used == {
        "split": "popularity-shift",
        "valid_fraction": 0.1,
        "test_fraction": 0.1,
        "gammas": [5.0],
        "mode": "exact",
        "num_groups": 50,
        "seed": 3,
    }
    assert json.loads(json.dumps(used)) == used
    assert SplitOptions("leave-last", seed=3).used == {"split": "leave-last", "seed": 3}
    assert SplitOptions("time", seed=3).used.keys() == SplitOptions("time").used.keys()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "radnom"}, "unknown split 'radnom', did you mean 'random'"),
        ({"gammas": (2,)}, "gammas has no effect on the split 'random'"),
        ({"split": "leave-last", "test_fraction": 0.1}, r"options: seed\)"),
        ({"split": "time", "mode": "exact"}, "mode has no effect"),
        ({"valid_fraction": 0}, "valid_fraction must be positive"),
        ({"valid_fraction": 0, "test_fraction": 0}, "valid_fraction must be positive"),
        ({"test_fraction": -0.1}, "test_fraction must not be negative"),
        ({"test_fraction": float("nan")}, "must not be negative"),
        ({"test_fraction": "0.1"}, "must not be negative"),
        ({"test_fraction": False}, "must not be negative"),
        ({"split": "popularity-shift", "test_fraction": 0}, "is one of tests"),
        ({"valid_fraction": 0.5, "test_fraction": 0.5}, "leave pairs for train"),
        ({"valid_fraction": 0.1, "test_fraction": 1.5}, r"for 1 test\)"),
        ({"split": "popularity-shift", "test_fraction": 0.3}, "for 3 tests"),
        ({"split": "popularity-shift", "gammas": (0.5,)}, "gammas must be distinct"),
        ({"split": "popularity-shift", "gammas": ()}, "gammas must be distinct"),
        ({"split": "popularity-shift", "gammas": (-2,)}, "gammas must be distinct"),
        ({"split": "popularity-shift", "gammas": (float("nan"),)}, "gammas must be"),
        ({"split": "popularity-shift", "gammas": (float("inf"),)}, "gammas must be"),
        ({"split": "popularity-shift", "gammas": (2, 2.0)}, "gammas must be distinct"),
        ({"split": "popularity-shift", "gammas": ("x",)}, "gammas must be distinct"),
        ({"split": "popularity-shift", "mode": "exat"}, "did you mean 'exact'"),
        ({"split": "popularity-shift", "num_groups": 1}, "integer, at least 2"),
        ({"split": "popularity-shift", "num_groups": 2.0}, "integer, at least 2"),
        ({"seed": -1}, "seed must be a non-negative integer"),
        ({"seed": True}, "seed must be a non-negative integer"),
        ({"seed": 0.5}, "seed must be a non-negative integer"),
    ],
)
def test_what_is_wrong_or_has_no_effect_is_an_error(options, said):
    with pytest.raises(ConfigError, match=said):
        SplitOptions(**options)


def test_gammas_as_they_are_typed():
    assert parse_gammas("200,10, 2.5") == (200, 10, 2.5)
    with pytest.raises(ConfigError, match="numbers like 200,10,2"):
        parse_gammas("200;10")
