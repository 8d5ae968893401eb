import pytest

from pyg_advinfonce.registry import DATASETS, LOSSES, METRICS, MODELS, REPRODUCTIONS

TABLES = {
    **{"models": MODELS, "losses": LOSSES, "datasets": DATASETS, "metrics": METRICS},
    "reproductions": REPRODUCTIONS,
}


def first_words(text):
    return [line.split()[0] for line in text.splitlines()]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_lists_every_name(advnce, table):
    found = advnce("ls", table)
    assert (found.code, found.err) == (0, "")
    assert first_words(found.out) == list(TABLES[table])


def test_without_a_name_every_table_is_listed(advnce):
    expected = []
    for title, table in TABLES.items():
        expected += [f"{title}:", *table]
    assert first_words(advnce("ls").out) == expected


def test_an_unknown_table_gets_a_suggestion(advnce):
    found = advnce("ls", "model")
    assert found.code == 2
    assert found.line == (
        "unknown table 'model', did you mean 'models'? "
        "choose from models, losses, datasets, metrics, reproductions, runs"
    )


def test_every_line_fits_a_terminal(advnce):
    assert max(map(len, advnce("ls").out.splitlines())) <= 80
