import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData
from torch_geometric.transforms import ToSparseTensor, ToUndirected

from pyg_advinfonce.datasets import as_dataset, load_dataset
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning, GraphError
from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    build_graph,
    check_graph,
    split_edges,
    split_type,
)

TRAIN = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]


def pairs(found):
    return torch.tensor(found).t().reshape(2, -1)


def make_graph(train=TRAIN, **splits):
    splits = {"valid": [(0, 2), (1, 0)], "test": [(2, 0), (0, 3)]} | splits
    given = {name: pairs(found) for name, found in splits.items()}
    return build_graph(pairs(train), num_users=3, num_items=4, splits=given)


def plain_graph(train=TRAIN):
    """A graph as a user of PyG makes it, without functions of this library."""
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 4
    graph["user", "interacts", "item"].edge_index = pairs(train)
    graph = ToUndirected()(graph)
    graph["user", "valid", "item"].edge_label_index = pairs([(1, 0), (0, 2)])
    graph["user", "test", "item"].edge_label_index = pairs([(2, 0), (0, 3)])
    return graph


def test_a_graph_is_a_data_set():
    dataset = as_dataset(make_graph())
    assert dataset.fingerprint.startswith(
        "graph: 3 users, 4 items, train 5, valid 2, test 2, sha256 "
    )
    assert dataset.summary()["pairs"] == {"train": 5, "valid": 2, "test": 2}
    check_graph(dataset.graph)
    assert as_dataset(dataset) is dataset


def test_the_graph_of_a_data_set_has_its_hash():
    dataset = load_dataset("simulated")
    again = as_dataset(dataset.graph)
    assert again.fingerprint.split(": ")[1] == dataset.fingerprint.split(": ")[1]
    for name in ("train", "valid", "test"):
        assert split_edges(again.graph, name).equal(split_edges(dataset.graph, name))


@given(st.permutations(TRAIN), st.permutations(TRAIN), st.booleans())
def test_the_order_and_the_form_of_edges_change_nothing(train, backward, is_int32):
    expected = as_dataset(make_graph())
    graph = plain_graph(train)
    graph[REV_INTERACTS].edge_index = pairs(backward).flip(0)
    if is_int32:
        graph[split_type("test")].edge_label_index = pairs([(2, 0), (0, 3)]).int()
    found = as_dataset(graph)
    assert found.fingerprint == expected.fingerprint
    for kind in (INTERACTS, REV_INTERACTS):
        index = found.graph[kind].edge_index
        assert index.equal(expected.graph[kind].edge_index)


def test_a_sparse_graph_is_the_same_and_nothing_is_written_into_it():
    graph = ToSparseTensor(attr=None, layout=torch.sparse_csr)(make_graph())
    before = graph.to_dict()
    assert as_dataset(graph).fingerprint == as_dataset(make_graph()).fingerprint
    assert "adj_t" in graph[INTERACTS]
    assert graph.to_dict().keys() == before.keys()


@pytest.mark.parametrize(
    "other",
    [
        make_graph([*TRAIN[:-1], (2, 2)]),
        make_graph(valid=[(0, 2), (1, 3)]),
        build_graph(
            pairs(TRAIN),
            num_users=3,
            num_items=5,
            splits={"valid": pairs([(0, 2), (1, 0)]), "test": pairs([(2, 0), (0, 3)])},
        ),
    ],
)
def test_other_content_is_another_fingerprint(other):
    assert as_dataset(other).fingerprint != as_dataset(make_graph()).fingerprint


def test_names_are_no_content_but_features_are():
    named, featured, changed = make_graph(), make_graph(), make_graph()
    named[USER].raw_id = ["a", "b", "c"]
    assert as_dataset(named).fingerprint == as_dataset(make_graph()).fingerprint
    featured[ITEM].x, changed[ITEM].x = torch.zeros(4, 2), torch.ones(4, 2)
    prints = {as_dataset(g).fingerprint for g in (named, featured, changed)}
    assert len(prints) == 3
    assert as_dataset(featured).graph[ITEM].x.shape == (4, 2)


def test_what_belongs_to_an_edge_moves_with_it():
    graph = plain_graph([*reversed(TRAIN)])
    graph[INTERACTS].edge_attr = torch.tensor([[5.0], [4.0], [3.0], [2.0], [1.0]])
    found = as_dataset(graph).graph[INTERACTS]
    assert found.edge_index.t().tolist() == [list(pair) for pair in TRAIN]
    assert found.edge_attr.flatten().tolist() == [1, 2, 3, 4, 5]
    assert graph[INTERACTS].edge_attr[0] == 5


def lacks_reverse(graph):
    del graph[REV_INTERACTS]


def lacks_valid(graph):
    del graph[split_type("valid")]


def has_edges_for_labels(graph):
    edges = graph[split_type("valid")]
    edges.edge_index = edges.pop("edge_label_index")


def has_an_empty_split(graph):
    graph[split_type("test")].edge_label_index = torch.zeros(2, 0).long()


def repeats_a_pair(graph):
    graph[split_type("valid")].edge_label_index = pairs([(0, 2), (1, 0), (0, 2)])


def has_float_pairs(graph):
    graph[split_type("test")].edge_label_index = pairs([(0, 2)]).float()


def has_a_large_item(graph):
    graph[split_type("test")].edge_label_index = pairs([(0, 4)])


def has_nan(graph):
    graph[USER].x = torch.tensor([[1.0], [float("nan")], [0.0]])


def has_infinite_edges(graph):
    graph[INTERACTS].edge_attr = torch.full((5,), float("inf"))


def has_few_ids(graph):
    graph[ITEM].raw_id = ["a", "b"]


def has_an_integer_mask(graph):
    graph[ITEM].candidate_mask = torch.ones(4).long()


FAULTS = [
    (lacks_reverse, r"no edges \('item', 'rev_interacts', 'user'\).*ToUndirected"),
    (
        lacks_valid,
        r"no split 'valid', .* graph\[\('user', 'valid', 'item'\)\].edge_label",
    ),
    (has_edges_for_labels, "no split 'valid'"),
    (has_an_empty_split, r"split 'test' must have pairs \(got none\)"),
    (repeats_a_pair, "split 'valid' holds a pair twice: apply .*coalesce"),
    (has_float_pairs, r"split 'test' must hold integers \(got torch.float32\)"),
    (has_a_large_item, "split 'test' has item index 4, but the graph has 4 items"),
    (has_nan, "x of user holds NaN or infinite values"),
    (has_infinite_edges, r"edge_attr of \('user', 'interacts', 'item'\) holds NaN"),
    (has_few_ids, "raw_id of node type 'item' must be"),
    (has_an_integer_mask, "candidate_mask must be bool"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS)
def test_a_fault_is_named(damage, message):
    graph = make_graph()
    damage(graph)
    with pytest.raises(GraphError, match=message):
        as_dataset(graph)


def test_a_graph_without_train_edges():
    with pytest.raises(GraphError, match="split 'train' must have pairs"):
        as_dataset(make_graph([]))


def test_a_test_split_is_not_needed():
    graph = make_graph()
    del graph[split_type("test")]
    assert as_dataset(graph).summary()["pairs"] == {"train": 5, "valid": 2}


def test_cold_users_and_overlaps_are_treated_as_in_files():
    with pytest.warns(DataWarning, match="1 user of test has no train pair"):
        dataset = as_dataset(make_graph(TRAIN[:4]))
    assert split_edges(dataset.graph, "test").t().tolist() == [[0, 3]]
    with pytest.warns(DataWarning, match="graph: 1 pair of train is also in test"):
        as_dataset(make_graph(test=[(0, 0), (0, 3)]))
    with pytest.raises(DataError, match="no user of test has a train pair"):
        as_dataset(make_graph(TRAIN[:4], test=[(2, 0)]))


@pytest.mark.parametrize("data", ["coat", pd.DataFrame(), None])
def test_what_is_no_data_set(data):
    with pytest.raises(ConfigError, match="expected a data set"):
        as_dataset(data)
