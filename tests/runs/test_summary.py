import json
import math

import pytest
from pyg_advinfonce.cli._plan import parse_seeds

from pyg_advinfonce.config import Config
from pyg_advinfonce.files import without_nan
from pyg_advinfonce.machine import peak_rss_mb
from pyg_advinfonce.runs import (
    FinishedSeed,
    Outcome,
    mean_and_std,
    run_summary,
    seed_text,
)


def result(recall, *, epochs=3, seconds=0.5, peak=100.0):
    return Outcome(
        metrics=without_nan({"test/recall@20": recall}),
        best_epoch=epochs - 1,
        epochs=epochs,
        seconds_per_epoch=seconds,
        wall_seconds=2.0,
        peak_rss_mb=peak,
        device="cpu",
        versions={},
        data="coat: sha256 abc",
    )


def summary(*records):
    seeds = []
    for seed, record in enumerate(records):
        config = Config.resolve("mf", "bpr", "coat", layers=[{"train": {"seed": seed}}])
        seeds.append(FinishedSeed(None, config, record))
    return run_summary(seeds, "runs/x")


def test_one_value_has_no_deviation():
    assert mean_and_std([0.25]) == {"mean": 0.25, "std": None, "values": [0.25]}


def test_the_deviation_has_one_degree_of_freedom_less():
    found = mean_and_std([1.0, 2.0, 6.0])
    assert found == {"mean": 3.0, "std": math.sqrt(7.0), "values": [1.0, 2.0, 6.0]}


@pytest.mark.parametrize("values", [[None], [1.0, None], [None, None]])
def test_a_missing_value_makes_the_mean_missing(values):
    assert mean_and_std(values) == {"mean": None, "std": None, "values": values}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_null(value):
    assert without_nan({"a": value, "b": 0.0}) == {"a": None, "b": 0.0}
    found = json.loads(json.dumps(summary(result(0.5), result(value)), allow_nan=False))
    assert found["metrics"]["test/recall@20"] == {
        **{"mean": None, "std": None},
        "values": [0.5, None],
    }


def test_seeds_stand_side_by_side():
    found = summary(result(0.5, peak=9.0), result(0.25, epochs=5, seconds=1.5))
    assert found["seeds"] == [0, 1]
    assert found["metrics"]["test/recall@20"]["values"] == [0.5, 0.25]
    assert (found["best_epoch"], found["epochs"]) == ([2, 4], [3, 5])
    assert (found["seconds_per_epoch"], found["wall_seconds"]) == (1.0, 4.0)
    assert (found["model"], found["loss"], found["data"]) == ("mf", "bpr", "coat")
    assert (found["device"], found["run_dir"]) == ("cpu", "runs/x")
    assert found["peak_rss_mb"] == 100.0


def test_a_speed_that_nobody_measured_is_null():
    assert summary(result(0.5, seconds=None))["seconds_per_epoch"] is None
    found = summary(result(0.5, seconds=None), result(0.5, seconds=3.0))
    assert found["seconds_per_epoch"] == 3.0


def test_memory_is_in_megabytes():
    assert 50 < peak_rss_mb() < 100_000


@pytest.mark.parametrize(
    ("seeds", "text"),
    [([], ""), ([3], "3"), ([1, 0], "0-1"), ([7, 0, 1, 2, 9], "0-2, 7, 9")],
)
def test_seeds_in_few_words(seeds, text):
    assert seed_text(seeds) == text


@pytest.mark.parametrize("text", ["3", "0-4", "0-1,3,5-9"])
def test_says_what_the_command_line_reads(text):
    assert seed_text(parse_seeds(None, text)).replace(" ", "") == text
