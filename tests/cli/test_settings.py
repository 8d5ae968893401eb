import json


def test_settings_are_listed_with_values_and_meanings(advnce):
    found = advnce("settings", "lightgcn", "--loss", "adv", "--data", "coat")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("lightgcn + adv on coat\n")
    assert "\n* loss.tau = 0.75\n      Temperature.\n" in found.out
    assert "\n  loss.reverse = false\n" in found.out
    assert "\n  model.alpha = not set\n" in found.out
    assert "\n  loss.max_kl = inf\n" in found.out
    assert max(map(len, found.out.splitlines())) <= 88


def test_data_without_packaged_settings(advnce):
    found = advnce("settings", "mf", "--data", "cota")
    head = found.out.splitlines()[0]
    assert head == "mf + adv on cota (no packaged settings)"


def test_as_json(advnce):
    found = advnce("settings", "sgl", "--preset", "repro", "--json")
    values = json.loads(found.out)
    assert values["model.weight"] == 0.2
    assert values["model.alpha"] is None


def test_another_pair_is_an_error(advnce):
    found = advnce("settings", "sgl", "--loss", "ccl")
    assert found.code == 2
    assert "'sgl' does not accept the loss 'ccl'" in found.line


def test_a_file_of_all_settings_trains_as_without_it(advnce, folder):
    words = ["train", "mf", "--data", "simulated", "--epochs", "1", "--json"]
    found = advnce("settings", "mf", "--toml")
    assert (found.code, found.err) == (0, "")
    folder.joinpath("my.toml").write_text(found.out, "utf-8")
    plain, given = (
        json.loads(advnce(*words, *more, "--device", "cpu").out)["metrics"]
        for more in ([], ["--config", "my.toml"])
    )
    assert given == plain
