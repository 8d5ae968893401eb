import torch

from pyg_advinfonce.encoders import UltraGCN
from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.table_l2 import TableL2
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, toy_batch


def test_it_is_half_the_squared_norm_of_whole_tables_and_the_gradient_the_tables(graph):
    encoder = UltraGCN(NUM_USERS, NUM_ITEMS, DIM, std=1.0).double()
    penalty = TableL2()(Step(encoder, graph, toy_batch(1), 0, 0))
    penalty.backward()
    values = [v for table in (encoder.user, encoder.item) for v in table.view(-1)]
    torch.testing.assert_close(penalty, sum(v * v for v in values) / 2)
    assert torch.equal(encoder.user.grad, encoder.user)
    assert torch.equal(encoder.item.grad, encoder.item)
