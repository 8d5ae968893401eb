import pytest

from pyg_advinfonce.datasets import Dataset, InteractionDataset, load_dataset
from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.errors import (
    ConfigError,
    DatasetNotFoundError,
    DataWarning,
    UnknownNameError,
)


def test_a_simulation_with_options():
    dataset: Dataset = load_dataset("simulated", popularity_bias=0.5, seed=3)
    assert isinstance(dataset, Simulated)
    assert (dataset.size, dataset.popularity_bias, dataset.seed) == ("coat", 0.5, 3)
    assert dataset.fingerprint.startswith("simulated:coat: 290 users")
    assert load_dataset("simulated:yahoo").size == "yahoo"


@pytest.mark.parametrize("data", ["simulated:", "simulated:coats", "simulated:x:y"])
def test_an_unknown_size(data):
    with pytest.raises(UnknownNameError, match="unknown size"):
        load_dataset(data)


def test_a_folder_under_the_root_by_its_name(toy):
    dataset = load_dataset("toy", root=toy)
    assert isinstance(dataset, InteractionDataset)
    assert dataset.fingerprint.startswith("toy: 3 users")


def test_a_raw_folder_under_the_root(make_folder, tmp_path):
    make_folder("root/own/raw", train="0 1\n1 0", valid="0 0", test="1 1")
    assert load_dataset("own", root=tmp_path / "root").name == "own"


def test_a_folder_by_its_path(toy, monkeypatch, tmp_path):
    expected = load_dataset("toy", root=toy).fingerprint
    assert load_dataset(str(toy / "toy"), root=tmp_path).fingerprint == expected
    monkeypatch.chdir(toy)
    assert load_dataset("toy", root=tmp_path).fingerprint == expected
    assert load_dataset("./toy/", root=tmp_path).fingerprint == expected
    (toy / "other").mkdir()
    monkeypatch.chdir(toy / "other")
    assert load_dataset("../toy", root=tmp_path).fingerprint == expected
    monkeypatch.chdir(toy / "toy")
    assert load_dataset(".", root=tmp_path).fingerprint == expected


def test_a_path_is_never_joined_under_the_root(toy, monkeypatch, tmp_path):
    inner = toy / "inner"
    inner.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetNotFoundError, match=r"^\.\./toy: no such folder"):
        load_dataset("../toy", root=inner)


def test_a_published_name_is_checked_a_path_is_not(make_folder, tmp_path):
    folder = make_folder("root/coat", train="0 1\n1 0", valid="0 0", test="1 1")
    assert load_dataset(str(folder)).fingerprint.startswith("coat: 2 users")
    with pytest.raises(ValueError, match="expected the published file"):
        load_dataset("coat", root=tmp_path / "root")


def test_a_published_name_whose_files_are_missing(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="'yahoo'"):
        load_dataset("yahoo", root=tmp_path)


@pytest.mark.parametrize("data", ["coatt", "", "a" * 300, "a\0b"])
def test_anything_else_lists_what_there_is(data, tmp_path, monkeypatch):
    here = tmp_path / "some" / "where"  # what lies above it is known
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with pytest.raises(UnknownNameError) as error:
        load_dataset(data, root=tmp_path)
    message = str(error.value)
    assert "kuairec" in message
    assert "the path of a folder" in message
    assert ("did you mean 'coat'" in message) == (data == "coatt")


@pytest.mark.parametrize("data", ["../../x", "/no/dir", "no/table.x"])
def test_a_path_that_leads_nowhere(data, tmp_path, monkeypatch):
    here = tmp_path / "some" / "where"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with pytest.raises(DatasetNotFoundError, match=f"^{data}: no such folder or table"):
        load_dataset(data, root=tmp_path)


def test_a_file_is_not_a_folder(toy):
    with pytest.raises(ConfigError, match=r"train\.txt is a file: expected .* folder"):
        load_dataset(str(toy / "toy" / "train.txt"))


@pytest.mark.parametrize("data", ["simulated", "toy", "coat"])
def test_an_unknown_option_is_named_with_the_valid_ones(data, toy):
    with pytest.raises(ConfigError, match=r"'data.sed', did you mean 'data.seed'"):
        load_dataset(data, root=toy, sed=1)


def test_what_the_caller_decides_is_no_option(toy):
    with pytest.raises(ConfigError, match=r"'data\.name'"):
        load_dataset("toy", root=toy, name="other")


def test_valid_fraction_reaches_the_folder(toy):
    (toy / "toy" / "valid.txt").unlink()
    dataset = load_dataset("toy", root=toy, valid_fraction=0.4, seed=2)
    assert dataset.summary()["pairs"]["valid"] == 2


def test_valid_fraction_is_not_silently_ignored():
    with pytest.warns(DataWarning, match="valid_fraction is ignored"):
        load_dataset("simulated", valid_fraction=0.1)
