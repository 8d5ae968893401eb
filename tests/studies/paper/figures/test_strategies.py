from importlib import import_module

import pytest

figure = import_module("pyg_advinfonce.studies.paper.figures.strategies")


@pytest.fixture(scope="module")
def table(dataset, config, lines):
    return figure.strategies(
        dataset, seeds=[0, 1], epochs=8, config=config, progress=lines
    )


def test_a_row_for_every_evaluation_of_every_strategy(table, lines):
    names = ["adv", "infonce", "infonce-1", "rand", "adv-reverse"]
    assert table["strategy"].unique().tolist() == names
    counts = table.groupby(["strategy", "seed"])["epoch"].apply(list)
    assert counts.to_list() == [[1, 3, 5, 7]] * 10
    assert table.notna().all(axis=None)
    assert len(lines.said) == 10


def test_strategies_part_when_the_adversary_begins(table):
    first = table[(table["epoch"] == 1) & (table["seed"] == 0)].set_index("strategy")
    last = table[(table["epoch"] == 7) & (table["seed"] == 0)].set_index("strategy")
    columns = ["recall", "ndcg", "align", "uniform"]
    assert (first.loc["adv", columns] == first.loc["adv-reverse", columns]).all()
    assert (last.loc["adv", columns] != last.loc["adv-reverse", columns]).any()


def test_the_files(table, is_written):
    is_written("fig4", 1, table)


def test_a_way_that_does_not_move_can_be_drawn(table):
    still = table.assign(align=1.0, uniform=-1.0)
    assert figure.draw_plane(still) is not None
