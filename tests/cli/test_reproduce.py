import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_advinfonce import experiment
from pyg_advinfonce.errors import NonFiniteLossError
from pyg_advinfonce.studies.paper import paper_table, results
from pyg_advinfonce.studies.paper.figures import trainings as runs
from pyg_advinfonce.studies.paper.paper_table import PaperTable

QUICK = ["--epochs", "2", "--set", "model.dim=4", "--set", "train.eval_every=1"]
TABLE = ["reproduce", "table10", "--data", "simulated", *QUICK]
TRAIN = experiment.train  # some tests patch it
RECALL, NDCG = "test/recall@20", "test/ndcg@20"


@pytest.fixture
def trained(monkeypatch):
    """Collects the seeds that are trained, as (loss, seed)."""
    found = []

    def train(config, *words, **options):
        found.append((config.loss.name, config.train.seed))
        return TRAIN(config, *words, **options)

    monkeypatch.setattr(experiment, "train", train)
    return found


@pytest.fixture
def paper(monkeypatch):
    """Let the paper have numbers of simulated data."""

    def claim(**numbers):
        def on(table, data):
            row = table.rows[0]
            row.numbers[data] = {f"test/{k}@20": v for k, v in numbers.items()}
            return PaperTable(table.name, "", "infonce", {data: (RECALL,)}, (row,))

        monkeypatch.setattr(PaperTable, "on", on)

    return claim


def contents(folder):
    """Return every file's bytes."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def losses(seeds):
    return [(loss, s) for loss in ("infonce", "adv", "adv-mlp") for s in seeds]


def test_a_table_in_every_form(advnce, folder):
    found = advnce(*TABLE, "--seeds", "0-1", "--json")
    assert found.code == 0
    summary = json.loads(found.out)
    assert summary["data"][0].startswith("simulated:coat: 290 users")
    assert (summary["seeds"], len(summary["changed"])) == ([0, 1], 3)
    assert [row["loss"] for row in summary["rows"]] == ["infonce", "adv", "adv-mlp"]
    for row in summary["rows"]:
        assert (row["seeds"], row["missing"]) == ([0, 1], None)
        assert list(row["metrics"]) == [RECALL, NDCG]
        assert row["config"]["train"]["epochs"] == 2
        for name, value in row["metrics"].items():
            saved = [
                json.loads(
                    (folder / row["run_dir"] / f"seed-{s}/metrics.json").read_text()
                )
                for s in (0, 1)
            ]
            assert value["values"] == [seed["metrics"][name] for seed in saved]
            assert (value["paper"], value["within"]) == (None, None)
    one, other = summary["rows"][:2]
    ratio = other["metrics"][RECALL]["mean"] / one["metrics"][RECALL]["mean"]
    assert other["metrics"][RECALL]["ratio"] == pytest.approx(ratio)
    assert "p_seeds" not in one["metrics"][RECALL]
    assert 0 < other["metrics"][RECALL]["p_users"] <= 1
    assert [path.suffix for path in map(folder.joinpath, summary["files"])] == [
        *(".md", ".tex", ".csv"),
    ]


def test_what_a_person_sees(advnce, folder):
    found = advnce(*TABLE, "--seeds", "0-1")
    first, *lines = found.out.splitlines()
    assert first.startswith("table10: LightGCN, hardness from embeddings or an MLP")
    (head,) = (line for line in lines if line.startswith("row"))
    assert head.split("  ")[0] == "row"
    assert "paper" not in head  # it has no numbers of simulated data
    assert sum("test/recall@20" in line for line in lines) == 3
    assert max(map(len, found.out.split("p: ")[0].splitlines())) <= 100
    assert found.err.count("no packaged settings: the model's defaults") == 2
    files = {p.name for p in folder.joinpath("runs/reproduce").iterdir() if p.is_file()}
    (stem,) = {Path(name).stem for name in files} - {".advnce"}
    assert re.fullmatch(r"table10-[0-9a-f]{6}-simulated-seeds-0-1", stem)
    assert files == {".advnce", *(f"{stem}.{end}" for end in ("md", "tex", "csv"))}
    text = folder.joinpath(f"runs/reproduce/{stem}.md").read_text()
    assert "| AdvInfoNCE-embed | test/recall@20 |" in text
    assert "## Settings" in text
    with folder.joinpath(f"runs/reproduce/{stem}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["loss"] for row in rows[::2]] == ["infonce", "adv", "adv-mlp"]
    assert 0 <= float(rows[0]["mean"]) <= 1


def test_finished_runs_are_taken_again(advnce, trained):
    first = advnce(*TABLE, "--seeds", "0-1", "--json")
    assert trained == losses([0, 1])
    again = advnce(*TABLE, "--seeds", "0-1", "--json")
    assert trained == losses([0, 1])
    assert again.out == first.out
    advnce(*TABLE, "--seeds", "0-2", "--quiet")
    assert trained == losses([0, 1]) + losses([2])


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_finished_runs_of_little_data_are_taken_again(advnce, split_folder, trained):
    words = ["reproduce", "table10", "--data", split_folder(), *QUICK, "--seeds", "0"]
    first = advnce(*words, "--json")
    assert (first.code, trained) == (0, losses([0]))
    sizes = {r["config"]["train"]["batch_size"] for r in json.loads(first.out)["rows"]}
    assert sizes == {2}
    assert advnce(*words, "--json").out == first.out
    assert trained == losses([0])


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_a_figure_of_little_data(advnce, split_folder):
    words = ["reproduce", "fig5", "--data", split_folder(), "--epochs", "8", *QUICK[2:]]
    found = advnce(*words, "--set", "loss.adversary_every=3", "--seeds", "0", "--json")
    assert found.code == 0, found.err


def test_only_what_is_still_to_be_trained_is_put_together(advnce, monkeypatch):
    found, build = [], results.assemble

    def assemble(config, *words, **options):
        found.append(config.loss.name)
        return build(config, *words, **options)

    monkeypatch.setattr(results, "assemble", assemble)
    advnce(*TABLE, "--seeds", "0", "--check")
    assert found == []
    advnce(*TABLE, "--seeds", "0")
    assert found == ["infonce", "adv", "adv-mlp"]
    assert advnce(*TABLE, "--seeds", "0").code == 0
    assert len(found) == 3


def test_a_mistake_is_known_before_the_first_row_trains(advnce, trained, folder):
    found = advnce(*TABLE, "--seeds", "0", "--set", "train.num_negatives=0")
    assert (found.code, trained) == (2, [])
    assert "train.num_negatives must be at least 1 (got 0)" in found.line
    assert list(folder.iterdir()) == []


def test_other_settings_are_other_runs(advnce, trained):
    advnce(*TABLE, "--seeds", "0")
    advnce(*TABLE, "--seeds", "0", "--set", "train.lr=0.5")
    assert trained == losses([0]) * 2


def test_what_was_interrupted_goes_on(advnce, monkeypatch, trained):
    def stop(config, *words, **options):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append((config.loss.name, config.train.seed))
        return TRAIN(config, *words, **options)

    monkeypatch.setattr(experiment, "train", stop)
    found = advnce(*TABLE, "--seeds", "0-1")
    assert (found.code, found.out) == (130, "")
    assert found.err.endswith(
        "finished seeds are kept: run the same command again to continue\n"
        "advnce: interrupted\n"
    )
    trained.append("continued")
    assert advnce(*TABLE, "--seeds", "0-1").code == 0
    assert [trained[:3], trained[3], trained[4:]] == [
        *(losses([0, 1])[:3], "continued", losses([0, 1])[3:]),
    ]


def test_ctrl_c_in_the_middle(advnce, folder, interruptible):
    words = [sys.executable, "-m", "pyg_advinfonce.cli.main", *TABLE]
    words += ["--seeds", "0-1", "--set", "train.epochs=99999999"]
    words.remove("--epochs")
    words.remove("2")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        while "seeds 0-1 missing" not in process.stderr.readline():
            assert process.poll() is None
        while not list(folder.glob("runs/reproduce/runs/*/seed-0/history.jsonl")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert said.endswith("again to continue\nadvnce: interrupted\n")


def test_a_check_trains_nothing(advnce, trained, folder):
    found = advnce(*TABLE, "--seeds", "0-1", "--check")
    assert (found.code, trained) == (1, [])
    assert "seeds 0-1 are not trained: run without --check" in found.out
    assert "0-1 requested, some are missing" in found.out
    assert "nothing was written" in found.out
    assert not folder.joinpath("runs").exists()
    advnce(*TABLE, "--seeds", "0")
    before = contents(folder / "runs")
    some = advnce(*TABLE, "--seeds", "0-2", "--check", "--json")
    assert some.code == 1
    rows = json.loads(some.out)["rows"]
    assert [row["seeds"] for row in rows] == [[0]] * 3
    assert rows[0]["missing"] == "seeds 1-2 are not trained: run without --check"
    assert advnce(*TABLE, "--seeds", "0", "--check").code == 0
    assert contents(folder / "runs") == before


def test_other_seeds_and_settings_leave_a_table_as_it_is(advnce, folder):
    found = [
        json.loads(advnce(*TABLE, *words, "--json").out)["files"][0]
        for words in (
            [],
            *(["--seeds", seeds] for seeds in ("0-1", "0,2", "0-2")),
            ["--set", "train.lr=0.01"],
            ["--against", "adv"],
        )
    ]
    assert len(set(found)) == 6
    assert "Seeds 0-4" in folder.joinpath(found[0]).with_suffix(".tex").read_text()


@pytest.mark.parametrize(
    ("factor", "code"), [(1.029, 0), (0.972, 0), (1.04, 1), (0.5, 1)]
)
def test_a_check_judges_by_the_paper(advnce, paper, factor, code):
    ours = json.loads(advnce(*TABLE, "--seeds", "0", "--json").out)
    mean = ours["rows"][0]["metrics"][RECALL]["mean"]
    paper(recall=mean / factor)
    found = advnce(*TABLE, "--seeds", "0", "--check", "--json")
    assert found.code == code
    value = json.loads(found.out)["rows"][0]["metrics"][RECALL]
    assert value["off"] == pytest.approx(factor - 1)
    assert value["within"] == (code == 0)
    assert json.loads(found.out)["succeeded"] == (code == 0)
    assert advnce(*TABLE, "--seeds", "0").code == 0  # judged, but no check


def test_a_row_that_fails_lets_the_others_run(advnce, monkeypatch):
    def train(config, *words, **options):
        if config.loss.name == "adv":
            raise NonFiniteLossError("loss became NaN")
        return TRAIN(config, *words, **options)

    monkeypatch.setattr(experiment, "train", train)
    found = advnce(*TABLE, "--seeds", "0-1", "--json")
    assert found.code == 1
    rows = json.loads(found.out)["rows"]
    assert [len(row["seeds"]) for row in rows] == [2, 0, 2]
    assert rows[1]["missing"] == ("seed 0: loss became NaN; seed 1: loss became NaN")
    assert rows[1]["metrics"][RECALL]["mean"] is None


def test_data_that_is_not_there(advnce, folder):
    found = advnce("reproduce", "table5")
    assert found.code == 2
    assert "data set 'tencent' needs train.txt, not found in" in found.line
    assert "put the split files" in found.line
    assert list(folder.iterdir()) == []


def test_a_check_without_data_reports_what_is_missing(advnce):
    found = advnce("reproduce", "table5", "--check", "--json", "--quiet")
    assert (found.code, found.err) == (1, "")
    summary = json.loads(found.out)
    assert len(summary["rows"]) == 6
    assert all("needs train.txt" in row["missing"] for row in summary["rows"])
    assert sum("needs train.txt" in note for note in summary["notes"]) == 1


def test_a_check_of_other_data_that_is_missing(advnce):
    found = advnce("reproduce", "table7", "--data", "coat", "--check", "--json")
    rows = json.loads(found.out)["rows"]
    assert (found.code, len(rows), list(rows[0]["metrics"])) == (1, 4, [RECALL, NDCG])
    assert "data set 'coat' needs" in rows[0]["missing"]


def test_rows_with_data_run_where_others_have_none(advnce, real_data, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    root.joinpath("coat").symlink_to(real_data / "coat")
    words = ["--data-root", root, "--seeds", "0", "--epochs", 1, "--json"]
    words += ["--set", "model.dim=4"]
    found = advnce("reproduce", "table10", *words)
    assert found.code == 0, found.err
    rows = json.loads(found.out)["rows"]
    assert [row["data"] for row in rows if not row["missing"]] == ["coat"] * 3
    coat = [row for row in rows if row["data"] == "coat"]
    expected = paper_table("table10").rows[0].numbers["coat"]
    assert {k: v["paper"] for k, v in coat[0]["metrics"].items()} == expected
    assert coat[0]["metrics"][RECALL]["within"] is False
    assert "needs train.txt" in rows[-1]["missing"]


def test_one_row(advnce, real_data):
    words = ["--data-root", real_data, "--seeds", "0", "--epochs", 1]
    found = advnce("reproduce", "coat/mf-bpr", *words, "--out", "here", "--json")
    assert found.code == 0, found.err
    summary = json.loads(found.out)
    (row,) = summary["rows"]
    assert (row["row"], row["packaged"]) == ("BPR", True)
    assert row["metrics"][RECALL]["paper"] == 0.2782
    assert re.fullmatch(r"here/coat-mf-bpr-\w{6}-seeds-0\.md", summary["files"][0])


@pytest.mark.filterwarnings("ignore:the encoder is not trained in 2 epochs")
def test_times_are_ratios(advnce):
    words = ["reproduce", "table9", "--data", "simulated", "--seeds", "0", *QUICK]
    words += ["--set", "train.num_negatives=2"]
    found = advnce(*words)
    assert found.code == 0, found.err
    assert "seconds are of this machine and not checked" in found.out
    summary = json.loads(advnce(*words, "--check", "--json").out)
    by_label = {
        row["row"]: row["metrics"]["seconds_per_epoch"] for row in summary["rows"]
    }
    assert len(by_label) == 13
    base = by_label["LightGCN + InfoNCE"]["mean"]
    assert by_label["SGL"]["ratio"] == pytest.approx(by_label["SGL"]["mean"] / base)
    assert "p_seeds" not in by_label["SGL"]


def test_table_13_changes_the_number_of_negatives(advnce):
    found = advnce(
        *(
            "reproduce",
            "table13",
            "--data",
            "simulated",
            "--seeds",
            "0",
            *QUICK,
            "--json",
        )
    )
    rows = json.loads(found.out)["rows"]
    assert [row["config"]["train"]["num_negatives"] for row in rows] == [64, 128, 256]
    assert ["ratio" in row["metrics"][RECALL] for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table11"], "unknown reproduction 'table11', did you mean 'table1"),
        (
            ["table4", "--against", "x"],
            "unknown row 'x'; choose from BPR, InfoNCE, CCL",
        ),
        (["table4", "--seeds", "x"], "--seeds expects 0-4 or 1,3,5 (got 'x')"),
        (["table4", "--data", "nowhere"], "unknown data set 'nowhere'"),
        (["table4", "--data", "simulated", "--set", "loss.taau=1"], "loss.taau"),
        (["coat/mf-nothing"], "unknown row 'coat/mf-nothing'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(advnce, folder, words, said):
    found = advnce("reproduce", *words)
    assert found.code == 2
    assert said in found.line
    assert list(folder.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(advnce, folder):
    folder.joinpath("thesis").mkdir()
    folder.joinpath("thesis/chapter").touch()
    found = advnce(*TABLE, "--seeds", "0", "--out", "thesis", "--quiet")
    assert found.code == 2
    assert "thesis holds no runs: choose another --out" in found.line


def test_a_figure(advnce, folder):
    quick = ["--epochs", "8", "--set", "loss.adversary_every=3"]
    found = advnce("reproduce", "fig4", "--data", "simulated", "--seeds", "0", *quick)
    assert found.code == 0
    files = folder / "runs" / "reproduce" / "figures" / "simulated"
    names = {file.name for file in files.iterdir()}
    assert names == {f"fig4{p}.{k}" for p in "abc" for k in ("png", "svg", "csv")}
    assert "fig4a" in found.out


@pytest.mark.parametrize(("name", "seeds"), [("fig4", [6, 6, 12]), ("fig7", [2, 2, 2])])
def test_a_figure_takes_finished_seeds_again(advnce, folder, monkeypatch, name, seeds):
    trained = []

    def train(config, *words, **options):
        trained.append(config)
        return experiment.train(config, *words, **options)

    monkeypatch.setattr(runs, "train", train)
    words = ["reproduce", name, "--data", "simulated", "--set", "model.dim=8"]
    words += ["--epochs", "8", "--set", "loss.adversary_every=3", "--quiet"]
    texts = []
    for number, asked in zip(seeds, ("0", "0", "0-1"), strict=True):
        found = advnce(*words, "--seeds", asked, "--json")
        assert found.code == 0
        used = [0] if name == "fig7" or asked == "0" else [0, 1]
        assert json.loads(found.out)["seeds"] == used
        assert len(trained) == number
        texts.append({p: p.read_bytes() for p in folder.rglob("figures/*/*.csv")})
    assert texts[0] == texts[1] != {}


def test_each_missing_data_set_has_its_line(advnce):
    found = advnce("reproduce", "table10")
    assert found.code == 2
    lines = found.err.splitlines()
    assert len(lines) > 1
    assert all(line.startswith("advnce: data set '") for line in lines)
    assert "--accept-terms tencent`" in found.err


def test_a_figure_has_no_check(advnce):
    found = advnce("reproduce", "fig5", "--data", "simulated", "--check")
    assert found.code == 2
    assert found.line == "--check is for tables: fig5 is a figure"


def test_a_figure_without_its_data(advnce):
    found = advnce("reproduce", "fig6")
    assert found.code == 2
    assert found.line.endswith("or use other data, e.g. --data simulated")


@pytest.mark.parametrize("name", ["yelp2018", "gowalla", "yelp2018/sgl-bpr"])
def test_published_numbers_of_another_protocol_are_marked(advnce, folder, name):
    found = advnce("reproduce", name, "--check")
    assert found.code == 1  # there is no data
    data, note = name.split("/")[0], "the published numbers chose the epoch on test"
    assert f"`advnce data fetch {data} " in found.out
    assert note in found.out
    assert note not in advnce("reproduce", "table10", "--check").out
