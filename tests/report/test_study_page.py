import pytest

from pyg_advinfonce.report.read import read_study
from pyg_advinfonce.report.study_page import ranked, study_page


def test_trials_are_ranked_and_the_lost_ones_last():
    rows = [
        {"trial": str(n), "state": state, "value": value}
        for n, (state, value) in enumerate(
            [
                ("failed", ""),
                ("complete", "0.1"),
                ("pruned", "0.9"),
                ("complete", "0.2"),
            ]
        )
    ]
    assert [row["trial"] for row in ranked(rows)] == ["3", "1", "2", "0"]


def test_the_best_is_beside_the_default(study):
    page = study_page(read_study(study), study)
    assert page["best"] == [("loss.tau", "0.75", "0.5")]
    assert page["command"] == (
        f"advnce train mf --loss adv --data coat --config {study}/best.toml"
    )
    assert page["tiles"][0] == ("best valid/recall@20", "0.4000", "trial 1, epoch 9")
    assert ("trials", "2 complete", "1 failed") in page["tiles"]


def test_a_failed_trial_says_why(study):
    page = study_page(read_study(study), study)
    assert [trial["number"] for trial in page["trials"]] == ["1", "0", "2"]
    assert page["trials"][2]["error"] == "ValueError: no"
    assert page["trials"][1]["is_default"]


def test_a_setting_that_varies_has_a_chart(study, write_study):
    assert [c.title for c in study_page(read_study(study), study)["parameters"]] == [
        "loss.tau"
    ]
    rows = [f"{n},complete,0.{n + 1},False,1,1,1,0.5," for n in range(3)]
    other = write_study(rows, name="other")
    assert study_page(read_study(other), other)["parameters"] == []


@pytest.mark.parametrize(
    "values",
    [
        [10.0 ** (-n) for n in range(9)],
        list(range(1, 10)),
        ["True", "False", "", "True"],
        [-1.5, 0, 2, 3, 4, 5, 6, 7, 8],
    ],
)
def test_any_values_can_be_drawn(write_study, values):
    rows = [f"{n},complete,0.5,False,1,1,1,{v}," for n, v in enumerate(values)]
    study = write_study(rows)
    assert len(study_page(read_study(study), study)["parameters"]) == 1


def test_a_study_of_failures(write_study):
    study = write_study(["0,failed,,True,,,1,0.5,no"], best=None, default_value=None)
    page = study_page(read_study(study), study)
    assert page["best"] == page["progress"] == page["parameters"] == []
    assert page["command"] == ""


def test_a_value_of_zero_is_a_value(write_study):
    study = write_study(["0,complete,0.0,True,0,5,1,0.5,"])
    assert len(study_page(read_study(study), study)["progress"]) == 1
