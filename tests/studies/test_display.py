"""What a person is shown of runs and trials."""

from pyg_advinfonce.studies import main_metrics, note_lines, ranked_trials, setting_text


def test_trials_are_ranked_and_the_lost_ones_last():
    rows = [
        {"trial": str(n), "state": state, "value": value}
        for n, (state, value) in enumerate(
            [
                ("failed", None),
                ("complete", 0.1),
                ("pruned", 0.9),
                ("complete", 0.2),
            ]
        )
    ]
    assert [row["trial"] for row in ranked_trials(rows)] == ["3", "1", "2", "0"]


def test_of_equal_trials_the_earliest_comes_first():
    rows = [{"trial": n, "state": "complete", "value": 0.5} for n in range(3)]
    assert ranked_trials(rows) == rows


def test_a_note_of_all_names_none():
    assert note_lines({"a": ["few", "odd"], "b": ["few"]}) == ["few", "odd: a"]
    assert note_lines({"a": ["few"], "b": [], "c": ["few"]}) == ["few: a, c"]
    assert note_lines({}) == []


def test_the_main_metrics_are_of_test_splits():
    names = ["valid/recall@20", "test/recall@20", "test/recall@50", "test_10/ndcg@20"]
    assert main_metrics(names) == ["test/recall@20", "test_10/ndcg@20"]


def test_a_setting_has_few_digits():
    assert setting_text(0.123456789) == "0.1235"
    assert setting_text(0.123456789, digits=6) == "0.123457"
    assert [setting_text(value) for value in (123456, "user")] == ["123456", "user"]
