import errno
import math
import stat

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training import (
    load_weights,
    read_tensors,
    save_weights,
    write_tensors,
)
from pyg_advinfonce.training.checkpoint import KEY
from tests.cases import PAIRS, find, pair_name


@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_a_method_comes_back_bit_for_bit(tmp_path, graph, model, case):
    method, other = case.method(model), case.method(model)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1.0)
    save_weights(method, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    pairs = zip(method.embed(graph), other.embed(graph), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    for name, value in method.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_nothing_but_the_file_is_left(tmp_path):
    save_weights(nn.Linear(2, 3), tmp_path / "w.safetensors")
    save_weights(nn.Linear(2, 3), tmp_path / "w.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_that_are_not_contiguous(tmp_path):
    module = nn.Linear(2, 3)
    module.weight = nn.Parameter(torch.arange(6.0).view(2, 3).t())
    save_weights(module, tmp_path / "w.safetensors")
    other = nn.Linear(2, 3)
    load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(other.weight, module.weight)


def test_weights_of_another_model(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(find("adv").method(), path)
    for other in (find("bpr").method(), nn.Linear(2, 3)):
        with pytest.raises(CheckpointError, match="weights of another model: ") as info:
            load_weights(other, path)
        assert "\n" not in str(info.value)


TENSORS = {
    "matrix": torch.arange(6.0).view(2, 3).t(),
    "scalar": torch.tensor(2.0, dtype=torch.float64),
    "empty": torch.empty(0, 3),
    "mask": torch.tensor([True, False]),
    "half": torch.ones(2, dtype=torch.bfloat16),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, {"epoch": 3, "loss": math.inf})
    return path


def test_tensors_and_words_come_back(file):
    tensors, about = read_tensors(file)
    assert about == {"epoch": 3, "loss": math.inf}
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_a_file_is_as_readable_as_others(file):
    file.with_name("other").touch()
    assert stat.filemode(file.stat().st_mode) == stat.filemode(
        file.with_name("other").stat().st_mode
    )


def test_every_flipped_bit_is_found(file):
    whole = file.read_bytes()
    (length,) = memoryview(whole[:8]).cast("Q")
    places = [4, *range(8, 8 + length, 7), 8 + length, len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"x\.safetensors: "):
            read_tensors(file)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_truncated_file(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_tensors(file)


def test_a_header_that_claims_to_be_huge(file):
    file.write_bytes(b"\xff" * 7 + b"\x7f" + b"{}")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_tensors(file)


def test_a_pickle_is_never_opened(tmp_path):
    class Payload:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    file = tmp_path / "x.safetensors"
    torch.save({"weight": Payload()}, file)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_tensors(file)
    assert not (tmp_path / "ran").exists()


def test_a_file_of_somebody_else_s(tmp_path):
    file = tmp_path / "x.safetensors"
    save_file({"weight": torch.ones(2)}, file)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        read_tensors(file)


@pytest.mark.parametrize(
    "words", ["[" * 100_000, "3", '{"about": 5, "sha256": ""}', '{"sha256": ""}', "{"]
)
def test_words_of_somebody_else_s(tmp_path, words):
    file = tmp_path / "x.safetensors"
    save_file({"weight": torch.ones(2)}, file, {KEY: words})
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        read_tensors(file)


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="none: cannot be read"):
        read_tensors(tmp_path / "none")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(file, monkeypatch):
    def fail(path, content):
        with path.open("wb") as half:
            half.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_tensors(file, {"matrix": torch.zeros(3)})
    assert torch.equal(read_tensors(file)[0]["matrix"], TENSORS["matrix"])
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_words_are_part_of_what_is_checked(file):
    damaged = file.read_bytes().replace(b": 3, ", b": 4, ")
    assert damaged != file.read_bytes()
    file.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(file)


def test_weights_of_another_type_are_refused(tmp_path):
    module = nn.Linear(2, 3)
    save_weights(nn.Linear(2, 3).double(), tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"weight must be torch.float32 \(got"):
        load_weights(module, tmp_path / "w")
