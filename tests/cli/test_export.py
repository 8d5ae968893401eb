import json
import re
import shlex
import shutil

import numpy as np
import pytest

from pyg_advinfonce.runs import load_run
from pyg_advinfonce.serving import IdMap

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
    [commands] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    again = folder / "again"
    again.mkdir()
    shutil.copy(folder / "model/settings.toml", again)
    monkeypatch.chdir(again)
    for line in commands.splitlines():
        assert advnce(*shlex.split(line)[1:]).code == 0
    first, second = np.load(folder / "model/m.npz"), np.load(again / "m.npz")
    assert np.array_equal(first["item"], second["item"])
    recall = json.loads(run.joinpath("summary.json").read_text("utf-8"))["metrics"]
    assert f"| recall@20 | {recall['test/recall@20']['mean']:.4f} |" in text


def test_a_card_tells_how_its_splits_were_made(advnce, folder):
    rows = ["who,what", *(f"u{u},i{i}" for u in range(9) for i in range(9) if u != i)]
    folder.joinpath("clicks.csv").write_text("\n".join(rows), "utf-8")
    words = ["--columns", "user,item", "--test-fraction", 0.2, "--seed", 3]
    assert advnce("data", "split", "clicks.csv", *words, "--out", "mine").code == 0
    small = ["--set", "train.batch_size=16"]
    assert advnce(*WORDS, "--data", "mine", *small).code == 0
    assert advnce("export", "run", "--out", "model/m.npz", "--card").code == 0
    text = folder.joinpath("model/README.md").read_text("utf-8")
    manifest = json.loads(folder.joinpath("mine/split.json").read_text("utf-8"))
    assert manifest["source"]["table"] in text
    [commands] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    first = shlex.split(commands.splitlines()[0].replace("SOURCE", "clicks.csv"))
    found = advnce(*first[1:])
    assert (found.code, "exists already with the same options" in found.out) == (
        0,
        True,
    )


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("name", ["{}", "user {}"])
def test_the_code_of_a_card_recommends(
    advnce, folder, monkeypatch, capsys, suffix, name
):
    pairs = [(u, i) for u in range(9) for i in range(9) if (u + 2 * i) % 3]
    text = "\n".join(["user,item", *(f"{name.format(u)},{i}" for u, i in pairs)])
    folder.joinpath("clicks.csv").write_text(text, "utf-8")
    small = ["--set", "train.batch_size=16"]
    assert advnce(*WORDS, "--data", "clicks.csv", *small).code == 0
    assert advnce("export", "run", "--out", f"model/m.{suffix}", "--card").code == 0
    text = folder.joinpath("model/README.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    trained = load_run("run", root=folder)
    user = IdMap(trained.graph, "user").values[0]
    expected = trained.recommend([user], k=10)
    monkeypatch.chdir(folder / "model")
    exec(compile(code, "README.md", "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-2] for line in lines] == [str(item) for item in expected["item"]]
    assert all(" ".join(line[:-2]) == str(user) for line in lines)


def test_a_card_of_another_file_is_found_before_the_export(advnce, run, folder):
    assert advnce("export", run, "--out", "model/m.npz", "--card").code == 0
    before = sorted(folder.joinpath("model").iterdir())
    found = advnce("export", run, "--out", "model/again.npz", "--card")
    assert (found.code, "describes another file" in found.line) == (2, True)
    assert sorted(folder.joinpath("model").iterdir()) == before


def test_where_to_is_asked_for(advnce, run):
    found = advnce("export", run)
    assert (found.code, "'--out'" in found.line) == (2, True)
