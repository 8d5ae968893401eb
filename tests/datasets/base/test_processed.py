import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch

from pyg_advinfonce.datasets import InteractionDataset
from pyg_advinfonce.datasets import folder as base
from pyg_advinfonce.datasets.base import processed as cache_module
from pyg_advinfonce.datasets.base.processed import default_cache_dir
from pyg_advinfonce.errors import DataWarning
from pyg_advinfonce.graph import split_edges, split_names


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def saved(toy, cache):
    """The cache file of the toy data set."""
    InteractionDataset(toy, name="toy", cache_dir=cache)
    (path,) = cache.iterdir()
    return path


def load(toy, cache, **options):
    return InteractionDataset(toy, name="toy", cache_dir=cache, **options)


def refuse(*_args, **_kwargs):
    raise AssertionError("parsed again")


def test_a_second_load_is_equal_and_parses_nothing(
    toy, make_folder, cache, monkeypatch
):
    make_folder(not_candidate="1")
    first = load(toy, cache)
    monkeypatch.setattr(base, "parse_files", refuse)
    second = load(toy, cache)
    assert second.fingerprint == first.fingerprint
    assert second.summary() == first.summary()
    for name in ["train", *split_names(first.graph)]:
        one, other = split_edges(first.graph, name), split_edges(second.graph, name)
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
    assert torch.equal(
        first.graph["item"].candidate_mask, second.graph["item"].candidate_mask
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a cache"),
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: torch.save({}, path),
        lambda path: torch.save([1], path),
        lambda path: torch.save(torch.load(path) | {"format": 0}, path),
        lambda path: torch.save(torch.load(path) | {"key": "x"}, path),
        lambda path: torch.save(torch.load(path) | {"num_users": 2}, path),
        lambda path: torch.save(torch.load(path) | {"num_items": 9}, path),
        lambda path: torch.save(torch.load(path) | {"pairs": {}}, path),
    ],
)
def test_a_damaged_or_stale_cache_is_rebuilt_with_a_warning(toy, cache, saved, damage):
    damage(saved)
    with pytest.warns(DataWarning, match="is damaged or outdated and is rebuilt"):
        again = load(toy, cache)
    assert again.fingerprint.startswith("toy: 3 users, 4 items, train 5")
    load(toy, cache)  # whole again: no warning


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("save", [pickle.dumps, None])
def test_a_pickle_in_the_cache_is_not_executed(
    toy, cache, saved, save, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    if save:
        saved.write_bytes(save(Payload()))
    else:
        torch.save(Payload(), saved)
    with pytest.warns(DataWarning, match="rebuilt"):
        load(toy, cache)
    assert not Path("executed").exists()


def test_the_key_follows_content_and_options_not_the_place(toy, cache, saved, tmp_path):
    shutil.copytree(toy, tmp_path / "elsewhere")
    load(tmp_path / "elsewhere", cache)
    assert list(cache.iterdir()) == [saved]
    (toy / "toy" / "valid.txt").unlink()
    for number, options in enumerate(
        [
            {"valid_fraction": 0.4},
            {"valid_fraction": 0.3},
            {"valid_fraction": 0.4, "seed": 1},
        ],
        start=2,
    ):
        load(toy, cache, **options)
        assert len(list(cache.iterdir())) == number
    (toy / "toy" / "train.txt").write_text("0 0 1\n1 1 2\n2 1\n")
    load(toy, cache, valid_fraction=0.4)
    assert len(list(cache.iterdir())) == 5


def test_a_cache_folder_that_cannot_be_made_is_no_obstacle(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(DataWarning, match=r"cannot be cached .* --cache-dir"):
        dataset = load(toy, tmp_path / "file" / "cache")
    assert dataset.fingerprint.startswith("toy: 3 users")


def test_a_failed_write_leaves_nothing_behind(toy, cache, monkeypatch):
    def fail(*_args):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.warns(DataWarning, match="disk full"):
        load(toy, cache)
    assert list(cache.iterdir()) == []


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "pyg_advinfonce"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "pyg_advinfonce"


def test_without_a_home_there_is_no_cache(toy, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache_module, "default_cache_dir", homeless)
    with pytest.warns(
        DataWarning, match=re.escape("cache folder not found (Could not")
    ):
        InteractionDataset(toy, name="toy")
