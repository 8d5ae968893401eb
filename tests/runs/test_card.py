"""Model cards: front matter, numbers, terms and commands."""

import json
import re
import shlex
from pathlib import Path

import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.runs import run_summary, write_card
from tests.finished_seeds import OUTCOME, write_run

ROOT = Path(__file__).parents[2]

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")


@pytest.fixture
def seeds(tmp_path):
    return write_run(tmp_path / "run", [0.25, 0.5, 0.4444])


@pytest.fixture
def card(seeds, tmp_path):
    """Write the card of a run's second seed."""
    return write_card(seeds[1].folder, tmp_path / "model" / "m.npz")


def parts(path):
    """Return the front matter and the text."""
    _, front, text = path.read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_front_matter_has_the_metrics_of_the_exported_seed(card):
    front, _ = parts(card)
    assert front["library_name"] == "pyg_advinfonce"
    assert {"mf", "bpr", "recommendation"} <= set(front["tags"])
    assert front["metrics"] == ["recall", "ndcg"]
    [entry] = front["model-index"]
    found = {
        f"{result['dataset']['split']}/{metric['type']}": metric["value"]
        for result in entry["results"]
        for metric in result["metrics"]
    }
    assert found == {"test/recall@20": 0.5, "test/ndcg@20": 0.5, "valid/recall@20": 0.4}


def test_the_table_has_mean_and_deviation_of_the_summary(card, seeds):
    _, text = parts(card)
    spread = run_summary(seeds, card.parent)["metrics"]["test/recall@20"]
    row = f"| test | recall@20 | 0.5000 | {spread['mean']:.4f} ± {spread['std']:.4f} |"
    assert row in text.splitlines()
    assert "| split | metric | seed 1 | seeds 0-2 |" in text
    assert "over 3 seeds" in text


def test_seeds_of_other_settings_or_data_or_without_metrics_are_left_out(
    seeds, tmp_path
):
    other = seeds[0].config.updated({"train": {"lr": 0.5}})
    other.save(seeds[0].folder / "config.toml")
    metrics = seeds[2].folder / "metrics.json"
    record = json.loads(metrics.read_text("utf-8"))
    metrics.write_text(json.dumps(record | {"data": "coat: sha256 def"}), "utf-8")
    unfinished = tmp_path / "run" / "seed-3"
    unfinished.mkdir()
    seeds[1].config.save(unfinished / "config.toml")
    _, text = parts(write_card(seeds[1].folder, tmp_path / "m.npz"))
    assert "| split | metric | seed 1 |\n|---|---|---|\n| test |" in text
    assert "Only one seed was trained" in text


def test_the_terms_are_those_of_the_data(card, tmp_path):
    front, text = parts(card)
    assert (front["license"], front["license_name"]) == ("other", "terms-of-the-data")
    assert front["license_link"].startswith("https://www.cs.cornell.edu")
    assert "Terms: reported as CC BY-NC 4.0: research only" in text
    assert "coat: sha256 abc." in text


def renamed(seeds, name, **outcome):
    """Give the seeds other data and outcomes; return the first one's folder."""
    for seed in seeds:
        data = seed.config.data.model_copy(update={"name": name})
        seed.config.model_copy(update={"data": data}).save(seed.folder / "config.toml")
        record = json.dumps(OUTCOME | outcome)
        seed.folder.joinpath("metrics.json").write_text(record, "utf-8")
    return seeds[0].folder


@pytest.mark.parametrize(
    ("name", "licence", "said"),
    [
        ("simulated:coat", "mit", "simulated by pyg_advinfonce"),
        ("kuairec", "cc-by-sa-4.0", "CC BY-SA 4.0 (https://kuairec.com)"),
        ("likes.csv", "other", "those of the data's owner, which this card cannot"),
    ],
)
def test_the_licence_of_a_data_set(seeds, tmp_path, name, licence, said):
    front, text = parts(write_card(renamed(seeds, name), tmp_path / "m.npz"))
    assert front["license"] == licence
    assert said in text


def test_a_card_names_no_folder_of_the_machine(seeds, tmp_path):
    folder = renamed(seeds, "/secret/place/my | likes.csv")
    text = write_card(folder, tmp_path / "m.npz").read_text("utf-8")
    assert "secret" not in text
    assert str(tmp_path) not in text
    assert 'name = "my-likes.csv"' in text


def test_a_metric_that_is_not_finite_is_not_in_the_front_matter(seeds, tmp_path):
    metrics = {"test/recall@20": None, "valid/recall@20": 1e-5}
    folder = renamed(seeds, "coat", metrics=metrics)
    front, text = parts(write_card(folder, tmp_path / "m.npz"))
    [result] = front["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "recall@20", "value": 1e-5}]
    assert "| test | recall@20 | nan | nan |" in text


def test_a_model_that_was_trained_on_everything_has_no_metrics(seeds, tmp_path):
    front, text = parts(write_card(renamed(seeds, "coat"), tmp_path / "m.npz"))
    assert "model-index" not in front
    assert "nothing was held out" in text


def test_a_card_replaces_a_card_but_no_other_file(card, seeds):
    before = card.read_text("utf-8")
    assert write_card(seeds[1].folder, card.parent / "m.npz") == card
    assert card.read_text("utf-8") == before
    card.write_text("# My project\n", "utf-8")
    with pytest.raises(ConfigError, match=r"README\.md exists and is no model card"):
        write_card(seeds[1].folder, card.parent / "m.npz")
    assert card.read_text("utf-8") == "# My project\n"


def test_the_card_and_settings_of_another_file_stay(card, seeds):
    before = card.read_text("utf-8")
    with pytest.raises(ConfigError, match=r"README\.md exists and describes another"):
        write_card(seeds[0].folder, card.parent / "again.npz")
    assert card.read_text("utf-8") == before
    card.unlink()
    card.with_name("settings.toml").write_text("mine = 1\n", "utf-8")
    with pytest.raises(ConfigError, match=r"settings\.toml exists"):
        write_card(seeds[1].folder, card.parent / "m.npz")


def test_the_citation_is_that_of_the_project(card, seeds, tmp_path):
    text = card.read_text("utf-8")
    known = yaml.safe_load(ROOT.joinpath("CITATION.cff").read_text("utf-8"))
    assert known["title"].replace("_", r"\_") in text
    paper = known["preferred-citation"]
    assert paper["title"] not in text  # the loss is another one
    for seed in seeds:
        seed.config.resolve("mf", "adv", "coat").save(seed.folder / "config.toml")
    text = write_card(seeds[0].folder, tmp_path / "adv.npz").read_text("utf-8")
    names = [f"{a['given-names']} {a['family-names']}" for a in paper["authors"]]
    for said in (paper["title"], " and ".join(names), paper["url"]):
        assert said in text
    assert f"year = {{{paper['year']}}}" in text


def test_the_epoch_was_chosen_on_valid(card):
    text = card.read_text("utf-8")
    assert (
        "seed 1 after epoch 4 of 0-4, whose `valid/recall@20` was the highest" in text
    )


def test_a_run_that_is_not_finished_has_no_card(tmp_path):
    with pytest.raises(CheckpointError, match="is not a run"):
        write_card(tmp_path, tmp_path / "m.npz")


def test_settings_and_commands_are_those_of_the_run(card, seeds):
    text = card.read_text("utf-8")
    [settings] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert card.with_name("settings.toml").read_text("utf-8") == settings
    assert Config.load(card.with_name("settings.toml")) == seeds[1].config
    [commands] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    train, export = map(shlex.split, commands.splitlines())
    assert train[:7] == ["advnce", "train", "mf", "--loss", "bpr", "--data", "coat"]
    assert train[train.index("--seeds") + 1] == "0,1,2"
    assert export[:3] == ["advnce", "export", "runs/coat-mf-bpr/seed-1"]
    assert export[-3:] == ["--out", "m.npz", "--card"]


def test_a_hub_accepts_the_card(card):
    hub = pytest.importorskip(
        "huggingface_hub", reason="huggingface_hub is not installed"
    )
    found = hub.ModelCard.load(card)
    assert found.data.model_name == "coat-mf-bpr"
    metrics = {
        (result.dataset_split, result.metric_type): result.metric_value
        for result in found.data.eval_results
    }
    assert metrics[("test", "recall@20")] == 0.5
    again = hub.ModelCardData(**found.data.to_dict())
    assert again.library_name == "pyg_advinfonce"
