import pytest
import torch
from torch import nn

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training.checkpoint import load_weights, save_weights
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
