"""Downloads over real HTTP on the loopback interface."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module

import pytest

from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.datasets.published import (
    CATALOGUE,
    Licence,
    PublishedFile,
    fetch,
    web,
)
from pyg_advinfonce.errors import (
    ConfigError,
    DatasetIntegrityError,
    DatasetNotFoundError,
    DownloadError,
    UnknownNameError,
)
from pyg_advinfonce.progress import Progress
from tests.file_server import broken_chunks, cut, dripping, held, send, unsized

download = import_module(
    "pyg_advinfonce.datasets.published.fetch"
)  # the face gives the function

FOLDER = "/kuairec2"
HTML = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


class Notes(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.said, self.files, self.received = [], [], 0

    def say(self, text):
        self.said.append(text)

    def start(self, label, total=None, *, unit=""):
        assert unit == "B"
        self.files.append((label, total))

    def advance(self, steps=1, note=""):
        self.received += steps


def routes(splits, **others):
    """Return a good server's routes, but for some files by stem."""
    found = {f"{FOLDER}/{name}": text for name, text in splits.items()}
    return found | {f"{FOLDER}/{stem}.txt": answer for stem, answer in others.items()}


def names(root):
    """Return the names of all files below a folder, locks excepted."""
    found = {path.name for path in root.rglob("*") if path.is_file()}
    return found - {".fetch.lock"}


def forget_train(monkeypatch, **known):
    """Make the train file known by its blob alone, or by what is given."""
    published = CATALOGUE["kuairec"]
    forgotten = {"sha256": None, "size": None, **known}
    train = replace(published.files["train.txt"], **forgotten)
    files = {**published.files, "train.txt": train}
    monkeypatch.setitem(CATALOGUE, "kuairec", replace(published, files=files))


def test_a_good_server(splits, serve, tmp_path):
    server, notes = serve(routes(splits)), Notes()
    folder = fetch("kuairec", tmp_path, mirror=server.url + "/", progress=notes)
    assert folder == tmp_path / "kuairec" / "raw"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == splits
    assert sorted(server.requests) == sorted(routes(splits))
    assert sorted(notes.files) == sorted((n, len(text)) for n, text in splits.items())
    assert notes.received == sum(map(len, splits.values()))
    assert notes.said[0] == "kuairec: CC BY-SA 4.0 (https://kuairec.com)"
    assert notes.said[-1].endswith("raw and verified")
    assert load_dataset("kuairec", root=tmp_path).summary()["pairs"]["train"] == 5


def test_what_is_there_is_not_fetched_again(splits, serve, tmp_path):
    server, notes = serve(routes(splits)), Notes()
    folder = fetch("kuairec", tmp_path, mirror=server.url)
    server.requests.clear()
    assert fetch("kuairec", tmp_path, offline=True, progress=notes) == folder
    assert "nothing to download" in notes.said[-1]
    (folder / "valid.txt").unlink()
    fetch("kuairec", tmp_path, mirror=server.url)
    assert server.requests == [f"{FOLDER}/valid.txt"]


@pytest.mark.parametrize("place", ["kuairec", "kuairec2"])
def test_files_of_one_s_own_are_used_where_they_lie(
    splits, make_folder, tmp_path, place
):
    texts = {name.removesuffix(".txt"): t.decode() for name, t in splits.items()}
    texts["test"] = texts.pop("test_ood")
    folder = make_folder(place, **texts)
    folder.chmod(0o500)
    assert fetch("kuairec", tmp_path) == folder
    assert not (tmp_path / place / "raw").exists()


def test_a_second_file_of_the_same_content_is_not_fetched(
    splits, serve, tmp_path, monkeypatch
):
    published = CATALOGUE["kuairec"]
    files = {"test_id.txt": published.files["test_ood.txt"], **published.files}
    monkeypatch.setitem(CATALOGUE, "kuairec", replace(published, files=files))
    fetch("kuairec", tmp_path, mirror=serve(routes(splits)).url)
    assert names(tmp_path) == set(splits)


def test_another_file_in_its_place_is_kept(splits, serve, make_folder, tmp_path):
    folder = make_folder("kuairec/raw", train="0 1\n")
    server = serve(routes(splits))
    with pytest.raises(DatasetIntegrityError) as error:
        fetch("kuairec", tmp_path, mirror=server.url)
    message = str(error.value)
    assert f"{folder}/train.txt: expected {len(splits['train.txt'])} bytes" in message
    assert "got 4 bytes" in message
    assert "not overwritten" in message
    assert (folder / "train.txt").read_text() == "0 1\n"
    assert server.requests == []


BAD = {
    "cut": (cut, "(cut off)"),
    "chunks": (broken_chunks, "(cut off)"),
    "html": (lambda _: HTML, "more than 16 bytes (an HTML page, not data)"),
    "short html": (lambda _: b"<html></html>", "(an HTML page, not data)"),
    "hash": (lambda text: text[::-1], "got 16 bytes"),
    "size": (lambda text: text + b"3 3\n", "got more than 16 bytes"),
    "empty": (lambda _: b"", "got 0 bytes"),
}


@pytest.mark.parametrize("way", BAD)
def test_a_bad_file_never_becomes_data(splits, serve, tmp_path, way):
    make, said = BAD[way]
    good = splits["train.txt"]
    server = serve(routes(splits, train=make(good)))
    with pytest.raises(DatasetIntegrityError) as error:
        fetch("kuairec", tmp_path, mirror=server.url)
    message = str(error.value)
    known = PublishedFile.of(good)
    assert f"{server.url}{FOLDER}/train.txt: expected 16 bytes" in message
    assert known.sha256 in message
    assert known.blob in message
    assert said in message
    assert len(message.splitlines()) == 1
    assert names(tmp_path) < set(splits) - {"train.txt"} | {"nothing else"}
    server.routes[f"{FOLDER}/train.txt"] = good
    fetch("kuairec", tmp_path, mirror=server.url)
    assert names(tmp_path) == set(splits)


def test_the_hash_of_what_came_is_told(splits, serve, tmp_path):
    bad = PublishedFile.of(splits["train.txt"][::-1])
    server = serve(routes(splits, train=splits["train.txt"][::-1]))
    with pytest.raises(DatasetIntegrityError, match=bad.sha256):
        fetch("kuairec", tmp_path, mirror=server.url)


def test_the_blob_alone_decides(splits, serve, tmp_path, monkeypatch):
    forget_train(monkeypatch)
    server = serve(routes(splits, train=splits["train.txt"] + b"\n"))
    with pytest.raises(DatasetIntegrityError) as error:
        fetch("kuairec", tmp_path, mirror=server.url)
    blob = PublishedFile.of(splits["train.txt"]).blob
    assert f"train.txt: expected git blob id {blob}, got 17 bytes" in str(error.value)
    server.routes[f"{FOLDER}/train.txt"] = unsized(splits["train.txt"])
    fetch("kuairec", tmp_path, mirror=server.url)


@pytest.mark.parametrize(
    "wrong", [{"blob": "0" * 40}, {"sha256": "0" * 64}, {"size": 17}]
)
def test_each_hash_counts(splits, serve, tmp_path, monkeypatch, wrong):
    server = serve(routes(splits))
    forget_train(monkeypatch, **wrong)
    with pytest.raises(DatasetIntegrityError, match=str(*wrong.values())):
        fetch("kuairec", tmp_path, mirror=server.url)


def test_no_more_is_read_than_is_known(splits, serve, tmp_path):
    notes = Notes()
    server = serve(routes(splits, train=unsized(splits["train.txt"] * 2**16)))
    with pytest.raises(DatasetIntegrityError, match="got more than 16 bytes"):
        fetch("kuairec", tmp_path, mirror=server.url, progress=notes)
    assert notes.received == 17


def test_a_file_of_unknown_size_has_a_limit(splits, serve, tmp_path, monkeypatch):
    forget_train(monkeypatch)
    monkeypatch.setattr(download, "MAX_BYTES", 15)
    server = serve(routes(splits))
    with pytest.raises(DatasetIntegrityError, match="got more than 15 bytes"):
        fetch("kuairec", tmp_path, mirror=server.url)
    monkeypatch.setattr(download, "MAX_BYTES", 16)
    fetch("kuairec", tmp_path, mirror=server.url)


def test_what_to_do_by_hand(splits, serve, tmp_path):
    server = serve({k: v for k, v in routes(splits).items() if "valid" not in k})
    with pytest.raises(DownloadError) as error:
        fetch("kuairec", tmp_path, mirror=server.url)
    message = str(error.value)
    assert f"{server.url}{FOLDER}/valid.txt: HTTP status 404" in message
    assert f"put into {tmp_path}/kuairec/raw by hand: valid.txt " in message
    assert "from https://raw.githubusercontent.com/LehengTHU/AdvInfoNCE/" in message
    assert "/data/kuairec2/<file>" in message
    assert "train.txt" not in message  # it is there already


def test_offline_nothing_is_asked_or_written(splits, serve, tmp_path):
    server = serve(routes(splits))
    with pytest.raises(DatasetNotFoundError, match=r"by hand: train\.txt valid\.txt"):
        fetch("kuairec", tmp_path, mirror=server.url, offline=True)
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens(splits, tmp_path):
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:1/.*refused; put into"):
        fetch("kuairec", tmp_path, mirror="http://127.0.0.1:1")


def test_a_silent_server_is_left(splits, serve, tmp_path):
    release = threading.Event()
    server = serve(routes(splits, train=held(splits["train.txt"], release)))
    with pytest.raises(DownloadError, match=r"no data received for 0\.2 s; put into"):
        fetch("kuairec", tmp_path, mirror=server.url, timeout=0.2)
    release.set()
    assert "train.txt" not in names(tmp_path)


def test_a_server_that_does_not_answer_is_left(splits, serve, tmp_path):
    release = threading.Event()
    server = serve(routes(splits, train=lambda _: release.wait(60)))
    with pytest.raises(DownloadError, match=r"no answer within 0\.2 s"):
        fetch("kuairec", tmp_path, mirror=server.url, timeout=0.2)
    release.set()


def test_a_dripping_server_is_left(splits, serve, tmp_path, monkeypatch):
    forget_train(monkeypatch)
    monkeypatch.setattr(web, "MAX_TIMEOUTS", 2)
    stop = threading.Event()
    server = serve(routes(splits, train=dripping(b"0", 0.02, stop)))
    with pytest.raises(DownloadError, match=r"incomplete after 1 s"):
        fetch("kuairec", tmp_path, mirror=server.url, timeout=0.5)
    stop.set()
    assert not {n for n in names(tmp_path) if "train" in n}


@pytest.mark.parametrize("name", ["../../x", "", "kuairec2", "/tmp", "COAT"])
def test_an_unknown_name(tmp_path, name):
    with pytest.raises(UnknownNameError, match="unknown dataset"):
        fetch(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_simulation_has_no_files(tmp_path):
    with pytest.raises(ConfigError, match="'simulated' has no published files: choose"):
        fetch("simulated", tmp_path)


def test_terms_are_accepted_by_name(splits, serve, tmp_path, monkeypatch):
    terms = Licence("not to be passed on", "https://owner.example")
    known = replace(CATALOGUE["kuairec"], licence=terms)
    monkeypatch.setitem(CATALOGUE, "kuairec", known)
    server = serve(routes(splits))
    with pytest.raises(ConfigError) as error:
        fetch("kuairec", tmp_path, mirror=server.url)
    assert "not to be passed on (https://owner.example)" in str(error.value)
    assert "--accept-terms kuairec" in str(error.value)
    with pytest.raises(ConfigError, match="--accept-terms kuairec, got 'coat'"):
        fetch("kuairec", tmp_path, mirror=server.url, accept_terms="coat")
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []
    folder = fetch("kuairec", tmp_path, mirror=server.url, accept_terms="kuairec")
    assert fetch("kuairec", tmp_path) == folder  # not asked again


@pytest.mark.parametrize("name", ["coat", "yahoo", "tencent"])
def test_what_may_not_be_passed_on_wants_acceptance(tmp_path, name):
    with pytest.raises(ConfigError, match=f"--accept-terms {name}"):
        fetch(name, tmp_path)


def test_yahoo_says_that_one_s_own_copy_is_better(tmp_path):
    with pytest.raises(ConfigError, match="Prefer a copy that you requested"):
        fetch("yahoo", tmp_path)


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from pyg_advinfonce.datasets.published import fetch
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.datasets.published import CATALOGUE, PublishedFile

class Loud(Progress):
    def say(self, text):
        print(text, flush=True)

paths = Path(sys.argv[1]).iterdir()
files = {path.name: PublishedFile.of(path.read_bytes()) for path in paths}
CATALOGUE["kuairec"] = replace(CATALOGUE["kuairec"], files=files)
fetch("kuairec", Path(sys.argv[2]), mirror=sys.argv[3], progress=Loud())
"""


@pytest.fixture
def start(splits, tmp_path):
    """Start processes that fetch into ``tmp_path/data``; they end with the test."""
    known, log = tmp_path / "known", tmp_path / "log"
    known.mkdir()
    for name, text in splits.items():
        (known / name).write_bytes(text)
    with ExitStack() as stack:
        file = stack.enter_context(log.open("w"))

        def run(url):
            words = [sys.executable, "-c", SCRIPT, known, tmp_path / "data", url]
            process = subprocess.Popen(words, stdout=file)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield run


def wait_for(happened):
    """Wait until something has happened, at most a minute."""
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_of_two_processes_one_waits(splits, serve, start, tmp_path):
    release, log = threading.Event(), tmp_path / "log"
    server = serve(routes(splits, train=held(splits["train.txt"], release)))
    with ThreadPoolExecutor(1) as pool:
        here = pool.submit(fetch, "kuairec", tmp_path / "data", mirror=server.url)
        wait_for(lambda: f"{FOLDER}/train.txt" in server.requests)
        other = start(server.url)
        wait_for(
            lambda: "waiting for another process that fetches it" in log.read_text()
        )
        assert "train.txt" not in names(tmp_path / "data")
        release.set()
        here.result()
    assert other.wait(60) == 0
    assert names(tmp_path / "data") == set(splits)
    assert sorted(server.requests) == sorted(routes(splits))


def test_the_next_one_starts_over_after_a_killed_one(splits, serve, start, tmp_path):
    release, notes = threading.Event(), Notes()
    server = serve(routes(splits, train=held(splits["train.txt"], release)))
    killed = start(server.url)
    wait_for(lambda: f"{FOLDER}/train.txt" in server.requests)
    with ThreadPoolExecutor(1) as pool:
        words = {"mirror": server.url, "progress": notes}
        here = pool.submit(fetch, "kuairec", tmp_path / "data", **words)
        wait_for(lambda: any("waiting" in text for text in notes.said))
        server.routes[f"{FOLDER}/train.txt"] = splits["train.txt"]
        killed.kill()
        here.result()
    release.set()
    assert names(tmp_path / "data") == set(splits)
    assert server.requests.count(f"{FOLDER}/train.txt") == 2


def test_what_a_killed_one_has_left_is_removed(splits, serve, make_folder, tmp_path):
    folder = make_folder("kuairec/raw")
    (folder / ".train.txt.99999").write_text("0 0")
    fetch("kuairec", tmp_path, mirror=serve(routes(splits)).url)
    assert names(tmp_path) == set(splits)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left")])
def test_trouble_in_the_middle_leaves_nothing(splits, serve, tmp_path, error):
    class Troubled(Notes):
        def advance(self, steps=1, note=""):
            raise error

    server = serve(routes(splits))
    with pytest.raises((KeyboardInterrupt, OSError)):
        fetch("kuairec", tmp_path, mirror=server.url, progress=Troubled())
    assert names(tmp_path) == set()
    fetch("kuairec", tmp_path, mirror=server.url)


def test_a_folder_that_cannot_be_written(splits, serve, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*file.*--data-root"):
        fetch("kuairec", tmp_path / "file", mirror=serve(routes(splits)).url)


def test_a_mirror_may_take_a_longer_way(splits, serve, tmp_path):
    long = {f"/a/b{path}": text for path, text in routes(splits).items()}
    fetch("kuairec", tmp_path, mirror=f"{serve(long).url}/a/b")
    assert names(tmp_path) == set(splits)


def test_a_content_type_does_not_decide(splits, serve, tmp_path):
    text = splits["train.txt"]
    odd = routes(splits, train=lambda handler: send(handler, text, kind="text/html"))
    fetch("kuairec", tmp_path, mirror=serve(odd).url)
