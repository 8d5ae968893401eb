import json
import re
import shlex

import numpy as np
import pytest

from pyg_advinfonce.runs import load_run

WORDS = ["train", "mf", "--loss", "infonce", "--epochs", "2", "--out", "run"]


@pytest.fixture
def run(advnce, folder):
    assert advnce(*WORDS).code == 0
    return folder / "run"


@pytest.mark.parametrize("words", [["m.npz"], ["m.file", "--to", "npz"]])
def test_a_run_s_embeddings(advnce, run, folder, words):
    found = advnce("export", run, "--out", *words)
    assert (found.code, found.out, found.err) == (0, f"{words[0]}\n", "")
    record = json.loads(run.joinpath("seed-0/metrics.json").read_text())
    trained = load_run(run, root=folder)
    z_user, z_item = trained.method.embed(trained.graph)
    with np.load(folder / words[0]) as file:
        assert np.array_equal(file["user"], z_user.numpy())
        assert np.array_equal(file["item"], z_item.numpy())
        notes = json.loads(str(file["notes"]))
    assert (notes["model"], notes["loss"], notes["seed"]) == ("mf", "infonce", "0")
    assert (notes["cosine"], notes["data"]) == ("true", record["data"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["m.xyz"], "unknown format 'xyz'; choose from safetensors, npz"),
        (["m", "--to", "tensors"], "unknown format 'tensors', did you mean 'safe"),
        (["run", "--to", "npz"], "run is a folder: name a file with --out"),
    ],
)
def test_what_cannot_be_written(advnce, run, folder, words, said):
    before = sorted(folder.iterdir())
    found = advnce("export", run, "--out", *words)
    assert found.code == 2
    assert found.line.startswith(said)
    assert sorted(folder.iterdir()) == before


def test_a_card_lies_beside_the_file_and_its_commands_make_it_again(
    advnce, run, folder, monkeypatch
):
    found = advnce("export", run, "--out", "model/m.npz", "--card")
    assert (found.code, found.out) == (0, "model/m.npz\nmodel/README.md\n")
    text = folder.joinpath("model/README.md").read_text("utf-8")
    [settings] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    [commands] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    again = folder / "again"
    again.mkdir()
    again.joinpath("settings.toml").write_text(settings, "utf-8")
    monkeypatch.chdir(again)
    for line in commands.splitlines():
        assert advnce(*shlex.split(line)[1:]).code == 0
    first, second = np.load(folder / "model/m.npz"), np.load(again / "m.npz")
    assert np.array_equal(first["item"], second["item"])
    recall = json.loads(run.joinpath("summary.json").read_text("utf-8"))["metrics"]
    assert f"| recall@20 | {recall['test/recall@20']['mean']:.4f} |" in text


def test_where_to_is_asked_for(advnce, run):
    found = advnce("export", run)
    assert (found.code, "'--out'" in found.line) == (2, True)
