def test_every_published_set_with_its_terms(advnce, folder):
    found = advnce("data", "list")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == [
        *("coat", "yahoo", "kuairec", "tencent"),
    ]
    assert lines[0] == "coat     not there (3 files, 12,795 bytes)"
    assert "without train.txt" in lines[4]
    assert "may not be redistributed" in lines[3]


def test_what_is_there(advnce, folder):
    raw = folder / "elsewhere" / "coat" / "raw"
    raw.mkdir(parents=True)
    (raw / "train.txt").write_text("0 1\n")
    found = advnce("data", "list", "--root", "elsewhere")
    assert "coat     1 of 3 files in elsewhere/coat/raw, 4 bytes" in found.out
