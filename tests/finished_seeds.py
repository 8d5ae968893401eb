"""Finished seeds that no one has trained."""

import json

import numpy as np

from pyg_advinfonce.config import Config
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.runs.finished import save_per_user

OUTCOME = {
    "metrics": {},
    "best_epoch": 4,
    "epochs": 5,
    "seconds_per_epoch": 1.5,
    "wall_seconds": 9.0,
    "peak_rss_mb": 300.0,
    "device": "cpu",
    "versions": {},
    "data": "coat: sha256 abc",
}
"""What ``metrics.json`` of a seed holds."""

USERS = np.arange(40, dtype=np.int32)


def write_run(folder, values, *, data="coat: sha256 abc", users=USERS, first=0):
    """Write a run whose users got values around those of its seeds; read it."""
    for seed, value in enumerate(values, start=first):
        path = folder / f"seed-{seed}"
        path.mkdir(parents=True)
        layers = [{"train": {"seed": seed}}]
        Config.resolve("mf", "bpr", "coat", layers=layers).save(path / "config.toml")
        metrics = {"test/recall@20": value, "test/ndcg@20": 0.5, "valid/recall@20": 0.4}
        record = OUTCOME | {"metrics": metrics, "data": data}
        record["seconds_per_epoch"] = 1.0 + seed
        path.joinpath("metrics.json").write_text(json.dumps(record))
        noise = np.random.default_rng(seed).normal(size=len(users)) / 100
        got = (value or 0.0) + noise
        arrays = {"test/recall@20": got, "test/ndcg@20": np.full(len(users), 0.5)}
        save_per_user({"test/user": users, **arrays}, path)
    return read_run(folder)
