import json
import re

import numpy as np
import pytest

from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.datasets.base import SplitPairs
from pyg_advinfonce.datasets.splits import SplitSpec, make_split_folder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import split_edges

SPEC = SplitSpec({"table": "abc"}, {"seed": 0, "gammas": [2.0]})
SPLITS = SplitPairs(
    3,
    4,
    {
        "train": np.array([[0, 0, 1], [0, 1, 1]]),
        "valid": np.array([[0], [2]]),
        "test_gamma_1.5": np.array([[1], [0]]),
    },
    {"table": 7},
    candidate_mask=np.array([True, True, True, False]),
    user_ids=["a", "☃ b", "c"],
    item_ids=np.array([5, 6, 7, 2**63 - 1]),
)


def make(path, spec=SPEC, splits=SPLITS, **options):
    return make_split_folder(path, spec, lambda: splits, **options)


def test_a_folder_becomes_the_graph_that_was_written(tmp_path):
    folder = make(tmp_path / "a b" / "naïve ☃")
    assert folder.is_new
    graph = load_dataset(str(folder.path)).graph
    assert (graph["user"].num_nodes, graph["item"].num_nodes) == (3, 4)
    for name, pairs in SPLITS.pairs.items():
        assert split_edges(graph, name).tolist() == pairs.tolist()
    assert graph["user"].raw_id == SPLITS.user_ids
    assert graph["item"].raw_id.tolist() == SPLITS.item_ids.tolist()
    assert graph["item"].candidate_mask.tolist() == [True, True, True, False]


def test_it_says_how_it_was_made(tmp_path):
    folder = make(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "split.json").read_text())
    assert record == folder.manifest
    assert record["source"] == {"table": "abc"}
    assert record["options"] == {"seed": 0, "gammas": [2.0]}
    assert record["duplicates_merged"] == {"table": 7}
    assert record["counts"]["train"] == 3
    assert re.fullmatch("[0-9a-f]{16}", record["fingerprint"])


def test_the_same_options_find_it_and_makes_nothing(tmp_path):
    first = make(tmp_path / "out")
    again = make_split_folder(tmp_path / "out", SPEC, lambda: 1 / 0)
    assert (again.is_new, again.manifest) == (False, first.manifest)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            SplitSpec({"table": "abc"}, {"seed": 1, "gammas": [2.0]}),
            "made with seed=0, not with seed=1:",
        ),
        (
            SplitSpec({"table": "abc"}, {"seed": 1}),
            r"made with seed=0, gammas=\[2.0\], not with seed=1, no gammas:",
        ),
        (
            SplitSpec({"table": "abd"}, SPEC.options),
            "another source or of its old",
        ),
    ],
)
def test_other_options_are_an_error_unless_they_may_overwrite(tmp_path, spec, said):
    make(tmp_path / "out")
    with pytest.raises(ConfigError, match=said) as error:
        make(tmp_path / "out", spec)
    assert "--overwrite" in str(error.value)
    folder = make(tmp_path / "out", spec, overwrite=True)
    assert folder.manifest["fingerprint"] == spec.fingerprint != SPEC.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_changed_files_are_not_taken_for_what_was_made(tmp_path):
    make(tmp_path / "out")
    (tmp_path / "out" / "train.txt").write_text("0 0\n")
    with pytest.raises(ConfigError, match="modified after writing"):
        make(tmp_path / "out")
    make(tmp_path / "out", overwrite=True)
    assert not make(tmp_path / "out").is_new


@pytest.mark.parametrize("record", [None, "{}", "[1]", "not JSON", '{"files": 3}'])
def test_a_foreign_folder_is_never_replaced(tmp_path, record):
    (tmp_path / "notes.txt").write_text("mine")
    if record is not None:
        (tmp_path / "split.json").write_text(record)
    said = r"is not a split folder|split\.json is damaged: "
    with pytest.raises(ConfigError, match=said):
        make(tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    assert make(tmp_path / "out").is_new


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match="choose another --out"):
            make(place)


def test_a_failure_leaves_what_was_there(tmp_path):
    make(tmp_path / "out")
    other = SplitSpec({}, {})
    with pytest.raises(ZeroDivisionError):
        make_split_folder(tmp_path / "out", other, lambda: 1 / 0, overwrite=True)
    assert not make(tmp_path / "out").is_new


def test_what_another_process_wrote_meanwhile_is_kept(tmp_path):
    out, other = tmp_path / "out", SplitSpec({}, {})

    def build():
        make(out, other)
        return SPLITS

    with pytest.raises(ConfigError, match="out was written by another process"):
        make_split_folder(out, SPEC, build)
    assert not make(out, other).is_new
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
