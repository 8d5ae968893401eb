from importlib import import_module

import pytest
import torch

from pyg_advinfonce.errors import ConfigError

figure = import_module("pyg_advinfonce.studies.paper.figures.refinement")


def run(dataset, config):
    return figure.refinement(dataset, seeds=[0, 7], epochs=8, config=config)


@pytest.fixture(scope="module")
def table(dataset, config):
    return run(dataset, config)


def test_two_users_three_items_two_losses(table):
    assert table["user"].nunique() == 2
    assert table.groupby("user")["item"].nunique().to_list() == [3, 3]
    assert table["loss"].to_list() == ["infonce", "adv"] * 6
    assert table["rank"].between(1, 295).all()
    assert table["score"].abs().max() <= 1 + 1e-6


def test_the_false_negative_is_liked_and_the_others_are_not(table, dataset):
    users, items = (
        torch.tensor([int(x) for x in table[name]]) for name in ("user", "item")
    )
    expected = (table["kind"] == "false negative").to_list()
    assert dataset.likes(users, items).tolist() == expected


def test_the_others_are_the_extremes(table):
    by_kind = table.pivot_table(index="user", columns="kind", values="delta")
    assert (by_kind["softest other"] < by_kind["hardest other"]).all()
    assert table.groupby(["user", "item"])["delta"].nunique().max() == 1


def test_a_higher_score_is_a_better_rank(table):
    for _, rows in table.groupby(["user", "loss"]):
        by_score = rows.sort_values("score", ascending=False)
        assert by_score["rank"].is_monotonic_increasing


def test_the_first_seed_decides(table, dataset, config):
    assert run(dataset, config).equals(table)


def test_nothing_to_show_is_an_error(dataset, config, monkeypatch):
    monkeypatch.setattr(figure, "MOST_RANK", 0)
    with pytest.raises(ConfigError, match="expected a sampled false negative"):
        run(dataset, config)


def test_strange_names_can_be_drawn_and_saved(table, tmp_path, is_written):
    names = {table["item"][0]: "=cmd()", table["item"][2]: "$\\bad{<script>" * 9}
    strange = table.assign(item=table["item"].replace(names))
    is_written("fig7", 0, strange)
    assert "'=cmd()" in tmp_path.joinpath("fig7.csv").read_text("utf-8")
    assert "<script" not in tmp_path.joinpath("fig7.svg").read_text("utf-8")
