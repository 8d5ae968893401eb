import json
import shlex

import pytest

TABLE = "who;what;stars\n" + "".join(
    f"u{u};{i};{(u + i) % 5 + 1}\n" for u in range(9) for i in range(12)
)
CHOOSE = ["--user-col", "who", "--item-col", "what", "--positive-if", "stars >= 2"]


@pytest.fixture
def table(folder):
    (folder / "my table.csv").write_text(TABLE)
    return "my table.csv"


def test_split_then_train(advnce, table, folder):
    found = advnce("data", "split", table, "--out", "my split", *CHOOSE)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines()[0] == "my split: written"
    command = found.out.splitlines()[-1].removeprefix("next     advnce ")
    assert command == "train lightgcn --data 'my split' --set train.batch_size=16"
    again = advnce("data", "split", table, "--out", "my split", *CHOOSE)
    assert again.out.splitlines()[0] == "my split: there already, made alike"
    trained = advnce(*shlex.split(command), "--epochs", 1, "--json")
    assert trained.code == 0
    assert "test/recall@20" in json.loads(trained.out)["metrics"]


def test_split_in_json_is_one_object(advnce, table):
    found = advnce("data", "split", table, "--out", "out", *CHOOSE, "--json")
    record = json.loads(found.out)
    assert found.out.count("\n") == 1
    assert record["folder"] == "out"
    assert record["is_new"] is True
    assert record["counts"]["users"] == 9


def test_train_on_a_table_itself(advnce, table):
    settings = ["data.user_col=who", "data.item_col=what", "data.positive_if=stars > 1"]
    found = advnce(
        *("train", "mf", "--data", table, "--epochs", 1, "--json", "--out", "run"),
        *(word for text in settings for word in ("--set", text)),
        *("--set", "train.batch_size=4", "--set", "train.num_negatives=2"),
    )
    assert found.code == 0
    assert "data: my table.csv: 9 users, 12 items, " in found.err
    assert json.loads(found.out)["config"]["data"]["user_col"] == "who"
    assert advnce("evaluate", "run", "--json").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--user-col"),
        (["--user-col", "whom"], "found 'who', 'what', 'stars'"),
        ([*CHOOSE, "--split", "tiem"], "did you mean 'time'"),
        ([*CHOOSE, "--split", "time"], "--time-col"),
        ([*CHOOSE, "--gammas", "2"], "no effect"),
        ([*CHOOSE, "--gammas", "2;3"], "numbers like 200,10,2"),
        ([*CHOOSE[:-1], "stars"], "positive_if wants a column"),
        ([*CHOOSE, "--overlap", "no"], "unknown overlap"),
    ],
)
def test_wrong_options_are_one_line(advnce, table, folder, words, said):
    found = advnce("data", "split", table, "--out", "out", *words)
    assert found.code == 2
    assert said in found.line
    assert not (folder / "out").exists()


def test_a_wrong_value_is_one_line_with_its_place(advnce, table, folder):
    (folder / table).write_text(TABLE + "u1;3;many\n")
    found = advnce("data", "split", table, "--out", "out", *CHOOSE)
    assert found.code == 2
    assert found.line.startswith("my table.csv:110:3: expected a finite number")


def test_popularity_shift(advnce, table):
    found = advnce(
        *("data", "split", table, "--out", "out", *CHOOSE, "--json"),
        *("--split", "popularity-shift", "--gammas", "3,1", "--num-groups", 3),
        *("--mode", "notebook"),
    )
    names = {"train", "valid", "test_gamma_3", "test_gamma_1", "users", "items"}
    assert set(json.loads(found.out)["counts"]) == names


def test_simulate(advnce, folder):
    found = advnce("data", "simulate", "--out", "sim", "--popularity-bias", 0.5)
    assert found.code == 0
    assert "train 1,363, valid 553, test 860" in found.out
    assert (folder / "sim" / "split.json").is_file()
    assert (
        "did you mean 'coat'"
        in advnce("data", "simulate", "--out", "x", "--size", "cot").line
    )


def test_without_a_verb_the_help_is_shown_as_an_error(advnce):
    found = advnce("data")
    assert (found.code, found.out) == (2, "")
    assert "split" in found.err
    assert "simulate" in found.err


@pytest.mark.parametrize("verb", ["split", "simulate"])
def test_help_of_a_verb(advnce, verb):
    found = advnce("data", verb, "--help")
    assert (found.code, found.err) == (0, "")
    assert "--overwrite" in found.out
