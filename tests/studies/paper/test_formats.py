import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.studies.paper.formats import (
    escape_latex,
    escape_markdown,
    to_csv,
    to_latex,
    to_markdown,
)

EVIL = [["a|b", "50 %"], ["<script>x</script>", r"\input{x}"], ["_*`[", "±1"]]


def test_markdown_has_a_cell_a_column():
    lines = to_markdown(EVIL).splitlines()
    assert lines[:2] == [r"| a\|b | 50 % |", "| --- | --- |"]
    assert lines[2] == r"| &lt;script&gt;x&lt;/script&gt; | \\input{x} |"
    assert lines[3] == r"| \_\*\`\[ | ±1 |"


@given(st.text())
def test_markdown_text_is_one_line_without_html(text):
    found = escape_markdown(text)
    assert len(found.splitlines()) <= 1
    assert not set("<>") & set(found)
    assert found.replace(r"\|", "").count("|") == 0 or r"\\|" in found


def test_latex_is_a_booktabs_table():
    found = to_latex(EVIL, caption="50 % & more", label="table4")
    assert found.splitlines()[:6] == [
        r"\begin{table}",
        r"\centering",
        r"\caption{50 \% \& more}",
        r"\label{tab:table4}",
        r"\begin{tabular}{lr}",
        r"\toprule",
    ]
    assert r"$<$script$>$x$<$/script$>$ & \textbackslash{}input\{x\} \\" in found
    assert r"\_*`[ & $\pm$1 \\" in found
    assert found.endswith("\\bottomrule\n\\end{tabular}\n\\end{table}")


@pytest.mark.parametrize("character", "&%$#_{}")
def test_latex_special_characters_are_escaped(character):
    assert escape_latex(f"a{character}b") == f"a\\{character}b"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"]
)
def test_csv_text_is_no_formula(text):
    (row,) = csv.DictReader(io.StringIO(to_csv([{"row": text, "list": [text, "b"]}])))
    line = text.strip()
    assert row == {"row": f"'{line}", "list": f"'{line}; b"}


def test_csv_numbers_stay_numbers():
    records = [{"row": "a,b", "mean": -0.5, "std": None, "seeds": [0, 1]}]
    (row,) = csv.DictReader(io.StringIO(to_csv(records)))
    assert row == {"row": "a,b", "mean": "-0.5", "std": "", "seeds": "0; 1"}
