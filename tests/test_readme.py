"""The README's blocks run as they are printed, and print what it shows."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from pyg_advinfonce.cli.main import main

import pyg_advinfonce
from pyg_advinfonce.registry import MODELS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.M | re.S)
BLOCKS = FENCE.findall(TEXT)
PYTHON = [(code, shown) for language, code, shown in BLOCKS if language == "python"]

FIRST_SCREEN, LINES = 40, 130


def shape(text):
    """Return output without its digits: names, columns and forms of numbers."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "HASH", text)
    text = re.sub(r"(?<=on )(cpu|cuda(:\d+)?)$", "DEVICE", text, flags=re.M)
    text = re.sub(r"\d[\d,]*(\.\d+)?", lambda x: "9" + "9" * len(x[1] or ""), text)
    return [re.sub(r"  +", "  ", line).rstrip() for line in text.splitlines()]


def is_shown(printed, shown):
    """Tell whether output has the shape that is shown, where ``...`` is any lines."""
    parts = (r"(?:.*\n)*" if x == "..." else re.escape(f"{x}\n") for x in shape(shown))
    return re.fullmatch("".join(parts), "\n".join([*shape(printed), ""])) is not None


def numbers(line):
    """Return a line's integers, and its other numbers with a tolerance."""
    found = re.findall(r"\b\d[\d,]*(?:\.\d+)?\b", line)
    return [float(x) if "." in x else int(x.replace(",", "")) for x in found]


def is_close(line, shown):
    """Tell whether a line has the shown numbers; integers are equal."""
    pairs = [numbers(line), numbers(shown)]
    exact, close = (
        [[x for x in own if type(x) is kind] for own in pairs] for kind in (int, float)
    )
    return exact[0] == exact[1] and close[0] == pytest.approx(close[1], rel=0.05)


def has_numbers(printed, shown):
    """Tell whether every line that is shown is printed, but for rounding."""
    if torch.cuda.is_available():  # which draws other numbers
        return True
    lines = printed.splitlines()
    return all(any(is_close(x, line) for x in lines) for line in shown.splitlines())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ADVNCE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("code", "shown"), PYTHON, ids=["train", "loop"])
def test_python_prints_what_is_shown(code, shown, capsys):
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert shown
    assert is_shown(printed, shown)
    assert has_numbers(printed, shown)
    if "attack" in names:
        assert names["attack"].state, "no adversarial epoch ran"
        assert names["fit"].state, "no epoch of the model ran"
        first, *_, last = map(float, re.findall(r"loss ([\d.]+)", printed))
        assert last < first


def test_the_commands_print_what_is_shown(monkeypatch, capsys):
    consoles = [code for language, code, _ in BLOCKS if language == "console"]
    assert consoles
    for part in consoles:
        command, _, shown = part.partition("\n")
        program, *words = shlex.split(command.removeprefix("$ "))
        assert program == "advnce"
        monkeypatch.setattr(sys, "argv", [program, *words])
        main()
        printed = capsys.readouterr().out
        assert is_shown(printed, shown)
        assert has_numbers(printed, shown.replace("...\n", ""))


def test_every_block_is_run():
    assert {language for language, *_ in BLOCKS} == {"python", "console"}
    assert TEXT.count("```") == 2 * sum(1 + bool(shown) for *_, shown in BLOCKS)


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("a 0.12\n", "a 0.57\n", True),
        ("a 10.12\n", "a 0.57\n", True),
        ("a 0.123\n", "a 0.57\n", False),
        ("b 0.12\n", "a 0.57\n", False),
        ("a  1,363 of\n", "a  5 of\n", True),
        ("a 1\nb 2\nc 3\n", "a 1\n...\nc 3\n", True),
        ("a 1\nb 2\n", "a 1\n", False),
        ("a@20  ndcg@20\n", "a@20\n", False),
    ],
)
def test_the_shape_of_output(printed, shown, same):
    assert is_shown(printed, shown) is same


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("0  1  279  0.354855\n", True),
        ("b\n0  1  279  0.3549\n", True),
        ("0  1  279  0.3166\n", False),
        ("0  1  285  0.354855\n", False),
    ],
)
def test_the_numbers_of_output(printed, same, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert has_numbers(printed, "0  1  279  0.354855\n") is same


def test_it_is_short():
    lines = TEXT.splitlines()
    assert len(lines) <= LINES
    screen = "\n".join(lines[:FIRST_SCREEN])
    assert "pip install -c constraints.txt -e ." in screen
    assert FENCE.findall(screen + "\n") == BLOCKS[:2]


def test_two_commands_do_all_the_set_up():
    make = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"`make (\w+)`", TEXT)
    assert targets[:2] == ["demo", "test"]
    assert all(re.search(rf"^{target}:", make, re.M) for target in targets)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md"]
)
def test_links_lead_to_files_and_have_a_text(page):
    links = re.findall(r"\[(.*?)\]\((?!https?:)(.+?)\)", (ROOT / page).read_text())
    for text, target in links:
        assert text
        file = target.partition("#")[0]
        assert (ROOT / page).parent.joinpath(file).exists(), target


def test_the_table_of_models_and_losses_is_the_registry():
    table = TEXT.split("## Models and losses")[1].split("\n\n")[1]
    found = {}
    for row in table.splitlines()[2:]:
        models, losses = (
            re.findall(r"`([\w-]+)`", cell) for cell in row.split("|")[1:3]
        )
        found |= {model: losses or [model] for model in models}
    assert found == {name: list(entry.losses) for name, entry in MODELS.items()}


def test_the_results_are_those_of_the_studies():
    studies = (ROOT / "docs/studies/README.md").read_text("utf-8")
    parts = {
        title.strip(): text
        for title, _, text in (x.partition("\n") for x in studies.split("\n## "))
    }
    table = TEXT.split("## When AdvInfoNCE helps")[1].split("\n\n")[2]
    rows = [
        [cell.strip(" `") for cell in x.split("|")[1:-1]] for x in table.split("\n")
    ]
    assert len(rows) == 8
    for data, loss, seeds, recall, ndcg, paper in rows[2:]:
        row = f"| lightgcn + {loss} ({seeds}) | {recall} | {ndcg} | {paper} |"
        assert row in parts[data]


def test_the_numbers_of_the_text_are_in_the_table():
    table, text = TEXT.split("## When AdvInfoNCE helps")[1].split("\n\n")[2:4]
    cited = re.findall(r"0\.\d{4} ± 0\.\d{4}", text)
    assert len(cited) == 4
    assert all(number in table for number in cited)


@pytest.mark.parametrize("name", pyg_advinfonce.__all__)
def test_public_name_is_there(name):
    assert getattr(pyg_advinfonce, name) is not None
    assert name in dir(pyg_advinfonce)


def test_unknown_public_name():
    with pytest.raises(AttributeError, match="has no attribute 'AdvInfoNCF'"):
        _ = pyg_advinfonce.AdvInfoNCF
