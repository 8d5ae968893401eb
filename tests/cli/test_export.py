import json

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


def test_where_to_is_asked_for(advnce, run):
    found = advnce("export", run)
    assert (found.code, "'--out'" in found.line) == (2, True)
