import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.reproduction.line import Line
from pyg_advinfonce.reproduction.paper_table import paper_table
from pyg_advinfonce.reproduction.records import make_records
from tests.finished_seeds import write_run

RECALL = "test/recall@20"


def record(folder, data, values):
    """Return the record of BPR in Table 4, recall on one data set."""
    table = paper_table("table4").on(data)
    row, config = table.rows[0], Config.resolve("mf", "bpr", data)
    line = Line(row, data, config, None, [RECALL], write_run(folder, values))
    base = Line(table.rows[1], data, config, None, [RECALL])
    return make_records(table, [line, base])[0]


@pytest.mark.parametrize(
    ("data", "mean", "within"),
    [
        ("coat", 0.2782 - 0.01, True),
        ("coat", 0.2782 + 0.01, True),
        ("coat", 0.2782 - 0.0101, False),
        ("yahoo", 0.1189 * 1.03, True),
        ("yahoo", 0.1189 * 0.97, True),
        ("yahoo", 0.1189 * 1.031, False),
        ("yahoo", 0.1189 * 0.969, False),
    ],
)
def test_what_the_paper_allows(tmp_path, data, mean, within):
    found = record(tmp_path, data, (mean - 0.05, mean + 0.05))
    assert found["within"] is within
    assert found["off"] == pytest.approx(mean / found["paper"] - 1)
    assert found["seeds"] == [0, 1]


def test_what_is_no_number_is_off_the_paper(tmp_path):
    found = record(tmp_path, "coat", (0.2782, None))
    assert (found["mean"], found["off"], found["within"]) == (None, None, False)


def test_without_a_run_there_is_no_judgement(tmp_path):
    table = paper_table("coat/mf-bpr")
    config = Config.resolve("mf", "bpr", "coat")
    lines = [Line(table.rows[0], "coat", config, None, [RECALL])]
    (found,) = make_records(table, lines)
    assert (found["within"], found["mean"], found["paper"]) == (None, None, 0.2782)


def test_a_baseline_that_has_not_run_compares_with_nothing(tmp_path):
    found = record(tmp_path, "coat", (0.2, 0.3))
    assert (found["ratio"], found.get("p_seeds", "none")) == (None, "none")
