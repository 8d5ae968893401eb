import json

import pytest

from pyg_advinfonce.config import Config


def history(epochs, **columns):
    """Return lines of a history whose columns rise with the epoch."""
    rows = []
    for epoch in range(epochs):
        row = {"epoch": epoch, "seconds": 0.1, "main/rec": 7.0 - epoch / 10}
        if epoch % 5 == 4:
            row |= {name: scale * (epoch + 1) for name, scale in columns.items()}
        rows.append(json.dumps(row))
    return "\n".join(rows) + "\n"


ALL = {
    "valid/recall@20": 0.01,
    "valid/ndcg@20": 0.005,
    "kl_uniform_p": 0.001,
    "kl_p_uniform": 0.001,
    "delta_min": -0.01,
    "delta_max": 0.01,
    "align": 0.02,
    "uniform": -0.1,
    "soft_negatives": 0.02,
    "soft_false_negatives": 0.01,
    "false_negatives_identified": -0.01,
}


@pytest.fixture
def write_seed():
    """Write a seed's folder as a training would."""

    def write(folder, *, dataset="coat", epochs=20, columns=ALL, **saved):
        folder.mkdir(parents=True)
        seed = int(folder.name.removeprefix("seed-"))
        layers = [{"train": {"seed": seed}}]
        config = Config.resolve("lightgcn", "adv", "coat", layers=layers)
        data = config.data.model_copy(update={"name": dataset})
        config.model_copy(update={"data": data}).save(folder / "config.toml")
        metrics = {
            "valid/recall@20": 0.3 + seed / 10,
            "test/recall@20": 0.2 + seed / 10,
            "test/ndcg@20": None,
        }
        found = {
            "metrics": metrics,
            "best_epoch": 14,
            "epochs": epochs,
            "seconds_per_epoch": 0.1,
            "wall_seconds": 2.5,
            "peak_rss_mb": 400.0,
            "device": "cpu",
            "versions": {"torch": "2.13.0"},
            "data": "coat: 290 users",
            **saved,
        }
        folder.joinpath("metrics.json").write_text(json.dumps(found), "utf-8")
        text = history(epochs, **columns)
        folder.joinpath("history.jsonl").write_text(text, "utf-8")
        return folder

    return write


@pytest.fixture
def run(tmp_path, write_seed):
    """A run of two seeds."""
    for seed in (0, 1):
        write_seed(tmp_path / "run" / f"seed-{seed}")
    return tmp_path / "run"


@pytest.fixture
def write_study(tmp_path):
    """Write a study's folder as ``advnce tune`` would."""

    def write(rows, *, key="loss.tau", name="study", **more):
        folder = tmp_path / name
        folder.mkdir()
        summary = {
            "model": "mf",
            "loss": "adv",
            "data": "coat",
            "fingerprint": "coat: 290 users",
            "monitor": "valid/recall@20",
            "epochs": 500,
            "seed": 0,
            "best": {"trial": 1, "value": 0.4, "best_epoch": 9, "params": {key: 0.5}},
            "default_value": 0.3,
            "seconds": 90.0,
            "versions": {"torch": "2.13.0"},
            **more,
        }
        folder.joinpath("summary.json").write_text(json.dumps(summary), "utf-8")
        head = f"trial,state,value,default,best_epoch,epochs,seconds,{key},error\n"
        folder.joinpath("trials.csv").write_text(head + "\n".join(rows), "utf-8")
        return folder

    return write


@pytest.fixture
def study(write_study):
    """A study of three trials, one of which has failed."""
    return write_study(
        [
            "0,complete,0.3,True,4,9,1.5,0.75,",
            "1,complete,0.4,False,9,9,1.5,0.5,",
            "2,failed,,False,,,0.1,7.0,ValueError: no",
        ]
    )
