import io
import stat
import tarfile
import zipfile

import pytest

from pyg_advinfonce.datasets.published import archive, raw_files
from pyg_advinfonce.datasets.published.archive import extract_files, is_archive
from pyg_advinfonce.errors import DataError, DatasetNotFoundError


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as file:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_the_wanted_files_and_no_others(tmp_path, into, write):
    members = [("top/a.txt", b"one"), ("__MACOSX/._a.txt", b"x"), ("top/b.txt", b"two")]
    path = write(tmp_path / "archive", members)
    assert is_archive(path)
    found = extract_files(path, ["a.txt", "c.txt"], into)
    assert {name: file.read_bytes() for name, file in found.items()} == {
        "a.txt": b"one"
    }
    assert [file.name for file in into.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil"]
)
def test_a_member_outside_refuses_all(tmp_path, into, write, name):
    path = write(tmp_path / "archive", [("a.txt", b"one"), (name, b"two")])
    with pytest.raises(DataError, match="outside of the archive"):
        extract_files(path, ["a.txt"], into)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    ],
)
def test_a_link_or_device_refuses_all(tmp_path, into, kind):
    members = [("a.txt", b"one"), (special("b", kind, "/etc/passwd"), b"")]
    with pytest.raises(DataError, match="a link or a device"):
        extract_files(write_tar(tmp_path / "archive", members), ["a.txt"], into)
    assert list(into.iterdir()) == []


def test_a_link_in_a_zip_refuses_all(tmp_path, into):
    info = zipfile.ZipInfo("b")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = write_zip(tmp_path / "archive", [("a.txt", b"one"), (info, b"/etc")])
    with pytest.raises(DataError, match="a link or a device"):
        extract_files(path, ["a.txt"], into)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("cap", ["MAX_MEMBERS", "MAX_BYTES"])
def test_bombs_are_refused_before_writing(tmp_path, into, write, cap, monkeypatch):
    monkeypatch.setattr(archive, cap, 2)
    members = [(f"{i}.txt", b"x") for i in range(3)]
    with pytest.raises(DataError, match="more than"):
        extract_files(write(tmp_path / "archive", members), ["0.txt"], into)
    assert list(into.iterdir()) == []


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path, into):
    path = write_zip(tmp_path / "archive", [("a.txt", b"0" * 1000)])
    content = path.read_bytes()
    path.write_bytes(content.replace((1000).to_bytes(4, "little"), b"\x01\0\0\0"))
    with pytest.raises(DataError, match="expected a readable archive"):
        extract_files(path, ["a.txt"], into)


def test_a_name_twice_is_refused(tmp_path, into):
    path = write_zip(tmp_path / "archive", [("x/a.txt", b"1"), ("y/a.txt", b"2")])
    with pytest.raises(DataError, match=r"a\.txt twice"):
        extract_files(path, ["a.txt"], into)


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_damaged_archive(tmp_path, into, write):
    path = write(tmp_path / "archive", [("a.txt", bytes(range(256)) * 400)])
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(
        DataError, match="archive: expected a readable archive"
    ) as error:
        extract_files(path, ["a.txt"], into)
    assert "\n" not in str(error.value)


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
