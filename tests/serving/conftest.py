import pytest

from pyg_advinfonce.graph import ITEM, USER, build_graph
from pyg_advinfonce.losses import BPR, InfoNCE
from pyg_advinfonce.methods import lightgcn
from pyg_advinfonce.transforms import BipartiteNorm
from tests import cases


@pytest.fixture
def make():
    """Build an untrained LightGCN, of the toy graph by default."""

    def build(graph, *, cosine=False, num_layers=2):
        loss = InfoNCE() if cosine else BPR()
        return lightgcn.build_lightgcn(graph, loss, dim=4, num_layers=num_layers)

    return build


@pytest.fixture
def named_graph():
    """The toy graph with integer users, textual items and three that are no items."""
    mask = cases.pairs(*cases.TRAIN).new_ones(cases.NUM_ITEMS).bool()
    mask[[1, 3, 11]] = False
    graph = build_graph(
        cases.pairs(*cases.TRAIN),
        num_users=cases.NUM_USERS,
        num_items=cases.NUM_ITEMS,
        candidate_mask=mask,
        user_ids=100 + cases.pairs(*cases.TRAIN).new_ones(cases.NUM_USERS).cumsum(0),
        item_ids=[f"=i{row}" for row in range(cases.NUM_ITEMS)],
    )
    assert {USER, ITEM} == set(graph.node_types)
    return BipartiteNorm()(graph)
