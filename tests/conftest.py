import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import settings

from pyg_advinfonce.datasets.published import PublishedFile
from tests import cases
from tests.file_server import FileServer

settings.register_profile("untimed", settings(), deadline=None)  # machines may be busy
settings.load_profile("untimed")


def pytest_runtest_setup(item):
    if item.get_closest_marker("every_pair") and "every_pair" not in chosen(item):
        pytest.skip("takes minutes: pytest -m every_pair")
    if item.get_closest_marker("pyg_lib") and not cases.HAS_SAMPLER:
        pytest.skip("no neighbour sampler: neither pyg-lib nor torch-sparse is there")


def chosen(item):
    """Return the markers that the command names."""
    return item.config.getoption("markexpr")


@pytest.fixture
def graph():
    """A new small graph; the last user and the last item are isolated."""
    return cases.toy_graph()


@pytest.fixture
def batch():
    """Five train pairs of that graph with four negatives each."""
    return cases.toy_batch()


SPLITS = {"train.txt": b"0 0 1\n1 1 2\n2 3\n", "valid.txt": b"0 2\n1 0\n"}
SPLITS["test_ood.txt"] = b"0 3\n2 0\n"


@pytest.fixture
def splits(monkeypatch):
    """The files by name of a small set that takes the place of KuaiRec, if free."""
    from pyg_advinfonce.datasets.published import CATALOGUE

    made = replace(
        CATALOGUE["kuairec"],
        num_users=3,
        num_items=4,
        num_pairs={"train": 5, "valid": 2, "test": 2},
        files={name: PublishedFile.of(text) for name, text in SPLITS.items()},
    )
    monkeypatch.setitem(CATALOGUE, "kuairec", made)
    return dict(SPLITS)


@pytest.fixture
def serve():
    """Start servers on the loopback interface; they end with the test."""
    with ExitStack() as stack:

        def start(routes, **options):
            return stack.enter_context(FileServer(routes, **options))

        yield start


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory):
    """Make a self-signed certificate for a name, with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")

    def make(name):
        folder = tmp_path_factory.mktemp("tls")
        words = "req -x509 -nodes -days 2 -subj /CN=test -newkey ec -pkeyopt "
        words += f"ec_paramgen_curve:prime256v1 -addext subjectAltName={name}"
        files = ["-keyout", folder / "key.pem", "-out", folder / "crt.pem"]
        command = [openssl, *words.split(), *files]
        subprocess.run(command, check=True, capture_output=True)
        both = folder / "both.pem"
        parts = [folder / "key.pem", folder / "crt.pem"]
        both.write_bytes(b"".join(part.read_bytes() for part in parts))
        return both

    return make


@pytest.fixture
def certificate(make_certificate):
    return make_certificate("IP:127.0.0.1")
