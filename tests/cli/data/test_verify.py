import pytest


@pytest.fixture
def files(splits, folder):
    path = folder / "data" / "kuairec"
    path.mkdir(parents=True)
    for name, text in splits.items():
        (path / name).write_bytes(text)
    return path


def test_one_line_a_file(advnce, files, splits):
    found = advnce("data", "verify", "kuairec")
    assert (found.code, found.err) == (0, "")
    rows = [line.split() for line in found.out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["ok", f"data/kuairec/{name}:"] for name in splits
    ]
    assert advnce("data", "verify", files).code == 0


def test_exit_code_2_where_a_file_is_not_the_published_one(advnce, files):
    (files / "valid.txt").write_text("0 1\n")
    (files / "train.txt").unlink()
    found = advnce("data", "verify", files)
    assert (found.code, found.err) == (2, "")
    states = [line.split()[0] for line in found.out.splitlines()]
    assert states == ["missing", "differs", "ok"]


def test_nothing_is_there(advnce, folder):
    found = advnce("data", "verify", "coat")
    assert found.code == 2
    assert "`advnce data fetch coat`" in found.line
    assert "../../x: no such folder" in advnce("data", "verify", "../../x").line
