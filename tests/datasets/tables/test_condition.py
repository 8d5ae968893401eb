import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables.condition import Condition
from pyg_advinfonce.errors import ConfigError

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
    with pytest.raises(ConfigError, match="positive_if wants a column") as error:
        Condition.parse(text)
    assert "\n" not in str(error.value)
