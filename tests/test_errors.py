import sys

import pytest
import torch

from pyg_advinfonce.errors import (
    MissingExtraError,
    counted,
    is_out_of_memory,
    optional_package,
)


def test_what_torch_raises_for_lack_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 3 GiB"), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("tau must be positive"), False),
    ],
)
def test_other_errors_are_told_apart(error, expected):
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    ("name", "source"),
    [("faiss", r"'pyg-advinfonce\[ann\]'"), ("pyarrow.parquet", r"'.*\[data\]'")],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name, source):
    monkeypatch.setitem(sys.modules, name.partition(".")[0], None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(MissingExtraError, match=rf"pip install {source}$"):
        optional_package(name)


def test_any_missing_package_can_be_installed():
    with pytest.raises(MissingExtraError, match=r"pip install nowhere_at_all$"):
        optional_package("nowhere_at_all.part")


def test_a_package_that_lacks_another_is_not_called_missing(monkeypatch, tmp_path):
    tmp_path.joinpath("half.py").write_text("import nowhere_at_all\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all") as error:
        optional_package("half")
    assert not isinstance(error.value, MissingExtraError)


def test_one_of_a_thing_is_singular():
    assert [counted(n, "user") for n in (0, 1, 2000)] == [
        *("0 users", "1 user", "2,000 users"),
    ]
    assert [counted(n, "user has", "users have") for n in (1, 2)] == [
        *("1 user has", "2 users have"),
    ]
