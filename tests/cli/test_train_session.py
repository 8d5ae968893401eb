import pytest
from pyg_advinfonce.cli._train import layers, parse_seeds

from pyg_advinfonce.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [3]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("1,3,5", [1, 3, 5]),
        ("7,0-2", [7, 0, 1, 2]),
        ("4-4", [4]),
    ],
)
def test_seeds(text, seeds):
    assert parse_seeds(None, text) == seeds


def test_a_thousand_seeds_are_taken():
    assert parse_seeds(None, "0-999") == list(range(1000))


def test_one_seed():
    assert parse_seeds(3, None) == [3]


def test_no_seed():
    assert parse_seeds(None, None) is None


def test_not_both():
    with pytest.raises(ConfigError, match="both"):
        parse_seeds(0, "0-2")


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2", "1.5", "0 1", "9" * 40])
def test_what_is_no_list_of_seeds(text):
    with pytest.raises(ConfigError, match="--seeds wants 0-4 or 1,3,5"):
        parse_seeds(None, text)


@pytest.mark.parametrize("text", ["4-1", "1,1", "0-3,2", "0-1000", "0-99999999999"])
def test_seeds_are_different_and_not_too_many(text):
    with pytest.raises(ConfigError, match="1 to 1000 different seeds"):
        parse_seeds(None, text)


def test_flags_are_stronger_than_assignments_and_those_than_the_file(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[train]\nepochs = 1\n", encoding="utf-8")
    found = layers(file, ["train.epochs=2", "train.epochs=3"], 4, 0.5)
    assert [layer.get("train") for layer in found] == [
        {"epochs": 1},
        {"epochs": 2},
        {"epochs": 3},
        {"epochs": 4},
        None,
    ]
    assert found[-1] == {"data": {"valid_fraction": 0.5}}
