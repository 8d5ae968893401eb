import pytest

from pyg_advinfonce.runs import read_run
from pyg_advinfonce.studies.report import pages
from pyg_advinfonce.studies.report.pages import run_page, study_page
from pyg_advinfonce.studies.report.read import read_study


@pytest.fixture
def page(run, tmp_path):
    return run_page(read_run(run), root=tmp_path, cache_dir=tmp_path)


def test_metrics_are_means_and_deviations_test_first(page):
    rows = {split: cells for split, _, cells in page["metrics"]["rows"]}
    assert list(rows) == ["test", "test, paper", "valid"]
    assert page["metrics"]["columns"] == ["recall@20", "ndcg@20"]
    assert rows["test"] == ["0.2500 ± 0.0707", "nan"]
    assert rows["valid"] == ["0.3500 ± 0.0707", ""]


def test_the_papers_numbers_are_beside_ours(page):
    rows = {split: cells for split, _, cells in page["metrics"]["rows"]}
    assert rows["test, paper"] == ["0.2846", "0.2026"]
    assert page["metrics"]["source"] == "Table 10"
    assert page["tiles"][0] == ("test/recall@20", "0.2500 ± 0.0707", "paper 0.2846")


def test_numbers_of_another_protocol_are_marked(run, tmp_path, monkeypatch):
    known = {"by": "published (test-selected)", "test/ndcg@20": 0.5}
    monkeypatch.setattr(pages, "paper_numbers", lambda _: known)
    page = run_page(read_run(run), root=tmp_path, cache_dir=tmp_path)
    rows = {split: cells for split, _, cells in page["metrics"]["rows"]}
    assert rows["test, published (test-selected)"] == ["", "0.5000"]
    tiles = {name: known for name, _, known in page["tiles"]}
    assert tiles["test/ndcg@20"] == "published (test-selected) 0.5000"


def test_other_settings_have_no_numbers_to_compare(run, tmp_path):
    for file in run.glob("seed-*/config.toml"):
        file.write_text(file.read_text("utf-8").replace("tau = 0.75", "tau = 0.7"))
    page = run_page(read_run(run), root=tmp_path, cache_dir=tmp_path)
    assert [split for split, _, _ in page["metrics"]["rows"]] == ["test", "valid"]
    assert page["metrics"]["source"] == ""


def test_every_seed_has_a_row(page):
    rows = page["by_seed"]["rows"]
    assert [(seed, epoch) for seed, epoch, _ in rows] == [(0, 14), (1, 14)]
    assert rows[1][2] == ["0.4000", "0.3000", "nan"]


def test_settings_are_listed_and_the_seed_is_not_one(page):
    settings = {section: dict(pairs) for section, pairs in page["settings"]}
    assert settings["loss"]["tau"] == "0.75"
    assert settings["loss"]["reverse"] == "False"  # a default
    assert "alpha" not in settings["model"]
    assert "seed" not in settings["train"]
    assert page["seeds"] == [0, 1]


def test_the_environment_is_that_of_the_run(page):
    found = dict(page["environment"])
    assert found["torch"] == "2.13.0"
    assert found["device"] == "cpu"
    assert found["data"] == "coat: 290 users"


def test_a_run_of_one_epoch_has_no_time_per_epoch(run, tmp_path, write_seed):
    seed = write_seed(tmp_path / "seed-3", seconds_per_epoch=None)
    page = run_page(read_run(seed), root=tmp_path, cache_dir=tmp_path)
    assert "training per epoch" not in dict(page["environment"])


def test_charts_are_those_that_the_history_has_values_for(page):
    groups = {name: [c.title for c in charts] for name, charts in page["groups"]}
    assert len(groups["Training"]) == 3
    assert groups["The adversary"] == [
        "Distance from uniform",
        "Range of hardness δ",
        "Negatives with δ below 0",
        "False negatives identified",
    ]


def test_where_the_data_is_not_found_its_figure_is_left_out_with_a_reason(page):
    assert [chart.title for chart in page["figures"]] == ["Align and uniform"]
    assert page["missing"].startswith("Hardness by popularity needs the run's data: ")
    assert page["by_group"] == []
    assert page["no_groups"].startswith("Recall and exposure by group need the run's ")


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
    assert [trial["number"] for trial in page["trials"]] == [1, 0, 2]
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
