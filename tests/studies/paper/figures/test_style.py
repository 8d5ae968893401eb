import csv
import os
import sys
from itertools import pairwise

import pandas as pd
import pytest
import torch

from pyg_advinfonce.errors import ConfigError, DataError, MissingExtraError
from pyg_advinfonce.studies.paper import Request
from pyg_advinfonce.studies.paper.figures import (
    INK,
    RULE,
    new_figure,
    reproduce_figure,
    style,
    styled,
)
from pyg_advinfonce.studies.paper.figures.style import STYLE, save


def test_without_matplotlib_the_extra_is_named_before_any_training(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as caught:
        reproduce_figure(Request("fig4", [0], torch.device("cpu"), tmp_path / "new"))
    message = "matplotlib is not installed: pip install 'pyg-advinfonce[plot]'"
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_the_users_own_style_alone():
    from matplotlib import rcParams

    before = {key: rcParams[key] for key in rcParams if key != "backend"}
    assert styled(lambda: rcParams["axes.spines.top"])() is False
    assert {key: rcParams[key] for key in before} == before


HOSTILE = {
    "font.size": 40,
    "axes.facecolor": "red",
    "figure.dpi": 10,
    "savefig.bbox": "tight",
    "savefig.dpi": 20,
    "text.usetex": True,
    "path.sketch": (10, 10, 10),
    "svg.fonttype": "none",
}


def test_the_users_settings_do_not_change_a_figure(tmp_path):
    from matplotlib import rc_context

    @styled
    def draw(folder):
        figure, [[axes]] = new_figure(2, 1)
        axes.plot([0, 1], [1, 0], label="line")
        axes.legend()
        return [
            path.read_bytes()
            for path in save(figure, pd.DataFrame({"a": [1]}), folder, "f")[:2]
        ]

    expected = draw(tmp_path / "usual")
    with rc_context(HOSTILE):
        assert draw(tmp_path / "hostile") == expected


def test_a_matplotlibrc_that_would_never_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("matplotlibrc")
    with pytest.raises(DataError, match=r"matplotlibrc: .* pipe or device"):
        styled(lambda: None)()


def test_a_matplotlib_that_refuses_its_settings(monkeypatch):
    def refuse(_):
        raise ValueError("Key backend: 'nonsense' is not a valid value")

    monkeypatch.setattr(style, "optional_package", refuse)
    with pytest.raises(ConfigError, match=r"'nonsense' .*: check MPLBACKEND, and the"):
        styled(lambda: None)()


def test_the_colours_of_text_and_grid_are_those_that_a_page_replaces():
    text = STYLE.read_text(encoding="utf-8")
    assert f"text.color: {INK[1:]}" in text
    assert f"grid.color: {RULE[1:]}" in text


@pytest.mark.parametrize(
    "places", [[0.5, 0.5, 0.5], [0.1, 0.9], [0.99, 0.98, 0.2], [0.3], []]
)
def test_labels_are_apart_in_the_order_of_what_they_name(places):
    found = style._apart(places, 0.1)
    assert sorted(range(len(found)), key=found.__getitem__) == sorted(
        range(len(places)), key=places.__getitem__
    )
    ordered = sorted(found)
    assert all(b - a >= 0.099 for a, b in pairwise(ordered))
    assert all(place <= 1.0 for place in found)


def test_labels_that_have_room_stay_where_they_are():
    assert style._apart([0.2, 0.8, 0.5], 0.1) == [0.2, 0.8, 0.5]


@styled
def test_the_warm_up_does_not_stretch_the_axes():
    _, [[axes]] = new_figure(3, 2)
    axes.plot(range(101), [0.0] * 20 + [1.0] * 40 + [2.0] * 41)
    style.focus_late(axes)
    low, high = axes.get_ylim()
    assert 0.8 < low < 1
    assert 2 < high < 2.2


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


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$\\frac{1}$", "a&b"])
def test_strange_names_are_text_in_a_drawing(tmp_path, name):
    save(a_figure(name), pd.DataFrame({"a": [1]}), tmp_path, "f")
    text = tmp_path.joinpath("f.svg").read_text("utf-8")
    assert "<script" not in text


def test_an_earlier_figure_is_replaced_as_a_whole(tmp_path):
    for path in save(a_figure("t"), pd.DataFrame({"a": [1]}), tmp_path, "f"):
        path.with_suffix(f"{path.suffix}.old").hardlink_to(path)
    for path in save(a_figure("u"), pd.DataFrame({"a": [2]}), tmp_path, "f"):
        old = path.with_suffix(f"{path.suffix}.old")
        assert old.read_bytes() != path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 6


def test_the_same_figure_is_the_same_file(tmp_path):
    table = pd.DataFrame({"a": [1]})
    for name in ("one", "two"):
        save(a_figure("t"), table, tmp_path / name, "f")
    for kind in ("png", "svg", "csv"):
        one, two = (tmp_path / name / f"f.{kind}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
