import zipfile

import pytest

from pyg_advinfonce.datasets.sources.raw_files import raw_files
from pyg_advinfonce.errors import DataError, DatasetNotFoundError


def test_files_are_found_at_any_depth_the_upper_first(tmp_path):
    deep = tmp_path / "KuaiRec 2.0" / "data"
    deep.mkdir(parents=True)
    (deep / "a.csv").write_text("deep")
    (deep / "b.csv").write_text("deep")
    (tmp_path / "b.csv").write_text("top")
    with raw_files(tmp_path, ["a.csv", "b.csv"]) as files:
        assert {n: p.read_text() for n, p in files.items()} == {
            "a.csv": "deep",
            "b.csv": "top",
        }


def test_files_in_an_archive_are_there_while_they_are_used(tmp_path):
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        archive.writestr("data/a.csv", "one")
        archive.writestr("__MACOSX/data/._a.csv", "no")
    with raw_files(tmp_path / "raw.zip", ["a.csv"]) as files:
        path = files["a.csv"]
        assert path.read_text() == "one"
    assert not path.exists()


@pytest.mark.parametrize("place", ["", "empty", "nowhere", "a.csv"])
def test_what_is_missing_is_named(tmp_path, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("one")
    with (
        pytest.raises(DatasetNotFoundError, match=r"b\.csv not found"),
        raw_files(tmp_path / place, ["a.csv", "b.csv"]),
    ):
        pass


def test_an_unsafe_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        archive.writestr("../a.csv", "one")
    with (
        pytest.raises(DataError, match="outside"),
        raw_files(tmp_path / "raw.zip", ["a.csv"]),
    ):
        pass
