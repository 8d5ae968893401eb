import re

import pytest

from tests.file_server import cut

WORDS = ("data", "fetch", "kuairec", "--data-root", "here")


@pytest.fixture
def server(splits, serve):
    return serve({f"/kuairec2/{name}": text for name, text in splits.items()})


def test_the_folder_is_printed_and_the_rest_is_told(advnce, folder, server, splits):
    found = advnce(*WORDS, "--mirror", server.url)
    assert (found.code, found.out) == (0, "here/kuairec/raw\n")
    assert found.err.splitlines() == [
        "kuairec: CC BY-SA 4.0 (https://kuairec.com)",
        *(f"{name}, {len(text)} bytes" for name, text in splits.items()),
        "kuairec: all files are in here/kuairec/raw and verified",
    ]
    again = advnce(*WORDS, "--offline")
    assert (again.code, again.out) == (0, found.out)
    assert again.err.splitlines()[1:] == [
        "kuairec: all files are in here/kuairec/raw, nothing to download"
    ]


def test_a_bar_on_a_terminal(advnce, folder, server, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    found = advnce(*WORDS, "--mirror", server.url)
    assert found.code == 0
    assert re.search(r"train\.txt: 100%\|.*16\.0/16\.0", found.err)


def test_what_goes_wrong_is_the_last_line(advnce, folder, server, splits):
    server.routes["/kuairec2/train.txt"] = cut(splits["train.txt"])
    found = advnce(*WORDS, "--mirror", server.url)
    assert (found.code, found.out) == (2, "")
    last = found.err.splitlines()[-1]
    assert last.startswith(
        f"advnce: {server.url}/kuairec2/train.txt: expected 16 bytes"
    )
    assert "Traceback" not in found.err


def test_offline(advnce, folder, splits):
    found = advnce(*WORDS, "--offline")
    assert (found.code, found.out) == (2, "")
    last = found.err.splitlines()[-1]
    assert "put into here/kuairec/raw by hand: train.txt valid.txt test_ood.txt" in last
    assert "from https://raw.githubusercontent.com/" in last
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["../../x"], "unknown dataset '../../x'"),
        (["cota"], "did you mean 'coat'?"),
        (["simulated"], "no published files: choose from coat, yahoo"),
        (["yahoo"], "--accept-terms yahoo"),
        (["coat", "--accept-terms", "yahoo"], "--accept-terms names 'yahoo'"),
        (["kuairec", "--mirror", "http://example.org"], "expected https"),
        (["kuairec", "--mirror", "here"], "expected an address"),
        (["kuairec", "--insecure", "https://a"], "--insecure wants a host"),
    ],
)
def test_bad_input_is_one_line(advnce, folder, words, said):
    found = advnce("data", "fetch", *words)
    assert found.code == 2
    assert said in found.line
    assert list(folder.iterdir()) == []


def test_terms_are_shown_before_anything_else(advnce, folder):
    found = advnce("data", "fetch", "yahoo", "--accept-terms", "yahoo", "--offline")
    assert found.code == 2
    first, last = found.err.splitlines()
    assert first.startswith("yahoo: given by Yahoo! Webscope on request")
    assert "copy that you have requested yourself" in first
    assert "by hand: test_ood.txt train.txt valid.txt" in last


@pytest.mark.filterwarnings("always:.*without a proof")
def test_a_host_without_a_trusted_certificate(
    advnce, folder, splits, serve, certificate
):
    routes = {f"/kuairec2/{name}": text for name, text in splits.items()}
    words = [*WORDS, "--mirror", serve(routes, certificate=certificate).url]
    found = advnce(*words)
    assert found.code == 2
    assert "certificate is not to be trusted" in found.err.splitlines()[-1]
    assert "put into here/kuairec/raw by hand" in found.err.splitlines()[-1]
    assert advnce(*words, "--insecure", "localhost").code == 2
    found = advnce(*words, "--insecure", "127.0.0.1")
    assert found.code == 0
    assert "advnce: warning: 127.0.0.1 is trusted without a proof" in found.err


def test_every_verb_is_in_the_help_in_full(advnce):
    found = advnce("data", "--help")
    assert (found.code, found.err) == (0, "")
    assert all(f"\n  {verb} " in found.out for verb in ("list", "fetch", "verify"))
    assert "..." not in found.out.split("Commands:")[1]
    assert "--insecure HOST" in advnce("data", "fetch", "--help").out
