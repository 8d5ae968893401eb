import shutil

import pandas as pd
import pytest

from pyg_advinfonce.studies.report import charts

TRAIN = ["train", "lightgcn", "--epochs", 6, "--set", "train.eval_every=2", "--quiet"]
ADVERSARY = ["--set", "loss.adversary_every=2", "--seeds", "0-1", "--out", "run"]


@pytest.fixture
def run(advnce, folder):
    advnce(*TRAIN, *ADVERSARY)
    return folder / "run"


def test_a_run_becomes_a_page(advnce, run):
    found = advnce("report", "run")
    assert (found.code, found.out, found.err) == (0, "run/report.html\n", "")
    text = run.joinpath("report.html").read_text("utf-8")
    assert "lightgcn + adv on simulated" in text
    assert "Hardness by popularity" in text
    assert "needs the run's data" not in text
    assert "torch-geometric" in text


def test_a_run_with_all_negatives_becomes_a_page(advnce, folder):
    advnce(*TRAIN, *ADVERSARY, "--set", "train.num_negatives=all")
    assert advnce("report", "run").code == 0
    text = folder.joinpath("run/report.html").read_text("utf-8")
    assert "Hardness by popularity" in text
    assert "needs the run's data" not in text


def test_one_seed_becomes_a_page_elsewhere(advnce, run, folder):
    found = advnce("report", "run/seed-1", "--out", "pages/one.html")
    assert found.out == "pages/one.html\n"
    assert "Run, seed 1<" in folder.joinpath("pages/one.html").read_text("utf-8")


def test_recall_and_exposure_are_drawn_by_group(advnce, folder, monkeypatch):
    words = ["--loss", "bpr", "--epochs", 1, "--seeds", "0-1", "--out", "two"]
    assert advnce("train", "mf", *words).code == 0
    drawn = []
    draw = charts._group_chart

    def keep(panel, table, split):
        drawn.append((panel, table, split))
        return draw(panel, table, split)

    monkeypatch.setattr(charts, "_group_chart", keep)
    assert advnce("report", "two").code == 0
    text = folder.joinpath("two/report.html").read_text("utf-8")
    advnce("evaluate", "two", "--groups-out", "groups.csv")
    expected = pd.read_csv(folder / "groups.csv").query("split == 'test'")
    assert [panel.group for panel, _, _ in drawn] == ["item", "item", "user"]
    for panel, table, split in drawn:
        assert split == "test"
        assert f'aria-label="{panel.title}"' in text
        own = expected[expected["group"] == panel.group]
        assert table["decile"].tolist() == list(range(1, 11))
        for name in ("share", "recall", "positives"):
            assert table[name].tolist() == pytest.approx(own[name].tolist())
        assert table["wanted"].sum() == pytest.approx(1)


def test_a_study_becomes_a_page(advnce, folder):
    words = ["--epochs", 1, "--set", "train.batch_size=256", "--quiet"]
    advnce("tune", "mf", "--loss", "bpr", "--trials", 2, "--out", "study", *words)
    assert advnce("report", "study").out == "study/report.html\n"
    text = folder.joinpath("study/report.html").read_text("utf-8")
    assert "mf + bpr on simulated" in text
    assert "train.lr" in text


def test_what_is_neither_is_one_line(advnce, folder):
    found = advnce("report", "nothing")
    assert found.code == 2
    assert found.line == f"nothing: no such folder in the working directory {folder}"
    assert list(folder.iterdir()) == []


@pytest.mark.filterwarnings("always:omitted")
def test_a_figure_that_is_left_out_is_a_warning(advnce, folder, split_folder):
    path = split_folder()
    advnce(*TRAIN, *ADVERSARY, "--data", path, "--set", "train.batch_size=4")
    shutil.rmtree(path)
    found = advnce("report", "run")
    assert (found.code, found.out) == (0, "run/report.html\n")
    said = "advnce: warning: omitted: Hardness by popularity needs the run's data: "
    assert found.err.startswith(said)
    said = (
        "\nadvnce: warning: omitted: Recall and exposure by group need the run's data: "
    )
    assert said in found.err


def test_a_file_of_ones_own_is_left_alone(advnce, run, folder):
    folder.joinpath("thesis.html").write_text("mine", "utf-8")
    found = advnce("report", "run", "--out", "thesis.html")
    assert found.line == "thesis.html is not a report of advnce: it is not overwritten"


def test_several_runs_become_one_page(advnce, folder):
    words = ["train", "mf", "--loss", "bpr", "--epochs", 2, "--quiet"]
    assert advnce(*words, "--out", "runs/a").code == 0
    other = ["--set", "train.lr=0.5", "--set", "train.eval_every=1"]
    assert advnce(*words, *other, "--out", "runs/b").code == 0
    found = advnce("report", "runs/a", "runs/b")
    assert found.code == 0
    text = folder.joinpath("runs/report.html").read_text("utf-8")
    assert "Comparison of 2 runs" in text
    assert "advnce train mf --loss bpr --epochs 2 --quiet --out runs/a" in text
    assert "<tr><th>train.lr</th><td>0.001</td><td>0.5</td></tr>" in text
    assert "Holm-corrected over 2 comparisons with a" in text
    assert "Validation Recall@20" in text
    assert text.count("<svg") == 3
    for file in folder.glob("runs/*/**/run.json"):
        file.unlink()
    assert advnce("report", "runs/a", "runs/b").code == 0
    assert "Commands" in text
    assert "Commands" not in folder.joinpath("runs/report.html").read_text("utf-8")
    assert advnce("report", "runs/a", "runs/a").line.endswith("each of them once")
    assert "runs/none: no such folder" in advnce("report", "runs/a", "runs/none").line
