import sys
from itertools import pairwise

import pytest

from pyg_advinfonce.errors import MissingExtraError
from pyg_advinfonce.figures import fig4, style
from pyg_advinfonce.figures.style import INK, RULE, STYLE, new_figure, styled


def test_without_matplotlib_the_extra_is_named_before_any_training(
    monkeypatch, tmp_path, dataset
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as caught:
        fig4.reproduce(dataset, seeds=[0], out=tmp_path, say=pytest.fail)
    message = "figures need matplotlib: pip install 'pyg-advinfonce[plot]'"
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_the_users_own_style_alone():
    from matplotlib import rcParams

    before = {key: rcParams[key] for key in rcParams if key != "backend"}
    assert styled(lambda: rcParams["axes.spines.top"])() is False
    assert {key: rcParams[key] for key in before} == before


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
