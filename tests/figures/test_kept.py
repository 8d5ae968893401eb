import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyg_advinfonce.figures.kept import kept

TABLE = pd.DataFrame(
    {"user": ["007", "NA"], "epoch": [0, 1], "x": [0.1 + 0.2, 1 / 3], "y": [None, 1e-9]}
)


@pytest.fixture
def make():
    """Makes the table and counts how often."""

    def make():
        make.calls += 1
        return TABLE

    make.calls = 0
    return make


def test_a_table_is_made_once_and_found_as_it_was(tmp_path, make):
    for _ in range(2):
        found = kept(tmp_path / "new", ["a", 1], make)
        assert_frame_equal(found, TABLE, check_exact=True)
    assert make.calls == 1


def test_another_key_is_another_table(tmp_path, make):
    for key in (["a", 1], ["a", 2], ["b", 1], [{"x": 1, "y": 2}], [{"y": 2, "x": 1}]):
        kept(tmp_path, key, make)
    assert make.calls == 4


def test_without_a_folder_nothing_is_kept(make):
    assert kept(None, [], make) is kept(None, [], make)
    assert make.calls == 2


def test_what_fails_leaves_nothing(tmp_path, make):
    with pytest.raises(ZeroDivisionError):
        kept(tmp_path, [], lambda: 1 / 0)
    assert list(tmp_path.iterdir()) == []
