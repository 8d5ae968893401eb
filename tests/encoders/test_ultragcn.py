import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import UltraGCN
from pyg_advinfonce.graph import ITEM, USER
from tests.cases import DIM, NUM_ITEMS, NUM_USERS


def ultra_gcn(**options):
    torch.manual_seed(0)
    return UltraGCN(NUM_USERS, NUM_ITEMS, DIM, **options)


def test_embeddings_are_the_tables_in_any_mode(graph):
    encoder = ultra_gcn()
    for perturb in (None, True, False):
        z = encoder(graph, perturb=perturb)
        assert z.user is encoder.user
        assert z.item is encoder.item
        assert len(z.layers) == 1
        assert all(a is b for a, b in zip(z.layers[0], (z.user, z.item), strict=True))
    assert encoder([]).user is encoder.user


def test_a_sampled_graph_reads_the_rows_of_its_nodes():
    encoder, local = ultra_gcn(), HeteroData()
    local[USER].n_id, local[ITEM].n_id = torch.tensor([4, 2]), torch.tensor([7])
    z = encoder(local)
    assert torch.equal(z.user, encoder.user[[4, 2]])
    assert torch.equal(z.item, encoder.item[[7]])


@pytest.mark.parametrize("std", [1e-4, 0.1])
def test_tables_start_normal_and_small(std):
    torch.manual_seed(0)
    encoder = UltraGCN(2000, 500, 64, std=std)
    for table in (encoder.user, encoder.item):
        assert table.std().item() == pytest.approx(std, rel=0.02)
        assert table.mean().item() == pytest.approx(0, abs=0.02 * std)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, r"^dim must be positive \(got 0\)"),
        ({"std": 0.0}, r"^std must be positive \(got 0.0\)"),
        ({"std": float("nan")}, r"^std must be positive \(got nan\)"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        UltraGCN(3, 4, **options)
