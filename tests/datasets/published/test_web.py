"""TLS, redirects and what addresses are taken, on the loopback interface."""

import threading
import time
import warnings
from functools import partial

import pytest

from pyg_advinfonce.datasets.published import web
from pyg_advinfonce.datasets.published.web import WebAccess
from pyg_advinfonce.errors import ConfigError, DataWarning, DownloadError
from tests.file_server import (
    dripping,
    dripping_chunk,
    dripping_header,
    endless,
    redirect,
    send,
)


@pytest.fixture
def trusted(certificate, monkeypatch):
    """A certificate that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


def read(url, insecure=None):
    return WebAccess(insecure, timeout=10).read(url, 100, lambda _: None)


def test_a_trusted_certificate(serve, trusted):
    server = serve({"/a": b"text"}, certificate=trusted)
    assert read(f"{server.url}/a") == b"text"


@pytest.mark.parametrize("insecure", [None, "localhost", "127.0.0.2", "example.org"])
def test_a_certificate_that_nobody_knows(serve, certificate, insecure):
    server = serve({"/a": b"text"}, certificate=certificate)
    with pytest.raises(DownloadError) as error:
        read(f"{server.url}/a", insecure)
    assert f"{server.url}/a: certificate cannot be verified" in str(error.value)
    assert "--insecure 127.0.0.1" in str(error.value)
    assert server.requests == []


def test_a_certificate_of_another_host(serve, make_certificate, monkeypatch):
    other = make_certificate("DNS:example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    server = serve({"/a": b"text"}, certificate=other)
    with pytest.raises(DownloadError, match="cannot be verified"):
        read(f"{server.url}/a")


def test_the_very_host_may_be_named_insecure(serve, certificate):
    server = serve({"/a": b"text"}, certificate=certificate)
    with pytest.warns(DataWarning, match=r"127\.0\.0\.1 is not verified"):
        assert read(f"{server.url}/a", "127.0.0.1") == b"text"


def test_the_insecure_host_does_not_vouch_for_others(serve, certificate):
    hidden = serve({"/a": b"text"}, certificate=certificate)
    server = serve({"/a": redirect(f"{hidden.url}/a")})
    with (
        pytest.warns(DataWarning, match="certificate of localhost is not verified"),
        pytest.raises(DownloadError, match=r"127\.0\.0\.1:\d+/a: certificate"),
    ):
        read(f"http://localhost:{server.port}/a", "localhost")


def test_a_redirect_is_followed(serve):
    there = serve({"/there": b"text"})
    here = serve(
        {
            "/a": redirect("/b"),
            "/b": redirect("c"),
            "/c": redirect(there.url + "/there"),
        }
    )
    assert read(f"{here.url}/a") == b"text"
    assert here.requests == ["/a", "/b", "/c"]


def test_a_redirect_to_https_is_followed(serve, trusted):
    there = serve({"/a": b"text"}, certificate=trusted)
    here = serve({"/a": redirect(f"{there.url}/a")})
    assert read(f"{here.url}/a") == b"text"


def test_a_redirect_from_https_to_http_is_refused(serve, trusted):
    there = serve({"/a": b"text"})
    here = serve({"/a": redirect(f"{there.url}/a")}, certificate=trusted)
    with pytest.raises(DownloadError, match=r"from https to http://.*refused"):
        read(f"{here.url}/a")
    assert there.requests == []
    with pytest.warns(DataWarning, match="not verified"):
        assert read(f"{here.url}/a", "127.0.0.1") == b"text"


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://example.org/a", "expected https"),
        ("file:///etc/passwd", "expected a URL like https"),
        ("ftp://127.0.0.1/a", "expected a URL like https"),
        ("https://user:hunter2@example.org/a", "without user name"),
        ("http://[/", "redirects: Invalid"),
        ("", "more than 5 redirects"),
        ("/a", "more than 5 redirects"),
    ],
)
def test_a_redirect_to_nowhere(serve, location, said):
    server = serve({"/a": redirect(location)})
    with pytest.raises(DownloadError, match=said):
        read(f"{server.url}/a")
    assert len(server.requests) <= 6


@pytest.mark.parametrize(
    "url",
    [
        *("example.org", "//example.org/a", "file:///etc/passwd", "ftp://example.org"),
        *("http://example.org/a", "http://", "https://", "https://[", "", " "),
        *(
            "https://user:hunter2@example.org",
            "https://u:hunter2@a:b",
            "https://host:port/",
            "https://a b/c",
        ),
        *("https://ex\nample.org", "http://127.0.0.1.example.org", "https://ä.org"),
    ],
)
def test_an_address_that_is_not_taken(url):
    with pytest.raises(ConfigError, match=r"expected (a URL|https)") as error:
        WebAccess().check(url)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.org", "http://localhost:80/a", "http://127.0.0.1"),
        *("http://[::1]:8000/", "http://127.1.2.3"),
    ],
)
def test_an_address_that_is_taken(url):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WebAccess().check(url)


def test_plain_http_from_a_host_that_is_named():
    WebAccess("Example.org").check("http://example.ORG/a")
    with pytest.raises(ConfigError, match="--insecure other"):
        WebAccess("example.org").check("http://other/a")


@pytest.mark.parametrize("host", ["", "*", "https://example.org", "a b", "a/b", "u@h"])
def test_a_host_is_named_alone(host):
    with pytest.raises(ConfigError, match="--insecure expects a host name"):
        WebAccess(host)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_limit_is_positive(seconds):
    with pytest.raises(ConfigError, match="timeout must be positive"):
        WebAccess(timeout=seconds)


def test_this_machine_is_not_asked_through_a_proxy(serve, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert read(serve({"/a": b"text"}).url + "/a") == b"text"


def test_others_are_asked_through_the_proxy(serve, monkeypatch):
    proxy = serve({"http://example.org/a": b"text"})
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.warns(DataWarning):
        assert read("http://example.org/a", "example.org") == b"text"


@pytest.mark.parametrize(
    "drip", [partial(dripping, b"0"), dripping_chunk, dripping_header]
)
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_nothing_takes_longer_than_the_deadline(
    serve, trusted, monkeypatch, drip, is_encrypted
):
    monkeypatch.setattr(web, "MAX_TIMEOUTS", 2)
    stop = threading.Event()
    certificate = trusted if is_encrypted else None
    server = serve({"/a": drip(0.02, stop)}, certificate=certificate)
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"/a: incomplete after 0\.4 s"):
        WebAccess(timeout=0.2).read(f"{server.url}/a", 10**6, lambda _: None)
    stop.set()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "answer",
    [
        endless(b"0" * 1000),
        lambda handler: send(handler, b"0" * 1000, length=10**30),
        lambda handler: send(handler, b"0" * 1000),
    ],
)
def test_no_more_than_a_byte_over_the_limit_is_read(serve, answer):
    assert read(serve({"/a": answer}).url + "/a") == b"0" * 101
