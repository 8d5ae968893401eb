import pytest
import torch
from torch_geometric.data import Data

from pyg_advinfonce.transforms import RandomLinks

NUM_NODES = 30
KEPT = {(3, 4), (4, 3)}


def sparse(*pool):
    mask = torch.zeros(NUM_NODES, dtype=torch.bool)
    mask[list(pool)] = True
    edges = torch.tensor(sorted(KEPT)).t()
    return Data(edge_index=edges, num_nodes=NUM_NODES, pool_mask=mask)


def links_of(data):
    found = list(map(tuple, data.edge_index.t().tolist()))
    assert len(found) == len(set(found))
    return set(found)


LOOPS = {(i, i) for i in range(NUM_NODES)}


def test_links_join_the_pool_and_the_rest_stays():
    pool = {0, 5, 7, 12, 29}
    torch.manual_seed(0)
    links = links_of(RandomLinks(500, extra=0.0)(sparse(*pool)))
    assert links >= KEPT | LOOPS
    drawn = links - KEPT - LOOPS
    assert drawn == {(i, j) for i in pool for j in pool if i != j}


def test_links_run_both_ways_and_draws_are_counted():
    torch.manual_seed(0)
    links = links_of(RandomLinks(4, extra=0.0)(sparse(*range(NUM_NODES))))
    assert links == {(j, i) for i, j in links}
    assert 0 < len(links - KEPT - LOOPS) <= 8


def test_a_share_of_all_nodes_joins_the_pool():
    torch.manual_seed(0)
    links = links_of(RandomLinks(10_000, extra=0.2)(sparse(0)))
    touched = {i for i, j in links - KEPT - LOOPS}
    assert 0 in touched
    assert 3 <= len(touched) <= 7  # six draws with replacement, and node 0


def test_an_empty_pool_has_no_links():
    assert links_of(RandomLinks(100, extra=0.0)(sparse())) == KEPT | LOOPS


@pytest.mark.parametrize("arguments", [(-1, 0.2), (3, -0.1), (3, 1.1)])
def test_impossible_arguments(arguments):
    with pytest.raises(ValueError, match="num_pairs must not be negative, extra must"):
        RandomLinks(*arguments)
