"""Custom models and losses on the command line: named there, imported from there."""

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyg_advinfonce.runs.folder import EMBEDDINGS
from pyg_advinfonce.training import EpochProgress
from tests import custom_models

COMMAND = [sys.executable, "-c", "from pyg_advinfonce.cli.main import main; main()"]
CODE = Path(custom_models.__file__).read_text("utf-8")
SMALL = ["--set", "train.batch_size=64", "--set", "train.num_negatives=3"]
SMALL += ["--set", "train.eval_every=2", "--epochs", 6]
NAMES = ["my_module:build", "--loss", "my_module:Hinge"]
TRAIN = ["train", *NAMES, *SMALL, "--quiet"]
REPEATED = ["--model", "my_module:build", "--loss", "my_module:Hinge"]


@pytest.fixture
def write(folder, monkeypatch):
    """Write a module into the working folder, which nobody has imported before."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def module(text=CODE, name="my_module"):
        folder.joinpath(f"{name}.py").write_text(text, "utf-8")
        sys.modules.pop(name, None)

    yield module
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


@pytest.fixture
def code(write):
    """The module my_module, in the working folder."""
    write()


@pytest.fixture
def run(advnce, code):
    """A finished run of it, whose code is gone."""
    found = advnce(*TRAIN, "--out", "run")
    assert found.code == 0, found.err
    return found


@pytest.fixture
def gone(run, folder):
    """The folder of that run, whose code is gone."""
    folder.joinpath("my_module.py").unlink()
    del sys.modules["my_module"]
    return folder / "run"


@pytest.fixture
def stop(monkeypatch):
    """Let Ctrl-C come at the end of the third epoch, once."""

    on_epoch_end, left = EpochProgress.on_epoch_end, []

    def interrupted(self, trainer, record):
        if record.epoch == 2 and left:
            raise left.pop()
        on_epoch_end(self, trainer, record)

    monkeypatch.setattr(EpochProgress, "on_epoch_end", interrupted)
    return lambda: left.append(KeyboardInterrupt)


def metrics(found):
    assert found.code == 0, found.err
    summary = json.loads(found.out)
    return {k: summary[k] for k in ("metrics", "best_epoch", "epochs", "seeds")}


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        (["my_module:Plain"], "my_module:Plain + adv"),
        (["my_module:Sage", "--loss", "bpr"], "my_module:Sage + bpr"),
        (["mf", "--loss", "my_module:Hinge"], "mf + my_module:Hinge"),
        (["my_module:compose", "--loss", "my_module:Hardened"], "my_module:compose + "),
        (["my_module:FromGraph", "--loss", "adv-mlp"], "my_module:FromGraph + adv-mlp"),
        (["my_module:Popular"], "my_module:Popular + none"),
        (["my_module:Popular", "--loss", "none"], "my_module:Popular + none"),
    ],
)
def test_what_a_command_names_is_trained(advnce, code, words, pair):
    found = advnce("train", *words, *SMALL, "--out", "run", "--quiet")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(pair)
    assert found.out.endswith("next        advnce report run\n")


def test_a_run_has_a_folder_of_its_name(advnce, code, folder):
    found = advnce(*TRAIN, "--seeds", "0-1", "--json")
    name = "runs/simulated-my_module-build-my_module-Hinge"
    summary = json.loads(found.out)
    assert summary["run_dir"] == name
    assert summary["model"] == "my_module:build"
    assert (folder / name / "seed-1" / EMBEDDINGS).is_file()


def test_options_are_set_as_always(advnce, code):
    words = [*TRAIN, "--set", "model.dim=5", "--set", "loss.margin=0.25", "--json"]
    config = json.loads(advnce(*words).out)["config"]
    assert config["model"] == {"name": "my_module:build", "dim": 5}
    assert config["loss"] == {"name": "my_module:Hinge", "margin": 0.25}


def test_a_run_is_used_without_its_code(advnce, gone, folder):
    trained = json.loads((gone / "summary.json").read_text("utf-8"))["metrics"]
    found = advnce("evaluate", "run", "--json")
    assert json.loads(found.out)["metrics"] == trained
    assert advnce("recommend", "run", "--users", "1,2", "-k", 3).out.count("\n") == 7
    listed = advnce("recommend", "run", "--users", "1", "-k", 1, "--format", "jsonl")
    item = json.loads(listed.out)["item"]
    assert advnce("recommend", "run", "--items", item, "-k", 3).out.count("\n") == 4
    assert advnce("export", "run", "--out", "x.npz").out == "x.npz\n"
    assert advnce("compare", "run", "run").code == 0
    assert advnce("report", "run").out == "run/report.html\n"
    text = folder.joinpath("run/report.html").read_text("utf-8")
    assert "my_module:build + my_module:Hinge" in text


def test_a_run_is_used_with_its_code(advnce, run, folder):
    trained = json.loads(folder.joinpath("run/summary.json").read_text("utf-8"))
    (folder / "run" / "seed-0" / EMBEDDINGS).unlink()
    found = advnce("evaluate", "run", *REPEATED, "--json")
    assert json.loads(found.out)["metrics"] == trained["metrics"]
    assert advnce("recommend", "run", "--users", "1", *REPEATED).code == 0
    assert advnce("export", "run", "--out", "x.npz", *REPEATED).code == 0
    found = advnce("evaluate", "run")
    assert found.code == 2
    named = "--model my_module:build --loss my_module:Hinge"
    assert found.line.endswith(f"on the command line {named}")
    found = advnce("evaluate", "run", *REPEATED[:2])
    assert found.line == (
        "the loss 'my_module:Hinge' is custom code, which is never imported by its "
        "name: pass it as loss=, on the command line --loss"
    )


def test_scores_need_their_code(advnce, code):
    advnce("train", "my_module:Popular", "--out", "run", "--quiet")
    named = ["--model", "my_module:Popular"]
    for words in (["evaluate", "run"], ["recommend", "run", "--users", "1"]):
        assert "its model ranks by its own scores" in advnce(*words).line
        assert advnce(*words, *named).code == 0
    found = advnce("recommend", "run", "--items", "1", *named)
    assert "need embeddings whose dot products rank" in found.line
    found = advnce("export", "run", "--out", "x.npz", *named)
    assert "need embeddings whose dot products rank" in found.line


@pytest.mark.parametrize("verb", ["evaluate", "recommend", "export"])
def test_the_library_s_own_is_not_repeated(advnce, verb, code):
    advnce("train", "mf", *SMALL, "--out", "run", "--quiet")
    words = {"recommend": ["--users", "1"], "export": ["--out", "x.npz"]}.get(verb, [])
    found = advnce(verb, "run", *words, "--model", "mf")
    assert (found.code, found.line) == (
        2,
        "--model and --loss name a run's custom code, my_module:build; the library's "
        "own is known from the run (got 'mf')",
    )
    found = advnce(verb, "run", *words, "--model", "my_module:build")
    assert found.line == (
        "run/seed-0 has trained the model 'mf', no custom one (got my_module:build)"
    )


def test_ctrl_c_says_how_to_go_on(advnce, code, stop):
    whole = metrics(advnce(*TRAIN, "--seeds", "0-1", "--out", "whole", "--json"))
    stop()
    found = advnce(*TRAIN, "--seeds", "0-1", "--out", "my run")
    assert found.code == 130
    hint, last = found.err.splitlines()
    assert last == "advnce: interrupted"
    words = shlex.split(hint.removeprefix("to resume: advnce "))
    assert words == ["train", *NAMES, "--resume", "my run"]
    assert metrics(advnce(*words, "--json", "--quiet")) == whole


def test_a_custom_loss_alone_is_repeated_alone(advnce, code, stop):
    stop()
    words = ["train", "mf", "--loss", "my_module:Hinge", *SMALL, "--out", "run"]
    hint = advnce(*words, "--quiet").err.splitlines()[0]
    assert hint == "to resume: advnce train --loss my_module:Hinge --resume run"
    assert advnce("train", *hint.split()[4:], "--quiet").code == 0


def test_resuming_repeats_the_names(advnce, code, stop):
    stop()
    advnce(*TRAIN, "--out", "run")
    asked = "if you trust it, name it again: advnce train my_module:build --loss "
    for words in ([], NAMES[:1], NAMES[1:]):
        found = advnce("train", *words, "--resume", "run")
        assert found.code == 2
        assert found.line.endswith(f"{asked}my_module:Hinge --resume run")
    command = found.line.partition("name it again: ")[2]
    other = [*NAMES[:2], "my_module:Hardened", "--resume", "run"]
    assert "loss.name my_module:Hinge -> my_module:Hard" in advnce("train", *other).line
    assert advnce(*command.split()[1:], "--quiet").code == 0


def start(*words):
    command = [*COMMAND, *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_epochs(process, file):
    while not file.is_file() or len(file.read_bytes()) < 1000:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_end(advnce, code, folder):
    words = [*TRAIN, "--epochs", 60, "--save-every", 1]
    whole = metrics(advnce(*words, "--out", "whole", "--json"))
    with start(*words, "--out", "run") as process:
        wait_for_epochs(process, folder / "run/seed-0/history.jsonl")
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not folder.joinpath("run/summary.json").exists()
    with start("train", *NAMES, "--resume", "run") as process:
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "resumed after epoch" in said
    assert metrics(advnce("train", *NAMES, "--resume", "run", "--json")) == whole


def test_a_study_of_custom_code(advnce, code, folder):
    words = ["tune", *NAMES, "--epochs", 2, "--set", "train.batch_size=64", "--quiet"]
    found = advnce(*words, "--trials", 3, "--out", "study")
    assert (found.code, found.err) == (0, "")
    *_, following = found.out.splitlines()
    assert following == (
        "next   advnce train my_module:build --loss my_module:Hinge --data simulated "
        "--config study/best.toml"
    )
    summary = json.loads(folder.joinpath("study/summary.json").read_text("utf-8"))
    searched = {key for row in summary["top"] for key in row["params"]}
    assert searched >= {"model.dim", "loss.margin", "train.lr"}
    trained = advnce(
        *shlex.split(following)[2:], "--epochs", 2, "--out", "run", "--json"
    )
    best = metrics(trained)["metrics"]["valid/recall@20"]["mean"]
    assert best == summary["best"]["value"]
    again = advnce(*words, "--trials", 4, "--out", "study", "--json")
    assert json.loads(again.out)["trials"]["complete"] == 4
    assert advnce("report", "study").code == 0
    other = [*words[:2], "--loss", "my_module:Hardened", *words[4:]]
    found = advnce(*other, "--trials", 5, "--out", "study")
    assert (
        "study of other settings: loss.name is my_module:Hinge in the study"
        in found.line
    )


def test_settings_of_custom_code(advnce, code):
    found = advnce("settings", "my_module:build", "--loss", "my_module:Hardened")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("my_module:build + my_module:Hardened on simulated")
    assert "\n  model.dim = 8\n      The width of it all.\n" in found.out
    assert "\n  loss.hard_lr = 0.01\n" in found.out
    assert "\n  hardness.kind = " in found.out
    found = advnce("settings", "my_module:Popular", "--json")
    assert not any(key.startswith("loss.") for key in json.loads(found.out))


# What a file names is never imported.

TRACE = "import pathlib; pathlib.Path('trace').touch()\n"


@pytest.fixture
def evil(run, write, folder):
    """A run whose files name a module that leaves a trace when it is imported."""
    write(f"{TRACE}{CODE}", "evil")
    folder.joinpath("my_module.py").unlink()
    del sys.modules["my_module"]
    for name in ("run/seed-0/config.toml", "run/summary.json"):
        text = folder.joinpath(name).read_text("utf-8")
        folder.joinpath(name).write_text(text.replace("my_module", "evil"), "utf-8")
    assert "evil:build" in text.replace("my_module", "evil")
    yield folder
    assert not folder.joinpath("trace").exists()
    assert "evil" not in sys.modules
    assert str(folder) not in sys.path[1:]


def test_no_verb_imports_what_a_run_names(advnce, evil):
    sys.path[:] = [path for path in sys.path if path != str(evil)]
    sys.path.insert(0, str(evil))  # as python -m has it
    assert advnce("evaluate", "run").code == 0
    assert advnce("recommend", "run", "--users", "1").code == 0
    assert advnce("export", "run", "--out", "x.npz").code == 0
    assert advnce("report", "run").code == 0
    assert advnce("compare", "run", "run").code == 0
    found = advnce("train", "--resume", "run")
    assert "a run's files cannot import" in found.line
    found = advnce("train", "--resume", "run", "--force", "--epochs", 9)
    assert "a run's files cannot import" in found.line
    found = advnce("train", "mf", "--resume", "run")
    assert "model.name evil:build -> mf" in found.line
    evil.joinpath("run/seed-0", EMBEDDINGS).unlink()
    for verb in ("evaluate", "recommend", "export"):
        words = {"recommend": ["--users", 1], "export": ["--out", "y.npz"]}
        assert advnce(verb, "run", *words.get(verb, [])).code == 2


def test_no_verb_imports_what_a_config_names(advnce, evil):
    for words in (["mf"], ["lightgcn", "--loss", "bpr"]):
        config = ["--config", "run/seed-0/config.toml"]
        found = advnce("train", *words, *config, "--out", "new")
        assert "the settings name the model 'evil:build' (expected" in found.line
    config = evil / "mine.toml"
    config.write_text("[loss]\nname = 'evil:Hinge'\n", "utf-8")
    found = advnce("train", "mf", "--config", "mine.toml", "--out", "new")
    assert "the settings name the loss 'evil:Hinge' (expected" in found.line
    assert not evil.joinpath("new").exists()


def test_no_study_imports_what_its_files_name(advnce, evil):
    words = ["tune", "mf", "--loss", "bpr", "--epochs", 1, "--out", "study"]
    words += ["--set", "train.batch_size=256", "--quiet", "--trials"]
    assert advnce(*words, 1).code == 0
    for file in evil.joinpath("study").glob("*"):
        data = file.read_bytes().replace(b'"mf"', b'"evil:build"')
        if file.suffix != ".sqlite3":
            file.write_bytes(data.replace(b'"bpr"', b'"evil:Hinge"'))
    assert advnce("report", "study").code == 0
    assert advnce(*words, 2).code == 0


# Errors of names and code. Each is one line.

BROKEN = {
    "raises": ("x = 1\n\nx = {}['key']\n", "KeyError: 'key' (", "line 3)"),
    "deep": (
        "from torch import nn\nx = nn.Linear('a', 2)\n",
        "TypeError: ",
        "broken.py, line 2)",
    ),
    "syntax": ("def build(graph:\n    return\n", "SyntaxError: ", "broken.py, line 1)"),
    "exits": ("import sys\nsys.exit('bye')\n", "SystemExit: bye (", "line 2)"),
    "needs": (
        "import torch\nimport no_such_package_xyz\n",
        "ModuleNotFoundError: No module named 'no_such_package_xyz' (",
        "broken.py, line 2)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_module_that_cannot_be_imported(advnce, write, folder, case):
    text, said, where = BROKEN[case]
    write(text, "broken")
    for words in (["train", "broken:build"], ["settings", "mf", "--loss", "broken:L"]):
        found = advnce(*words)
        assert found.code == 2
        assert found.line.startswith(f"{words[-1]}: {said}"), found.line
        assert found.line.endswith(where), found.line
    assert not folder.joinpath("runs").exists()


FORM = "expected a custom model as module:attribute, e.g. my_module:build for build in"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "missing:build",
            "missing:build: no module 'missing' in the working ",
        ),
        ("my_module.sub:build", "no module 'my_module.sub' in the working directory"),
        (
            "my_module:biuld",
            "my_module.py 'biuld', did you mean 'build'? choose ",
        ),
        ("my_module:Plain.nothing", "unknown name in "),
        ("my_module:INTERACTS", "my_module:INTERACTS is no class or function (got ('u"),
        ("my_module:nn", "my_module:nn is no class or function (got <module"),
        ("sys:nothing", "unknown name in sys 'nothing'"),
        (
            "my_module.py:build",
            FORM,
        ),
        (
            "./my_module:build",
            FORM,
        ),
        ("my-module:build", FORM),
        ("my_module:", FORM),
        (":build", FORM),
        ("a:b:c", FORM),
        ("my_module..x:build", "no module 'my_module.' in the working directory"),
    ],
)
def test_a_name_that_names_nothing(advnce, code, folder, name, said):
    for verb in (["train"], ["tune", "--trials", 1], ["settings"]):
        found = advnce(*verb, name)
        assert found.code == 2
        assert said in found.line
    assert not folder.joinpath("runs").exists()


MINE = """
import torch
from my_module import *

def nothing(graph): pass
def needy(graph, width, depth=1): return Plain(graph)
def function(z_user, z_item, batch): return z_user.sum()
class Wrong(Plain):
    def forward(self, graph): return self.node.weight
class Short(Plain):
    def forward(self, graph): return self.node.weight[:3], self.node.weight[:4]
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["mine:nothing"],
            "model 'mine:nothing' must be or return a torch module (got",
        ),
        (["mine:needy"], "which have defaults: missing a required argument: 'width'"),
        (["mine:Wrong"], "Wrong.forward must return (z_user, z_item) or Embeddings"),
        (["mine:Short"], "z_user [290, D] and z_item [295, D] (got [3, 8] and [4, 8])"),
        (["mf", "--loss", "mine:function"], "loss must be a RankingLoss or a class of"),
        (["mf", "--loss", "mine:Plain"], "loss must be a RankingLoss or a class of"),
        (
            ["mine:Popular", "--loss", "bpr"],
            "no forward and cannot be trained: use the loss 'none'",
        ),
        (
            ["mine:Popular", "--loss", "mine:Hinge"],
            "no forward and cannot be trained: use the loss",
        ),
        (
            ["mine:Popular", "--set", "loss.tau=1"],
            "no forward and cannot be trained: use the loss",
        ),
        (["mine:Plain", "--loss", "bprr"], "unknown loss 'bprr', did you mean 'bpr'?"),
        (["mf", "--loss", "none"], "unknown loss 'none'"),
        (["mine:Plain", "--set", "model.dmi=3"], "did you mean 'model.dim'?"),
        (["mine:compose", "--set", "model.lr=3"], "unknown key 'model.lr'"),
    ],
)
def test_code_that_is_no_model_or_loss(advnce, code, write, folder, words, said):
    write(MINE, "mine")
    found = advnce("train", *words)
    assert found.code == 2, found.out
    assert said in found.line
    assert not folder.joinpath("runs").exists()


@pytest.mark.parametrize("verb", ["train", "tune"])
def test_a_model_without_a_forward_takes_no_named_loss(
    advnce, code, write, folder, verb
):
    write(MINE, "mine")
    found = advnce(verb, "mine:Popular", "--loss", "adv")  # also the default loss
    assert found.code == 2, found.out
    assert "no forward and cannot be trained: use --loss none (got adv)" in found.line
    assert not folder.joinpath("runs").exists()


@pytest.mark.pyg_lib
def test_the_neighbour_loader(advnce, code):
    words = ["--loader", "neighbor", "--num-neighbors", "3,2", *SMALL, "--quiet"]
    assert advnce("train", "my_module:Sage", *words).code == 0
    found = advnce("train", "my_module:Plain", *words)
    assert "needs the whole graph (its num_hops is None), use 'full'" in found.line
