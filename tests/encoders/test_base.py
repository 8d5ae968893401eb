import pytest
import torch

from pyg_advinfonce.encoders import CustomEncoder, Encoder
from pyg_advinfonce.errors import ConfigError


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


def test_a_custom_model_that_encodes_no_other_tables_says_so(graph):
    encoder, table = CustomEncoder(torch.nn.Identity()), torch.zeros(1, 1)
    with pytest.raises(ConfigError, match="model Identity has no method propagate"):
        encoder.propagate(table, table, graph)
