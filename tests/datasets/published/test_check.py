import pytest

from pyg_advinfonce.datasets.published import (
    CATALOGUE,
    PublishedFile,
    inventory,
    verify,
)
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError
from pyg_advinfonce.registry import DATASETS


def by_name(root):
    return {stock.name: stock for stock in inventory(root)}


def test_nothing_is_there(tmp_path):
    found = by_name(tmp_path)
    assert list(found) == [name for name in DATASETS if name != "simulated"]
    assert all(stock.folder is None for stock in found.values())
    assert all(stock.present == {} for stock in found.values())
    assert found["coat"].num_bytes == 3999 + 5980 + 2816
    assert found["coat"].unsized == []
    assert found["kuairec"].unsized == found["tencent"].unsized == ["train.txt"]


def test_what_is_there_is_counted(splits, make_folder, tmp_path):
    folder = make_folder("kuairec2", valid="0 2\n1 0\n", test="0 3\n")
    stock = by_name(tmp_path)["kuairec"]
    assert stock.folder == folder
    assert stock.present == {"valid.txt": 8, "test_ood.txt": 4}
    assert stock.num_files == len(splits) == 3
    assert stock.licence.redistributable


def test_only_one_of_two_equal_files_is_needed():
    for known in CATALOGUE.values():
        assert "test_id.txt" not in known.needed
        assert known.needed.keys() & {"train.txt", known.archive}
        blobs = [file.blob for file in known.needed.values()]
        assert len(set(blobs)) == len(blobs)
        assert {file.blob for file in known.files.values()} == set(blobs)


@pytest.fixture
def folder(splits, tmp_path):
    """A folder of the published files, under a name of one's own."""
    path = tmp_path / "mine"
    path.mkdir()
    for name, text in splits.items():
        (path / name).write_bytes(text)
    return path


def states(checks):
    return {check.path.name: check.state for check in checks}


def test_published_files_are_ok(folder, splits):
    checks = verify(str(folder))
    assert states(checks) == dict.fromkeys(splits, "ok")
    for check in checks:
        assert check.path.parent == folder
        assert check.detail == str(PublishedFile.of(splits[check.path.name]))


def test_a_name_is_looked_for_under_the_root(folder, tmp_path):
    folder.rename(tmp_path / "kuairec2")
    checks = verify("kuairec", tmp_path)
    assert {check.state for check in checks} == {"ok"}


def test_a_flipped_byte_differs(folder, splits):
    text = splits["valid.txt"]
    (folder / "valid.txt").write_bytes(text[:-2] + bytes([text[-2] ^ 1]) + text[-1:])
    checks = verify(str(folder))
    assert states(checks) == {**dict.fromkeys(splits, "ok"), "valid.txt": "differs"}
    [found] = [check.detail for check in checks if check.state == "differs"]
    assert f"expected 8 bytes with git blob id {PublishedFile.of(text).blob}" in found
    assert "got 8 bytes" in found


def test_a_missing_file_is_named_with_what_it_should_be(folder, splits):
    (folder / "train.txt").unlink()
    found = {check.path.name: check for check in verify(str(folder))}
    assert found["train.txt"].state == "missing"
    assert PublishedFile.of(splits["train.txt"]).sha256 in found["train.txt"].detail


def test_test_is_test_ood(folder):
    (folder / "test_ood.txt").rename(folder / "test.txt")
    assert states(verify(str(folder)))["test.txt"] == "ok"


def test_a_file_that_would_be_read_too_differs(folder):
    (folder / "not_candidate.txt").write_text("1\n")
    (folder / "notes.txt").write_text("1\n")
    checks = verify(str(folder))
    assert states(checks)["not_candidate.txt"] == "differs"
    assert "notes.txt" not in states(checks)


def test_a_folder_that_nobody_published(toy, tmp_path):
    (toy / "toy" / "valid.txt").write_text("0 3\n")
    with pytest.raises(ConfigError, match=r"toy holds no published file: expected"):
        verify(str(toy / "toy"))
    with pytest.raises(DatasetNotFoundError, match="no such folder or table"):
        verify("../no/folder", tmp_path)
    with pytest.raises(DatasetNotFoundError, match="`advnce data fetch kuairec`"):
        verify("kuairec", tmp_path)
    with pytest.raises(ConfigError, match="no published files"):
        verify("simulated", tmp_path)


@pytest.mark.parametrize("name", ["coat", "yahoo"])
def test_real_data_is_ok(real_data, name):
    for data in (name, str(real_data / name)):
        checks = verify(data, real_data)
        assert len(checks) == 3
        assert {check.state for check in checks} == {"ok"}


def test_part_of_kuairec(real_data):
    assert states(verify(str(real_data / "kuairec_partial"))) == {
        "not_candidate.txt": "ok",
        "test.txt": "ok",
        "train.txt": "missing",
        "valid.txt": "ok",
    }
