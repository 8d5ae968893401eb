"""Data from outside: JSON against a schema, options against a signature."""

import json
import math
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from pyg_advinfonce.errors import CheckpointError, ConfigError, DataError, GraphError
from pyg_advinfonce.schema import (
    MOST,
    Count,
    FileData,
    Number,
    Real,
    check_options,
    check_values,
    naming,
    parse_json,
    read_json,
)


class Sample(FileData):
    """A file with every kind of value."""

    number: Number
    count: Count
    real: Real = 0.0
    names: dict[str, list[str]] = Field(default_factory=dict)


WHOLE = {"number": 1, "count": 2, "names": {"a": ["b"]}}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_a_file_is_read_and_what_it_has_besides_is_ignored(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps(WHOLE | {"later": [None]}))
    found = read_json(file, Sample)
    assert found == Sample(number=1.0, count=2, names={"a": ["b"]})
    assert not hasattr(found, "later")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON: EOF"),
        ("[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        ("[]", "expected a JSON object"),
        ("{}", "it has no 'number'"),
        ('{"number": NaN, "count": 2}', "number: input should be"),
        ('{"number": 1e101, "count": 2}', "number: input should be less than"),
        ('{"number": true, "count": 2}', "number: input should be a valid number"),
        ('{"number": "1", "count": 2}', r"number: .* \(got '1'\)"),
        ('{"number": 1, "count": -1}', "count: input should be greater than"),
        ('{"number": 1, "count": 2.0}', "count: input should be a valid integer"),
        (
            '{"number": 1, "count": ' + "9" * 5000 + "}",
            "Invalid JSON: number out of range",
        ),
        ('{"number": 1, "count": 2, "names": {"a": [3]}}', r"names\.a\.0: "),
        ('{"number": 1, "count": 2, "names": {"a": ["\\ud800"]}}', "Invalid JSON"),
    ],
)
def test_damage_is_one_line_with_file_and_key(tmp_path, text, said):
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(CheckpointError) as error:
        read_json(file, Sample)
    assert re.match(rf"{file} is damaged: {said}", str(error.value))
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_and_a_missing_file(tmp_path):
    (tmp_path / "x").write_bytes(b'{"number": "\xff\xfe"}')
    with pytest.raises(DataError, match="is damaged: "):
        read_json(tmp_path / "x", Sample, DataError)
    for name in ("y", "\0"):
        with pytest.raises(ConfigError, match=r"no such file|null byte"):
            read_json(tmp_path / name, Sample, ConfigError)


def test_a_real_may_be_infinite():
    found = parse_json("x", '{"number": 1, "count": 2, "real": -Infinity}', Sample)
    assert found.real == -math.inf


@given(
    st.fixed_dictionaries(
        {"number": VALUES, "count": VALUES}, optional={"real": VALUES, "names": VALUES}
    )
)
def test_whatever_is_read_keeps_the_promises_of_the_schema(values):
    with suppress(CheckpointError):
        found = check_values("x", values, Sample)
        assert abs(found.number) <= MOST
        assert type(found.count) is int
        assert found.count >= 0
        assert all(isinstance(v, str) for texts in found.names.values() for v in texts)
        assert float(found.count) == found.count


def target(required: int, width: int = 1, rate: float = 0.5, *, name: str = "x"):
    if width < 1:
        raise ValueError(f"width must be positive (got {width})")


def test_options_are_keyword_arguments():
    options = {"width": 3, "rate": 1, "name": "y"}
    assert check_options("part", [target], options) == options
    assert check_options("part", [target], {}) == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widht": 3}, "unknown key 'part.widht', did you mean 'part.width'"),
        (
            {"required": 3},
            r"unknown key 'part.required'; \[part\] has width, rate, name",
        ),
        ({"width": 1.5}, r"part.width: .*\(got 1.5\)"),
        ({"width": "3"}, "part.width: "),
        ({"width": None}, "part.width: "),
        ({"rate": "fast"}, "part.rate: "),
        ({"name": 3}, "part.name: "),
    ],
)
def test_options_are_checked_by_name_and_type(options, said):
    with pytest.raises(ConfigError, match=said):
        check_options("part", [target], options)


def test_what_is_given_elsewhere_is_no_option():
    with pytest.raises(ConfigError, match=r"'part.width'; \[part\] has rate, name"):
        check_options("part", [target], {"width": 3}, given=["width"])


def test_a_constructor_s_complaint_names_the_key():
    with pytest.raises(ConfigError, match=r"^part\.width must be positive \(got 0\)$"):  # noqa: SIM117
        with naming("part", target):
            target(1, width=0)


def test_other_complaints_name_the_section():
    with (
        pytest.raises(ConfigError, match=r"^part: all is wrong$"),
        naming("part", target),
    ):
        raise ValueError("all is wrong")


def test_our_own_errors_pass():
    with pytest.raises(GraphError, match=r"^width$"), naming("part", target):
        raise GraphError("width")


def test_keys_of_custom_code_have_the_types_that_it_says():
    class Own:
        pass

    def build(graph, dim: int = 3, own: Own | None = None, *, free=None, _hidden=1):
        pass

    assert check_options("model", [build], {"dim": 4, "free": [1]}) == {
        "dim": 4,
        "free": [1],
    }
    for options, said in [
        ({"dim": "4"}, r"^model.dim: input should be a valid integer"),
        ({"own": 3}, r"^model.own: "),
        ({"_hidden": 3}, r"^unknown key 'model._hidden'"),
        ({"graph": 3}, r"^unknown key 'model.graph'"),
    ]:
        with pytest.raises(ConfigError, match=said):
            check_options("model", [build], options)


@pytest.mark.parametrize("hint", ["Missing", "torch.Missing", "int[", "3 | 'x'"])
def test_a_hint_that_only_a_type_checker_reads_is_no_bound(hint):
    def build(graph, dim=3):
        pass

    build.__annotations__["dim"] = hint
    assert check_options("model", [build], {"dim": "4"}) == {"dim": "4"}
