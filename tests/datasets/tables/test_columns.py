from pathlib import Path

import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables import (
    Condition,
    TableOptions,
    find_columns,
    warn_of_ratings,
)
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning

PATH = Path("some/table.csv")


def find(names, *, needs_time=False, **options):
    return find_columns(PATH, names, TableOptions(**options), needs_time=needs_time)


@pytest.mark.parametrize(
    ("user", "item"),
    [
        *[
            ("user", "item"),
            ("userId", "movieId"),
            ("uid", "iid"),
            ("USER ID", "Item-ID"),
        ],
        *[("user_id", "video_id"), ("reviewerID", "asin")],
    ],
)
def test_common_names_are_found(user, item):
    columns = find(["x", item, "y", user])
    assert (columns.user, columns.item, columns.time) == (user, item, None)


def test_a_time_is_found_only_where_it_is_needed():
    assert find(["user", "item", "ts"], needs_time=True).time == "ts"
    with pytest.raises(DataError, match=r"several, 'date', 'time', among .*--time-col"):
        find(["user", "item", "date", "time"], needs_time=True)


def test_an_id_is_no_number_to_compare():
    with pytest.raises(ConfigError, match="the id column 'item'"):
        find(["user", "item"], positive_if="item < 100")


def test_a_chosen_name_wins():
    columns = find(["user", "who", "item"], user_col="who")
    assert columns.user == "who"


@pytest.mark.parametrize("names", [["a", "item"], ["user", "uid", "item"], ["user"]])
def test_what_is_not_clear_names_what_there_is_and_the_option(names):
    with pytest.raises(DataError) as error:
        find(names)
    message = str(error.value)
    assert message.startswith("some/table.csv:1: expected one ")
    assert all(repr(name) in message for name in names)
    assert "--user-col" in message or "--item-col" in message


def test_a_chosen_column_that_is_not_there():
    with pytest.raises(DataError, match=r"column 'who' of user_col, found 'a', 'item'"):
        find(["a", "item"], user_col="who")
    with pytest.raises(DataError, match=r"'stars' of positive_if, found"):
        find(["user", "item"], positive_if="stars > 2")


def test_one_column_is_not_both():
    with pytest.raises(ConfigError, match="user_col and item_col are both 'user'"):
        find(["user", "item"], item_col="user")


def test_rating_means_the_rating_column_where_none_has_that_name():
    names = ["user", "item", "overall"]
    assert find(names, positive_if="rating > 3").numbers == ["overall"]
    names = ["user", "item", "a", "rating"]
    assert find(names, positive_if="rating > 3").numbers == ["rating"]
    names = ["user", "item", "a"]
    assert find(names, positive_if="rating > 3", rating_col="a").numbers == ["a"]


def test_ratings_that_nobody_looks_at_are_a_warning():
    with pytest.warns(DataWarning, match="--positive-if 'stars >= 4'"):
        warn_of_ratings(PATH, ["user", "item", "stars"], TableOptions())
    with pytest.warns(DataWarning, match="--positive-if 'x >= 4'"):
        warn_of_ratings(PATH, ["user", "item", "x"], TableOptions(rating_col="x"))


def test_ratings_that_a_condition_or_nobody_has_are_none(recwarn):
    warn_of_ratings(PATH, ["stars"], TableOptions(positive_if="stars > 2"))
    warn_of_ratings(PATH, ["user", "item"], TableOptions())
    assert not recwarn.list
    with pytest.raises(DataError, match="column 'x' of rating_col"):
        warn_of_ratings(PATH, ["user", "item"], TableOptions(rating_col="x"))


ROWS = pd.DataFrame({"rating": [1.0, 4.0, 5.0], "my watch ratio": [0.0, 2.0, 2.5]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rating >= 4", [False, True, True]),
        ("rating>4.0", [False, False, True]),
        ("rating < 4", [True, False, False]),
        ("rating <= 4e0", [True, True, False]),
        ("rating == 4", [False, True, False]),
        ("rating != +4.", [True, False, True]),
        ("rating > -.5", [True, True, True]),
        (" my watch ratio > 2 ", [False, False, True]),
        ("rating >= 4 and my watch ratio <= 2", [False, True, False]),
    ],
)
def test_what_holds(text, expected):
    assert Condition.parse(text).holds(ROWS).tolist() == expected


def test_its_text_is_the_same_however_it_was_written():
    texts = ["rating>=4.0 and x !=+.5", " rating >= 4e0  and  x != 0.5 "]
    (text,) = {str(Condition.parse(text)) for text in texts}
    assert text == "rating >= 4 and x != 0.5"
    assert Condition.parse(text) == Condition.parse(texts[0])


def test_without_comparisons_every_row_counts():
    assert Condition().holds(ROWS).all()


def test_columns_can_have_other_names():
    condition = Condition.parse("rating > 1 and rating < 5").renamed({"rating": "r"})
    assert condition.columns == ["r"]


WRONG = """
rating
rating >=
>= 4
rating = 4
rating => 4
4 <= rating
rating >= four
rating >= nan
rating >= inf
rating >= 4 or x > 1
rating >= 4 and
rating >= __import__('os')
1 < rating < 5
rating >= 4; x
rating >= 1_0
rating >= \u0664
"""


@pytest.mark.parametrize("text", WRONG.split("\n")[:-1])
def test_another_form_is_an_error_and_never_run(text):
    with pytest.raises(ConfigError, match="positive_if must be a column") as error:
        Condition.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["weight", "plays", "watch_ratio", "count", "playCount"]
)
def test_weights_that_nobody_looks_at_are_a_warning(name):
    with pytest.warns(DataWarning, match=f"regardless of '{name}'.* '{name} > 0'"):
        warn_of_ratings(PATH, ["user", "item", name], TableOptions())
