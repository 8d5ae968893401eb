import numpy as np
import pytest

from pyg_advinfonce.datasets import InteractionDataset, PublishedDataset
from pyg_advinfonce.errors import DataWarning
from pyg_advinfonce.graph import num_nodes, split_edges


def test_coat(real_data):
    summary = PublishedDataset(real_data, name="coat").summary()
    assert (summary["users"], summary["items"]) == (290, 295)
    assert summary["pairs"] == {"train": 1363, "valid": 553, "test": 860}
    assert summary["overlaps"] == {
        "train/valid": 0,
        "train/test": 71,
        "valid/test": 31,
    }
    assert summary["users_without_train"] == summary["items_without_train"] == 0


def test_yahoo(real_data):
    dataset = PublishedDataset(real_data, name="yahoo")
    summary = dataset.summary()
    assert num_nodes(dataset.graph) == (14_382, 1000)
    assert summary["pairs"] == {"train": 88_684, "valid": 36_393, "test": 4671}
    assert set(summary["overlaps"].values()) == {0}
    users = [
        split_edges(dataset.graph, s)[0].unique().numel() for s in summary["pairs"]
    ]
    assert users == [14_382, 11_130, 2383]


def test_movielens(real_data):
    dataset = InteractionDataset(real_data, name="ml1m", valid_fraction=0.1)
    summary = dataset.summary()
    assert num_nodes(dataset.graph) == (6022, 3043)
    assert summary["pairs"] == {"train": 716_620, "valid": 79_624, "test": 99_455}
    assert summary["users_without_train"] == 0


def test_kuairec_with_a_made_train_file(real_data, tmp_path):
    folder = tmp_path / "kuairec"
    folder.mkdir()
    for file in (real_data / "kuairec_partial").iterdir():
        (folder / file.name).symlink_to(file)
    items = np.random.default_rng(0).integers(9000, 10_728, size=(7176, 3))
    lines = [f"{u} {' '.join(map(str, row))}" for u, row in enumerate(items)]
    (folder / "train.txt").write_text("\n".join(lines))
    with pytest.warns(DataWarning) as caught:
        dataset = PublishedDataset(tmp_path, name="kuairec")
    messages = " ".join(str(warning.message) for warning in caught)
    assert "git blob id 338bca555c27ba3aa39eafadcb963fc6e60cd67b" in messages
    assert "expected 1,087,278 train pairs" in messages
    assert num_nodes(dataset.graph) == (7176, 10_728)
    assert int(dataset.graph["item"].candidate_mask.sum()) == 3327
    for split, count in (("valid", 72_392), ("test", 144_783)):
        pairs = split_edges(dataset.graph, split)
        assert pairs.size(1) == count
        assert pairs[0].unique().numel() == 1411
        assert dataset.graph["item"].candidate_mask[pairs[1]].all()
