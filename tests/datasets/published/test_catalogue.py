"""The entries: complete, and each usable from its download to a training."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset, profile
from pyg_advinfonce.datasets.published import (
    CATALOGUE,
    SOURCES,
    PublishedFile,
    fetch,
    verify,
)
from pyg_advinfonce.errors import (
    DataError,
    DatasetIntegrityError,
    DatasetNotFoundError,
    DataWarning,
)
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.registry import DATASETS


def test_every_entry_is_a_named_set():
    assert list(CATALOGUE) == [name for name in DATASETS if name != "simulated"]
    assert all(known.name == name for name, known in CATALOGUE.items())


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_named_set_states_what_is_known(name, tmp_path):
    known = CATALOGUE[name]
    is_archive = known.archive is not None
    assert list(known.files) == [known.archive] or "train.txt" in known.files
    assert is_archive == (list(known.files) == [f"{name}.zip"])
    assert not is_archive or name in SOURCES
    assert known.num_users
    assert known.num_items
    assert known.num_pairs.keys() >= {"train"} or name == "ml-100k"
    for file in known.files.values():
        assert len(file.blob) in ((0,) if is_archive else (40,))
        assert file.sha256 is None or len(file.sha256) == 64
        assert file.sha256 or file.blob
    assert known.upstream.files.startswith("https://")
    assert known.url.startswith("https://")
    assert known.licence.owner.startswith("https://")
    with pytest.raises(DatasetNotFoundError, match=f"'{name}' needs"):
        load_dataset(name, root=tmp_path)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_description_repeats_the_counts(name):
    known, words = CATALOGUE[name], DATASETS[name].help.replace(";", "")
    counts = [f"{known.num_users:,}", f"{known.num_items:,}"]
    assert [word for word in words.split() if word[0].isdigit()][:2] == counts


@pytest.mark.parametrize("name", sorted(CATALOGUE.keys() - {"kuairec"}))
def test_what_may_not_be_passed_on_is_marked(name):
    assert not CATALOGUE[name].licence.redistributable


USERS, ITEMS = 12, 9
PAIRS = [(u, (u * 3 + k) % ITEMS) for u in range(USERS) for k in range(6)]


def lists(pairs, separator=" ", end="\n", first=0):
    """Return one line per user, as the upstream writes them."""
    mine = {}
    for user, item in pairs:
        mine.setdefault(user, []).append(str(item + first))
    lines = [f"{u + first}{separator}{' '.join(i)}{end}" for u, i in mine.items()]
    return "".join(lines).encode()


def halves():
    """Return train pairs, four per user, and test pairs, two per user."""
    train = [pair for n, pair in enumerate(PAIRS) if n % 6 < 4]
    return train, [pair for n, pair in enumerate(PAIRS) if n % 6 >= 4]


def lightgcn():
    """Lines that end with a blank, and a user without a test item."""
    parts = [lists(part, end=" \n") for part in halves()]
    return {"train.txt": parts[0], "test.txt": parts[1] + b"11 \n"}


def weighted():
    texts = [
        "".join(f"{u + 1}\t{i + 1}\t{u + 7}\n" for u, i in part) for part in halves()
    ]
    names = ("data1.txt", "test1.txt")
    return {n: t.encode() for n, t in zip(names, texts, strict=True)}


def sequences():
    parts = [lists(part, ":", first=1) for part in halves()]
    return dict(zip(("train.txt", "test.txt"), parts, strict=True))


def zipped(name, file, line, head=""):
    """An archive of ratings: all pairs, and one low rating per user."""
    low = [(user, 20 + user % 2, 3) for user in range(USERS)]
    rows = [(u, i, 4 + i % 2) for u, i in PAIRS] + low
    text = head + "".join(line.format(u + 1, i + 1, r) for u, i, r in rows)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{name}/README", "read me")
        archive.writestr(f"{name}/{file}", text)
    return {f"{name}.zip": content.getvalue()}


MADE = {
    "gowalla": lightgcn(),
    "yelp2018": lightgcn(),
    "amazon-book": lightgcn(),
    "lastfm": weighted(),
    "amazon-beauty": sequences(),
    "ml-100k": zipped("ml-100k", "u.data", "{}\t{}\t{}\t881250949\n"),
    "ml-1m": zipped("ml-1m", "ratings.dat", "{}::{}::{}::978300760\n"),
    "ml-20m": zipped(
        *("ml-20m", "ratings.csv", "{},{},{}.0,1112486027\n"),
        "userId,movieId,rating,timestamp\n",
    ),
}


@pytest.fixture(params=MADE)
def name(request):
    return request.param


@pytest.fixture
def upstream(name, serve, monkeypatch):
    """A server of small files in the set's format, which the catalogue knows."""
    known, texts = CATALOGUE[name], MADE[name]
    files = {
        file: replace(
            PublishedFile.of(texts[entry.source or file]), source=entry.source
        )
        for file, entry in known.files.items()
    }
    split = {"train": 48, "test": 24}
    shares = {"train": 58, "valid": 7, "test": 7}
    small = replace(
        known,
        files=files,
        num_users=USERS,
        num_items=ITEMS,
        num_pairs=shares if known.archive else split,
    )
    monkeypatch.setitem(CATALOGUE, name, small)
    return serve({f"/{known.folder}/{file}": text for file, text in texts.items()})


def fetched(name, upstream, root):
    return fetch(name, root, mirror=upstream.url, accept_terms=name)


@pytest.mark.filterwarnings("error::pyg_advinfonce.errors.DataWarning")
def test_fetched_verified_described_and_loaded(name, upstream, tmp_path):
    folder = fetched(name, upstream, tmp_path)
    assert folder == tmp_path / name / "raw"
    assert {path.name for path in folder.iterdir()} == set(CATALOGUE[name].files)
    assert {check.state for check in verify(name, tmp_path)} == {"ok"}
    assert fetch(name, tmp_path, offline=True) == folder

    found = profile(name, tmp_path)
    assert (found["users"], found["items"]) == (USERS, ITEMS)
    assert found["licence"] == str(CATALOGUE[name].licence)

    dataset = load_dataset(name, root=tmp_path)
    graph, pairs = dataset.graph, dataset.summary()["pairs"]
    assert num_nodes(graph) == (USERS, ITEMS)
    assert pairs == (
        {"train": 58, "valid": 7, "test": 7}
        if CATALOGUE[name].archive
        else {"train": 43, "valid": 5, "test": 24}
    )
    every = np.concatenate([split_edges(graph, s).numpy() for s in pairs], axis=1)
    assert sorted(map(tuple, every.T.tolist())) == sorted(PAIRS)


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_trained(name, upstream, tmp_path):
    fetched(name, upstream, tmp_path)
    small = {"train": {"epochs": 1}, "model": {"dim": 4}}
    config = Config.resolve("lightgcn", "bpr", name, layers=[small])
    result = train(config, load_dataset(name, root=tmp_path))
    assert 0 <= result.metrics["test/recall@20"] <= 1


def test_the_ids_of_the_files_are_kept(tmp_path, serve, monkeypatch):
    for name in ("lastfm", "amazon-beauty", "ml-1m"):
        texts = MADE[name]
        known = CATALOGUE[name]
        folder = tmp_path / name
        folder.mkdir()
        for file, entry in known.files.items():
            (folder / file).write_bytes(texts[entry.source or file])
        files = {f: PublishedFile.of((folder / f).read_bytes()) for f in known.files}
        small = replace(known, files=files, num_pairs={})
        monkeypatch.setitem(CATALOGUE, name, small)
        graph = load_dataset(name, root=tmp_path).graph
        assert graph["user"].raw_id.tolist() == list(range(1, USERS + 1))
        assert graph["item"].raw_id.tolist() == list(range(1, ITEMS + 1))


def test_another_file_is_refused(name, upstream, tmp_path):
    path = next(iter(upstream.routes))
    upstream.routes[path] = upstream.routes[path][::-1]
    with pytest.raises(DatasetIntegrityError, match="sha256"):
        fetched(name, upstream, tmp_path)
    upstream.routes[path] = upstream.routes[path][::-1]
    folder = fetched(name, upstream, tmp_path)
    changed = folder / next(iter(CATALOGUE[name].files))
    changed.write_bytes(changed.read_bytes()[::-1])
    assert next(check.state for check in verify(name, tmp_path)) == "differs"
    with pytest.raises(DatasetIntegrityError, match="restore the published file"):
        load_dataset(name, root=tmp_path)


@pytest.mark.parametrize("kind", ["pairs", "users", "items"])
def test_other_counts_are_warned_about(name, upstream, tmp_path, monkeypatch, kind):
    fetched(name, upstream, tmp_path)
    known = CATALOGUE[name]
    change = {
        "pairs": {"num_pairs": {**known.num_pairs, "train": 49}},
        "users": {"num_users": USERS - 1},
        "items": {"num_items": ITEMS - 1},
    }
    monkeypatch.setitem(CATALOGUE, name, replace(known, **change[kind]))
    if kind == "pairs" or known.is_converted:
        said = rf"^{name}: expected .* {kind}, found \d+:"
        with pytest.warns(DataWarning, match=said):
            load_dataset(name, root=tmp_path)
    else:
        with pytest.raises(DataError, match="expected a non-negative integer below"):
            load_dataset(name, root=tmp_path)


def test_the_valid_share_is_a_choice(upstream, name, tmp_path):
    fetched(name, upstream, tmp_path)
    if CATALOGUE[name].archive:
        with pytest.warns(
            DataWarning, match=r"\.zip exists: valid_fraction is ignored"
        ):
            load_dataset(name, root=tmp_path, valid_fraction=0.5)
    else:
        dataset = load_dataset(name, root=tmp_path, valid_fraction=0.5)
        assert dataset.summary()["pairs"]["valid"] == 24
    first, same, other = (
        load_dataset(name, root=tmp_path, seed=seed).fingerprint for seed in (0, 0, 1)
    )
    assert first == same != other
