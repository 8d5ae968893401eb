import csv

import pandas as pd
import pytest

from pyg_advinfonce.figures.save import guarded, save
from pyg_advinfonce.figures.style import new_figure, styled


@styled
def a_figure(title):
    figure, [[axes]] = new_figure(3, 2)
    axes.plot([0, 1], [0, 1], label=title)
    axes.set_title(title)
    axes.legend()
    return figure


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@SUM(A1)", "\t=x", "\r@x"])
def test_what_a_spreadsheet_would_run_is_quoted(tmp_path, name):
    table = pd.DataFrame({"item": [name, "fine"], "value": [-1.5, 2.0]})
    save(a_figure("t"), table, tmp_path, "f")
    with tmp_path.joinpath("f.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["item"] == f"'{name.strip()}"
    assert (second["item"], first["value"]) == ("fine", "-1.5")


def test_numbers_and_other_texts_stay_as_they_are():
    table = pd.DataFrame({"a": ["x", "1-2"], "b": [-1, -2], "c": [-0.5, None]})
    pd.testing.assert_frame_equal(guarded(table), table)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$\\frac{1}$", "a&b"])
def test_strange_names_are_text_in_a_drawing(tmp_path, name):
    save(a_figure(name), pd.DataFrame({"a": [1]}), tmp_path, "f")
    text = tmp_path.joinpath("f.svg").read_text("utf-8")
    assert "<script" not in text


def test_the_same_figure_is_the_same_file(tmp_path):
    table = pd.DataFrame({"a": [1]})
    for name in ("one", "two"):
        save(a_figure("t"), table, tmp_path / name, "f")
    for kind in ("png", "svg", "csv"):
        one, two = (tmp_path / name / f"f.{kind}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
