import json

import pytest

from pyg_advinfonce.datasets.profile import profile


def test_json_is_one_object(advnce, split_folder):
    path = split_folder()
    found = advnce("data", "describe", path, "--json")
    assert (found.code, found.err) == (0, "")
    assert found.out.count("\n") == 1
    assert json.loads(found.out) == profile(str(path))


def test_a_table_for_a_person(advnce, split_folder):
    path = split_folder()
    path.joinpath("test.txt").write_text("0 3\n2 4\n9 0\n", "utf-8")
    found = advnce("data", "describe", path)
    assert (found.code, found.err) == (0, "")
    rows = {
        line.split()[0]: line.split()[1:]
        for line in found.out.split("\n\n")[1].splitlines()
    }
    assert rows["split"][:2] == ["pairs", "density"]
    assert rows["train"] == ["7", "14.000%", "4", "5", "0", "0", "0"]
    assert rows["test"] == ["3", "6.000%", "3", "3", "1", "0", "0"]
    assert "terms       not known" in found.out
    assert "no train    6 users, 0 items" in found.out


def test_part_of_a_set(advnce, split_folder):
    path = split_folder()
    path.joinpath("train.txt").unlink()
    found = advnce("data", "describe", path)
    assert found.code == 0
    assert "train       not there" in found.out
    assert "overlaps    valid/test 0" in found.out


def test_a_simulation(advnce):
    assert "simulated: 290 users" in advnce("data", "describe", "simulated").out


def test_a_table_of_ones_own(advnce, folder):
    rows = [f"u{u},i{i}" for u in range(9) for i in range(9)]
    path = folder / "own.csv"
    path.write_text("\n".join(["user,item", *rows, rows[0]]), "utf-8")
    found = advnce("data", "describe", "own.csv")
    assert found.code == 0
    assert found.out.startswith("data        own.csv: 9 users, 9 items")
    assert "duplicates  1 merged" in found.out
    assert profile(str(path))["duplicates_merged"] == 1


def test_a_table_that_is_not_there(advnce):
    found = advnce("data", "describe", "no.csv")
    assert (found.code, found.line) == (2, "no.csv: no such file")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("../../x", "../../x: no such folder or table, seen from here"),
        ("cota", "unknown data set 'cota', did you mean 'coat'?"),
        ("", "unknown data set ''"),
    ],
)
def test_what_is_not_there(advnce, data, said):
    found = advnce("data", "describe", data)
    assert found.code == 2
    assert found.line.startswith(said)
