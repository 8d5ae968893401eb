import pytest
import torch
import torch_geometric.transforms as T  # noqa: N812

from pyg_advinfonce.graph import INTERACTS
from pyg_advinfonce.transforms import BipartiteNorm, RandomWalkDrop
from tests.cases import TRAIN
from tests.transforms.test_edge_drop import edges_of


def test_each_layer_has_a_graph_of_its_own(graph):
    torch.manual_seed(0)
    views = RandomWalkDrop(0.25, 4)(graph)
    assert [view[INTERACTS].edge_index.size(1) for view in views] == [18] * 4
    assert len({frozenset(edges_of(view)) for view in views}) == 4
    assert edges_of(graph) == set(TRAIN)


def test_composes_with_the_normalisation(graph):
    views = T.Compose([RandomWalkDrop(0.25, 2), BipartiteNorm()])(graph)
    for view in views:
        expected = BipartiteNorm()(view)[INTERACTS].edge_weight
        assert torch.equal(view[INTERACTS].edge_weight, expected)
        assert view[INTERACTS].edge_weight.shape == (18,)


def test_impossible_options_and_a_name():
    assert repr(RandomWalkDrop(0.2, 3)) == "RandomWalkDrop(0.2, 3)"
    with pytest.raises(ValueError, match=r"num_layers must be positive \(got 0\)"):
        RandomWalkDrop(0.2, 0)
    with pytest.raises(ValueError, match=r"drop must be in \[0, 1\) \(got 1\.5\)"):
        RandomWalkDrop(1.5, 2)
