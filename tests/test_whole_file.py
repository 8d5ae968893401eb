import pytest

from pyg_advinfonce.whole_file import whole_file, write_text


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("old", "größer"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_half_written_is_seen_by_nobody(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            assert path.read_text() == "old"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError), whole_file(path):
        pass
    assert not path.exists()
