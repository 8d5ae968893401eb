"""KuaiRec from a server to metrics, with train pairs that are made up."""

import json
from dataclasses import replace

import pytest

from pyg_advinfonce.datasets.kuairec import KuaiRec
from pyg_advinfonce.datasets.published import PublishedFile

USERS = 7176
UPSTREAM = "/owner/repository/commit/data"


@pytest.fixture
def upstream(real_data, serve, monkeypatch):
    """A server that plays the place where KuaiRec is published."""
    partial = real_data / "kuairec_partial"
    items = (partial / "not_candidate.txt").read_text().split()
    train = "".join(f"{u} {items[u]} {items[u + 1]}\n" for u in range(USERS)).encode()
    known = KuaiRec.published
    made = replace(
        known,
        num_pairs={**known.num_pairs, "train": 2 * USERS},
        files={**known.files, "train.txt": replace(PublishedFile.of(train), size=None)},
    )
    monkeypatch.setattr(KuaiRec, "published", made)
    contents = {
        "train.txt": train,
        "valid.txt": (partial / "valid.txt").read_bytes(),
        "test_ood.txt": (partial / "test.txt").read_bytes(),
        "not_candidate.txt": (partial / "not_candidate.txt").read_bytes(),
    }
    return serve({f"{UPSTREAM}/kuairec2/{n}": text for n, text in contents.items()})


def test_fetched_described_trained_and_evaluated(advnce, folder, upstream):
    found = advnce("data", "fetch", "kuairec", "--mirror", upstream.url + UPSTREAM)
    assert (found.code, found.out) == (0, "data/kuairec/raw\n"), found.err
    assert len(upstream.requests) == 4
    assert advnce("data", "verify", "kuairec").code == 0

    profile = json.loads(advnce("data", "describe", "kuairec", "--json").out)
    assert (profile["users"], profile["items"]) == (USERS, 10_728)
    assert profile["candidate_items"] == 3327

    words = ["--epochs", 2, "--set", "train.num_negatives=16", "--out", "run", "--json"]
    found = advnce("train", "lightgcn", "--loss", "adv", "--data", "kuairec", *words)
    assert found.code == 0, found.err
    assert "warning" not in found.err
    trained = json.loads(found.out)["metrics"]
    assert all(0 < value["mean"] < 1 for value in trained.values())
    assert profile["fingerprint"] in found.err

    again = json.loads(advnce("evaluate", "run", "--json").out)["metrics"]
    for name, value in trained.items():
        assert again[name]["mean"] == pytest.approx(value["mean"])
