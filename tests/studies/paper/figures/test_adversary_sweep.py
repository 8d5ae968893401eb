from importlib import import_module

import pytest

figure = import_module("pyg_advinfonce.studies.paper.figures.adversary_sweep")


@pytest.fixture(scope="module")
def table(dataset, config):
    return figure.adversary_sweep(
        dataset,
        seeds=[0],
        epochs=8,
        numbers=[4, 0, 1],
        config=config,
    )


def test_the_star_is_at_the_last_adversarial_epoch_that_ran(table):
    stars = table.groupby("adversary_epochs")["last_adversarial"].unique()
    assert stars.map(list).to_dict() == {0: [-1], 1: [3], 4: [6]}


def test_a_row_for_every_evaluation(table):
    assert table.groupby("adversary_epochs")["epoch"].apply(list).to_dict() == {
        number: [1, 3, 5, 7] for number in (0, 1, 4)
    }
    assert table[["recall", "ndcg"]].notna().all(axis=None)


def test_before_the_first_adversarial_epoch_the_number_changes_nothing(table):
    assert table[table["epoch"] < 3].groupby("epoch")["recall"].nunique().max() == 1


def test_the_files(table, is_written):
    is_written("fig5", 0, table)
