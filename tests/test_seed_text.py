import pytest
from pyg_advinfonce.cli.session import parse_seeds

from pyg_advinfonce.seed_text import seed_text


@pytest.mark.parametrize(
    ("seeds", "text"),
    [([], ""), ([3], "3"), ([1, 0], "0-1"), ([7, 0, 1, 2, 9], "0-2, 7, 9")],
)
def test_seeds_in_few_words(seeds, text):
    assert seed_text(seeds) == text


@pytest.mark.parametrize("text", ["3", "0-4", "0-1,3,5-9"])
def test_says_what_the_command_line_reads(text):
    assert seed_text(parse_seeds(None, text)).replace(" ", "") == text
