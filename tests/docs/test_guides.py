"""The code and the commands of the documentation run as they are printed."""

import copy
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pyg_advinfonce.cli.main import main
from torch_geometric.typing import WITH_PYG_LIB, WITH_TORCH_SPARSE

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import INTERACTS
from pyg_advinfonce.losses import BC, SDRO, XIR, AdapTau, AdvInfoNCE, InvCF
from pyg_advinfonce.training import Trainer
from pyg_advinfonce.transforms import BipartiteNorm

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+)\.py\n")

# What a page asks for, made small: simulated data in place of Coat, fewer epochs.
IN_PLACE_OF = {
    "--data coat --seeds 0-4": "--data simulated --seeds 0-1 --epochs 2",
    "--trials 20 --epochs 100": "--trials 2 --epochs 1",
}


def blocks(page):
    text = (DOCS / page).read_text("utf-8")
    for printed, small in IN_PLACE_OF.items():
        text = text.replace(printed, small)
    return BLOCK.findall(text)


def commands(text):
    """Return the commands of a console block, their lines joined."""
    joined = text.replace("\\\n", " ")
    return re.findall(r"^\$ (.*)$", joined, re.MULTILINE)


@pytest.fixture
def run_page(tmp_path, monkeypatch, capsys):
    """Run a page from its top and return its names and what it has printed.

    A block whose first line names a file, ``# my_module.py``, is saved as that file.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ADVNCE_DATA", raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    torch.manual_seed(0)

    def command(line):
        program, *words = shlex.split(line, comments=True)
        assert program == "advnce", line
        monkeypatch.setattr(sys, "argv", [program, *words])
        main()

    def run(page, leave_out=()):
        names = {}
        for language, text in blocks(page):
            if any(words in text for words in leave_out):
                continue
            if file := FILE.match(text):
                Path(f"{file[1]}.py").write_text(text, "utf-8")
            elif language == "python":
                exec(compile(text, page, "exec"), names)
            else:
                for line in commands(text):
                    command(line)
        return names, capsys.readouterr().out

    yield run
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


FILMS = {0: "Alien", 1: "Brazil"}


def write_ratings(file):
    """Write a table of the page's columns, in which some like what others do not."""
    random = np.random.default_rng(0)
    rows = ["user_id,item_id,rating,timestamp"]
    for user in range(200):
        name = "ann" if user == 0 else f"user {user}"
        for item in random.choice(80, 60, replace=False):
            rating = random.integers(3, 6) if item % 4 == user % 4 else 2
            film = FILMS.get(item, f"film {item}")
            rows.append(f"{name},{film},{rating},{random.integers(10**9)}")
    file.write_text("\n".join(rows) + "\n", "utf-8")


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_your_own_data(run_page):
    write_ratings(Path("ratings.csv"))
    names, printed = run_page("guides/own_data.md")
    assert "split  recall@20" in printed
    best, graph = names["best"], names["run"].graph
    assert list(best["rank"]) == [1, 2, 3, 4, 5]
    assert set(best["user"]) == {"ann"}
    raw, (user, item) = graph["item"].raw_id, graph[INTERACTS].edge_index
    known = {raw[i] for i in item[user == graph["user"].raw_id.index("ann")]}
    assert known
    assert not known & set(best["item"])


def test_the_printed_table_has_these_columns():
    text = (DOCS / "guides/own_data.md").read_text("utf-8")
    assert "```csv\nuser_id,item_id,rating,timestamp\nann," in text


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_recommendations(run_page):
    items = ["tea", "jam", "nut", "oat", "pea", "rye", "fig", "ham", "egg"]
    likes = {"ann": items[:6], "bob": items[3:], "cem": items[:3] + items[6:]}
    rows = [f"{name},{item}" for name, liked in likes.items() for item in liked]
    Path("likes.csv").write_text("\n".join(["user,item", *rows]))
    found, printed = run_page("guides/recommend.md")
    assert set(found["best"]["user"]) == {"ann", "bob"}
    assert "visitor" in printed
    assert Path("lists.csv").read_text().startswith("user,rank,item,score")
    assert np.load("mine.npz")
    assert sorted(found["ids"]) == sorted(items)
    assert list(found["names"]) == ["ann", "bob", "cem"]
    assert Path("mine.safetensors").stat().st_size > 0


def test_training(run_page):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    names, printed = run_page("guides/training.md")
    recall = names["result"].metrics["test/recall@20"]
    assert f"{names['result'].best_epoch} {recall}" in printed
    assert "of 0-29" in printed  # it was resumed, and went on for longer
    assert Path("runs/first/report.html").is_file()
    held = {path.name for path in Path("runs/first/seed-0").iterdir()}
    text = (DOCS / "guides/training.md").read_text("utf-8")
    named = ("config.toml", "history.jsonl", "metrics.json", "per_user.npz")
    for name in (*named, "weights.safetensors"):
        assert name in held
        assert f"`{name}`" in text


def test_tuning(run_page):
    pytest.importorskip("optuna", reason="Optuna is not installed")
    names, printed = run_page("guides/tuning.md")
    assert "advnce train lightgcn --loss adv --data simulated --config" in printed
    assert names["summary"]["best"]
    held = {path.name for path in Path("runs/study").iterdir()}
    assert {"study.sqlite3", "trials.csv", "best.toml", "summary.json"} <= held


def test_an_evaluator_in_your_own_loop(run_page):
    names, printed = run_page("guides/evaluator.md")
    assert "users by activity, test, k = 20" in printed
    assert printed.count("test/gini@20") == 1
    assert names["exposure"].measure(names["given"]).means() == {
        **names["exposure"].metrics(names["ease"], "test"),
    }
    assert 0 < names["metrics"]["valid/recall@20"] < 1
    assert 0 < names["ease_metrics"]["test/recall@20"] < 1
    assert names["best"].shape == (2, 20)
    popular = names["method"].encoder.count
    first = names["lists"].groupby("user")["item"].first().tolist()
    user, item = names["train"]
    for row, found in zip((0, 7), first, strict=True):
        unseen = popular.clone()
        unseen[item[user == row]] = -1
        assert found == int(unseen.argmax())


def test_a_gpu(run_page):
    names, printed = run_page("guides/gpu.md")
    place = names["device"].type
    assert f"{place} {place}" in printed
    assert torch.isfinite(names["loss"])


def test_your_pyg_model_with_the_whole_graph(run_page):
    names, _ = run_page("guides/pyg_model.md", leave_out=["LinkNeighborLoader"])
    assert names["attack"].state, "no adversarial epoch ran"
    assert names["fit"].state, "no epoch of the model ran"
    assert names["scores"].shape == (100, 80)
    assert names["scores"].abs().max() <= 1.0001
    assert 0 < names["metrics"]["test/recall@20"] < 1


@pytest.mark.filterwarnings("ignore:Using .NeighborSampler. without")
@pytest.mark.pyg_lib
@pytest.mark.skipif(
    not (WITH_PYG_LIB or WITH_TORCH_SPARSE),
    reason="LinkNeighborLoader needs pyg-lib or torch-sparse",
)
def test_your_pyg_model_with_a_loader(run_page):
    code = [text for _, text in blocks("guides/pyg_model.md")]
    [last] = [i for i, text in enumerate(code) if "LinkNeighborLoader" in text]
    names, _ = run_page("guides/pyg_model.md", leave_out=code[last + 1 :])
    assert torch.isfinite(names["loss"])
    assert names["batch"].src_n_id is not None


@pytest.mark.parametrize("loss", [AdvInfoNCE, AdapTau, BC, InvCF, SDRO, XIR])
def test_the_loop_of_phases_ends_as_the_trainer_does(loss):
    """The page says so, of every loss: those that need more than one call too."""
    code = [text for _, text in blocks("guides/pyg_model.md")]
    make, loop = (
        next(text for text in code if words in text)
        for words in ("Method.compose", "phase.active")
    )
    names = {}
    exec(code[0], names)
    exec(code[1], names)
    names["data"] = data = BipartiteNorm()(names["data"])
    names["Encoder"] = lambda: LightGCN(100, 80, dim=8, num_layers=1)
    exec(make.replace("Model()", "Encoder()"), names)
    if loss is not AdapTau:
        other = names["Method"].compose(
            names["Encoder"](), loss.from_graph(data), lr=1e-2
        )
        names["method"] = other
        names["optimizers"] = [p.optimizer(other.owned_by(p)) for p in other.phases]
    twin = copy.deepcopy(names["method"])
    before = copy.deepcopy(twin.state_dict())
    exec(loop, names)
    Trainer(twin, data, names["sampler"], Evaluator(data), epochs=8, eval_every=9).fit()
    found = names["method"].state_dict()
    for name, value in twin.state_dict().items():
        assert torch.equal(found[name], value), name
    tables = [name for name in before if name.startswith("encoder")]
    assert any(not torch.equal(before[name], found[name]) for name in tables)


def test_a_table_of_the_paper(run_page):
    _, printed = run_page("guides/reproduce.md")
    assert printed.count("table10: LightGCN") == 2
    assert "AdvInfoNCE-mlp" in printed


def test_the_substitutes_are_in_a_page():
    text = "".join(path.read_text("utf-8") for path in DOCS.rglob("*.md"))
    assert all(printed in text for printed in IN_PLACE_OF)


def losses_of(result, name="main/rec"):
    return [r.losses[name] for r in result.history if name in r.losses]


def shape(text):
    """Return a text in one line, without the numbers that a machine may change."""
    return re.sub(r"\d+(\.\d+)?", "0", " ".join(text.split()))


def ranks(run):
    """Return the start of the row of the test split in a table of metrics."""
    return f"\ntest      {run.metrics['test/recall@20']:.4f}  "


def test_a_custom_loss(run_page):
    names, printed = run_page("guides/loss.md")
    text = (DOCS / "guides/loss.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert shape(printed).startswith(shape(shown))
    assert printed.count(ranks(names["result"])) == 3  # train, evaluate, resume
    assert Path("mine.npz").is_file()
    assert Path("runs/simulated-mf-my_loss-MyLoss/report.html").is_file()
    assert re.search(r"^trial .* margin$", printed, re.MULTILINE)
    for name in ("result", "learned", "mixed"):
        assert losses_of(names[name])[-1] < losses_of(names[name])[0], name
    names["test_my_loss"]()


def test_a_custom_loss_has_phases(run_page):
    names, _ = run_page("guides/loss.md", leave_out=["$ advnce"])
    loss = names["learned"].method.loss
    assert isinstance(loss, names["LearnedTau"])
    main = names["Phase"]("main", names["learned"].method.objective)
    (phase,) = loss.phases(main)
    groups = phase.optimizer([loss.log_tau, torch.nn.Parameter(torch.ones(1))])
    assert [group["lr"] for group in groups.param_groups] == [1e-3, loss.lr]
    assert loss.log_tau != names["LearnedTau"]().log_tau

    history = names["attacked"].history
    turns = [r.epoch for r in history if r.phases == ["adversary", "main"]]
    assert turns == [1, 6, 11, 16]
    assert all(r.phases == ["main"] for r in history if r.epoch not in turns)
    assert names["attacked"].method.loss.weight.any()


def test_a_custom_model(run_page):
    names, printed = run_page("guides/model.md")
    assert losses_of(names["result"])[-1] < losses_of(names["result"])[0]
    assert printed.count(ranks(names["result"])) == 2  # train, evaluate
    assert printed.count(ranks(names["baseline"])) == 2
    assert names["loaded"].metrics == names["baseline"].metrics
    assert "main/tables" in names["frozen"].history[0].losses
    encoder = names["frozen"].method.encoder.module
    assert not encoder.user.weight.requires_grad
    assert encoder.item.weight.requires_grad
    assert names["given"].metrics == pytest.approx(names["frozen"].metrics)


def test_several_processes(run_page):
    names, printed = run_page("guides/scale.md")
    assert float(printed) == names["result"].metrics["test/recall@20"]
    assert Path("runs/mine/metrics.json").is_file()


def test_every_guide_is_run_here():
    source = Path(__file__).read_text("utf-8")
    guides = [f"guides/{path.name}" for path in DOCS.glob("guides/*.md")]
    assert len(guides) > 5
    assert [guide for guide in guides if f'run_page("{guide}"' not in source] == []


def test_links_have_a_text():
    pages = list(DOCS.rglob("*.md"))
    assert pages
    assert [page.name for page in pages if "[](" in page.read_text("utf-8")] == []


def test_pictures_are_small():
    found = list((DOCS / "images").iterdir())
    text = "".join(path.read_text("utf-8") for path in DOCS.rglob("*.md"))
    for picture in found:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 60_000
        assert f"images/{picture.name})" in text
