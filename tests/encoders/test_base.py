import pytest
import torch

from pyg_advinfonce.encoders import Encoder


def test_an_encoder_without_tensors_is_on_the_cpu():
    assert Encoder().device == torch.device("cpu")


@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_an_encoder_is_where_its_tensors_are(kind):
    encoder = Encoder()
    if kind == "buffer":
        encoder.register_buffer("count", torch.zeros(3, device="meta"))
    else:
        encoder.register_buffer("count", torch.zeros(3))
        encoder.table = torch.nn.Parameter(torch.zeros(3, device="meta"))
    assert encoder.device == torch.device("meta")
