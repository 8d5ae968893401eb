import copy
import gc
import weakref

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T  # noqa: N812
from torch import nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import SAGEConv, to_hetero

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    TensorCache,
    build_graph,
    check_graph,
    degree_rank,
    is_among,
    message_graph,
    num_nodes,
    ragged_places,
    seen_pairs,
    split_edges,
    split_names,
    split_type,
    train_degrees,
)
from pyg_advinfonce.keys import MAX_ROWS, pair_keys
from tests.cases import NUM_ITEMS, NUM_USERS, TEST, TRAIN, VALID, pairs


def small(**options):
    options = {"num_users": 2, "num_items": 3, **options}
    return build_graph(pairs((0, 0), (0, 2), (1, 1)), **options)


@pytest.mark.parametrize("numbers", [torch.tensor, np.array])
def test_which_pairs_are_among_others(numbers):
    known = pair_keys(numbers([0, 2, 2]), numbers([5, 0, 7]))
    asked = pair_keys(numbers([[0], [2], [3]]), numbers([[5, 7], [7, 8], [5, 7]]))
    found = [[True, False], [True, False], [False, False]]
    assert is_among(asked, known).tolist() == found
    assert is_among(asked, known[:0]).tolist() == [[False] * 2] * 3
    assert is_among(asked[:0], known).tolist() == []


@pytest.mark.parametrize("size", ["num_users", "num_items"])
def test_more_nodes_than_a_pair_of_numbers_can_tell_apart_are_refused(size):
    small(**{size: MAX_ROWS})
    with pytest.raises(GraphError, match=r"at most 2\*\*31 (user|item)s \(got 2147"):
        small(**{size: MAX_ROWS + 1})


def test_both_directions_hold_the_train_edges(graph):
    assert graph[INTERACTS].edge_index.tolist() == pairs(*TRAIN).unique(dim=1).tolist()
    backward = graph[REV_INTERACTS].edge_index
    assert torch.equal(backward, graph[INTERACTS].edge_index.flip(0))
    assert num_nodes(graph) == (NUM_USERS, NUM_ITEMS)


def test_duplicates_are_merged_and_sorted():
    graph = build_graph(pairs((1, 1), (0, 2), (1, 1), (0, 0)), num_users=2, num_items=3)
    assert graph[INTERACTS].edge_index.tolist() == [[0, 0, 1], [0, 2, 1]]


def test_any_integer_type_is_widened():
    graph = build_graph(pairs((0, 1)).to(torch.int16), num_users=1, num_items=2)
    assert graph[INTERACTS].edge_index.dtype == torch.long


def test_splits_carry_labels_and_no_message(graph):
    assert split_names(graph) == ["valid", "test"]
    for name, edges in (("valid", VALID), ("test", TEST)):
        assert split_edges(graph, name).t().tolist() == sorted(map(list, edges))
        assert "edge_index" not in graph[split_type(name)]
    assert set(graph.edge_index_dict) == {INTERACTS, REV_INTERACTS}


def test_train_is_a_split_by_name(graph):
    assert split_edges(graph, "train") is graph[INTERACTS].edge_index


def test_an_unknown_split_is_an_error_that_names_the_others(graph):
    with pytest.raises(GraphError, match=r"no split 'tset': .* train, valid, test"):
        split_edges(graph, "tset")


def test_extras_are_kept():
    graph = small(
        candidate_mask=torch.tensor([1, 0, 1]),
        user_ids=("ann", "bob"),
        item_ids=torch.tensor([7, 8, 9]),
    )
    assert graph[ITEM].candidate_mask.tolist() == [True, False, True]
    assert graph[USER].raw_id == ["ann", "bob"]
    assert graph[ITEM].raw_id.tolist() == [7, 8, 9]


def test_a_graph_without_edges():
    graph = build_graph(pairs(), num_users=2, num_items=2)
    assert split_edges(graph, "train").shape == (2, 0)


def test_to_undirected_leaves_splits_alone(graph):
    del graph[REV_INTERACTS]
    undirected = T.ToUndirected()(graph)
    check_graph(undirected)
    assert split_names(undirected) == ["valid", "test"]
    assert len(undirected.edge_types) == 4
    assert split_edges(undirected, "test").t().tolist() == sorted(map(list, TEST))


def test_message_graph_hides_the_splits_and_leaves_the_graph_alone(graph):
    view = message_graph(graph)
    assert view.edge_types == [INTERACTS, REV_INTERACTS]
    assert view[INTERACTS].edge_index is graph[INTERACTS].edge_index
    assert split_names(graph) == ["valid", "test"]


def test_message_graph_hides_ids_that_no_loader_can_sample(graph):
    graph["user"].raw_id = [f"user {row}" for row in range(graph["user"].num_nodes)]
    graph["item"].raw_id = torch.arange(graph["item"].num_nodes)
    view = message_graph(graph)
    assert "raw_id" not in view["user"]
    assert "raw_id" in view["item"]
    assert "raw_id" in graph["user"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = SAGEConv((-1, -1), 3)

    def forward(self, x, edge_index):
        return self.conv(x, edge_index)


def test_message_graph_suits_to_hetero(graph):
    view = message_graph(graph)
    net = to_hetero(Net(), view.metadata())
    x = {USER: torch.randn(NUM_USERS, 4), ITEM: torch.randn(NUM_ITEMS, 5)}
    out = net(x, view.edge_index_dict)
    assert {k: tuple(v.shape) for k, v in out.items()} == {
        USER: (NUM_USERS, 3),
        ITEM: (NUM_ITEMS, 3),
    }


# What a graph may have wrong, and what the message must say.
def lacks_nodes(graph):
    del graph[USER]["num_nodes"]


def lacks_forward(graph):
    del graph[INTERACTS]


def lacks_backward(graph):
    del graph[REV_INTERACTS]


def lacks_backward_edges(graph):
    del graph[REV_INTERACTS]["edge_index"]


def differs_backward(graph):
    graph[REV_INTERACTS].edge_index = pairs((0, 0), (2, 0), (2, 1))


def is_longer_backward(graph):
    graph[REV_INTERACTS].edge_index = pairs((0, 0), (2, 0), (1, 1), (2, 1))


def is_flat(graph):
    graph[split_type("valid")].edge_label_index = torch.tensor([0, 1])


def is_transposed(graph):
    graph[split_type("valid")].edge_label_index = torch.zeros(4, 2).long()


def is_float(graph):
    graph[split_type("valid")].edge_label_index = torch.zeros(2, 1)


def is_bool(graph):
    graph[split_type("valid")].edge_label_index = torch.zeros(2, 1).bool()


def is_negative(graph):
    graph[split_type("valid")].edge_label_index = pairs((0, -1))


def has_a_large_user(graph):
    graph[split_type("valid")].edge_label_index = pairs((2, 0))


def has_a_large_item(graph):
    graph[split_type("valid")].edge_label_index = pairs((0, 1), (0, 3))


def has_a_large_train_item(graph):
    graph[INTERACTS].edge_index = pairs((0, 5))
    graph[REV_INTERACTS].edge_index = pairs((5, 0))


def has_short_candidates(graph):
    graph[ITEM].candidate_mask = torch.ones(2).bool()


def has_integer_candidates(graph):
    graph[ITEM].candidate_mask = torch.ones(3).long()


def has_no_candidates(graph):
    graph[ITEM].candidate_mask = torch.zeros(3).bool()


def has_short_ids(graph):
    graph[ITEM].raw_id = torch.arange(2)


def has_float_ids(graph):
    graph[USER].raw_id = torch.ones(2)


def has_ids_of_two_kinds(graph):
    graph[USER].raw_id = ["ann", 2]


def has_few_names(graph):
    graph[USER].raw_id = ["ann"]


FAULTS = [
    (has_short_ids, r"raw_id of node type 'item' must be .* item, 3 \(got .*\(2,\)\)"),
    (has_float_ids, r"raw_id of node type 'user' .* int64 .*torch.float32"),
    (has_ids_of_two_kinds, r"raw_id of node type 'user' .*got list of other values"),
    (has_few_names, r"one per user, 2 \(got 1 strings\)"),
    (lacks_nodes, "num_nodes of node type 'user' must be set"),
    (lacks_forward, r"no edges \('user', 'interacts', 'item'\), but messages need"),
    (lacks_backward, r"no edges \('item', 'rev_interacts', 'user'\).*ToUndirected"),
    (lacks_backward_edges, r"no edges \('item', 'rev_interacts', 'user'\)"),
    (differs_backward, "must hold the edges of .*, flipped"),
    (is_longer_backward, "must hold the edges of .*, flipped"),
    (is_flat, r"split 'valid' must have shape \[2, E\] \(got \(2,\)\)"),
    (is_transposed, r"split 'valid' must have shape \[2, E\] \(got \(4, 2\)\)"),
    (is_float, r"split 'valid' must hold integers \(got torch.float32\)"),
    (is_bool, r"split 'valid' must hold integers \(got torch.bool\)"),
    (is_negative, "split 'valid' has a negative item index"),
    (has_a_large_user, "split 'valid' has user index 2, but the graph has 2 users"),
    (has_a_large_item, "split 'valid' has item index 3, but the graph has 3 items"),
    (has_a_large_train_item, "split 'train' has item index 5, but the graph has 3"),
    (has_short_candidates, r"candidate_mask must be bool of shape \[3\] .*\(2,\)"),
    (has_integer_candidates, "candidate_mask must be bool .*int64"),
    (has_no_candidates, "candidate_mask must be True for at least one item"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS)
# Without num_nodes PyG guesses the number, and says so.
@pytest.mark.filterwarnings("ignore:Unable to accurately infer:UserWarning")
def test_check_graph_names_the_fault(damage, message):
    graph = small(splits={"valid": pairs((0, 1))})
    check_graph(graph)
    damage(graph)
    with pytest.raises(GraphError, match=message):
        check_graph(graph)


def test_build_graph_checks():
    with pytest.raises(GraphError, match="split 'train' has user index 4"):
        build_graph(pairs((4, 0)), num_users=4, num_items=1)


def test_directions_may_hold_the_edges_in_another_order():
    graph = small()
    graph[REV_INTERACTS].edge_index = graph[REV_INTERACTS].edge_index[:, [2, 0, 1]]
    check_graph(graph)


def test_empty_splits_and_no_splits_pass():
    check_graph(small(splits={"valid": pairs()}))
    check_graph(small())


def test_repeated_train_edges_are_refused():
    """The sampler and the normalisation would count them twice."""
    graph = HeteroData()
    graph[USER].num_nodes, graph[ITEM].num_nodes = 1, 10
    graph[INTERACTS].edge_index = pairs((0, 5), (0, 5))
    graph[REV_INTERACTS].edge_index = pairs((5, 0), (5, 0))
    with pytest.raises(GraphError):
        check_graph(graph)


def test_degrees_of_the_train_edges(graph):
    user, item = train_degrees(graph)
    assert user.tolist() == [3, 3, 2, 4, 2, 3, 2, 5, 0]
    assert item.tolist() == [4, 3, 2, 2, 2, 2, 2, 2, 1, 2, 2, 0]


@pytest.mark.parametrize(
    ("count", "rank"),
    [
        ([3, 1, 7, 3, 0], [1, 0, 2, 1, 0]),  # nobody's item ranks with the rarest
        ([0, 0], [0, 0]),
        ([5], [0]),
    ],
)
def test_dense_rank_of_degrees(count, rank):
    assert degree_rank(torch.tensor(count)).tolist() == rank


class Made:
    """A value that can be told from others and referred to weakly."""


def test_a_value_is_made_once_of_the_same_tensors():
    cache, x, y = TensorCache(), torch.zeros(2), torch.zeros(2)
    value = cache([x, y], Made)
    assert cache([x, y], Made) is value
    assert cache([x, y.clone()], Made) is not value
    assert cache([x.clone(), y], Made) is not value


def test_values_of_the_same_tensors_are_told_apart_by_key():
    cache, x = TensorCache(), torch.zeros(2)
    one, two = cache([x], Made, 1), cache([x], Made, 2)
    assert one is not two
    assert (cache([x], Made, 1), cache([x], Made, 2)) == (one, two)


@pytest.mark.parametrize("changed", [0, 1])
def test_a_value_is_made_again_of_a_tensor_that_was_changed_in_place(changed):
    cache, tensors = TensorCache(), [torch.zeros(2), torch.zeros(2)]
    value = cache(tensors, Made)
    tensors[changed][0] = 1
    again = cache(tensors, Made)
    assert again is not value
    assert cache(tensors, Made) is again


def test_making_a_value_may_mark_the_tensors():
    cache, x = TensorCache(), torch.zeros(2)
    value = cache([x], lambda: (x.zero_(), Made())[1])
    assert cache([x], Made) is value


def test_tensors_of_inference_mode_have_values_too():
    with torch.inference_mode():
        x = torch.zeros(2)
    cache = TensorCache()
    assert cache([x], Made) is cache([x], Made)


def test_a_value_goes_with_its_first_tensor():
    cache, x, y = TensorCache(), torch.zeros(2), torch.zeros(2)
    of_x, of_y = (weakref.ref(cache([z, torch.ones(2)], Made)) for z in (x, y))
    del x
    gc.collect()
    assert of_x() is None
    assert of_y() is not None
    cache([y, torch.zeros(2)], Made)  # replaces what was made of y and the ones
    assert of_y() is None


def test_a_copy_of_a_cache_is_empty():
    cache, x = TensorCache(), torch.zeros(2)
    cache([x], lambda: "old")
    assert copy.deepcopy(cache)([x], lambda: "new") == "new"
    assert cache([x], lambda: "new") == "old"


def test_seen_pairs_are_no_split():
    train, valid = torch.tensor([[0, 1], [0, 1]]), torch.tensor([[1], [0]])
    seen = torch.tensor([[2, 0, 2, 1], [2, 2, 2, 0]])
    graph = build_graph(
        train, num_users=3, num_items=3, splits={"valid": valid}, seen=seen
    )
    assert split_names(graph) == ["valid"]
    everything = [[0, 0], [0, 2], [1, 0], [1, 1], [2, 2]]
    assert seen_pairs(graph).T.tolist() == everything
    assert seen_pairs(graph, "train").T.tolist() == [[0, 0], [1, 1]]
    assert seen_pairs(graph, "none").shape == (2, 0)
    assert set(message_graph(graph).edge_types) == {INTERACTS, REV_INTERACTS}
    with pytest.raises(GraphError, match="split 'seen' has user index 3"):
        build_graph(train, num_users=3, num_items=3, seen=seen + 1)


def split_by_pyg():
    graph = small(splits={"valid": pairs((0, 1))})
    graph[INTERACTS].edge_label_index = pairs((0, 0), (1, 2))
    return graph


def negatives_in_a_split():
    graph = small(splits={"valid": pairs((0, 1), (1, 0))})
    graph[split_type("valid")].edge_label = torch.tensor([1.0, 0.0])
    return graph


def a_split_in_a_list():
    graph = small()
    graph[split_type("valid")].edge_label_index = [1]
    return graph


def seen_edges_of_another_kind():
    graph = small()
    graph["user", "seen", "item"].edge_index = pairs((0, 1))
    return graph


def another_relation():
    graph = HeteroData()
    graph[USER].num_nodes, graph[ITEM].num_nodes = 2, 3
    graph[USER, "rates", ITEM].edge_index = pairs((0, 1))
    return graph


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (split_by_pyg, "must not have edge_label_index, as RandomLinkSplit makes it"),
        (negatives_in_a_split, "split 'valid' holds sampled negatives"),
        (a_split_in_a_list, r"split 'valid' must be a tensor \[2, E\] \(got list"),
        (seen_edges_of_another_kind, "must hold its pairs as edge_label_index"),
        (another_relation, r"'rates'.*give the relation of train edges this name"),
        (lambda: small(item_ids=["a", "b", "a"]), "must be distinct, 3 .got 2 dis"),
        (lambda: small(user_ids=torch.zeros(2).long()), "must be distinct, 2 .got 1"),
        (lambda: small(splits={"train": pairs((0, 1))}), "cannot be named 'train'"),
        (lambda: small(splits={"seen": pairs((0, 1))}), "cannot be named 'seen'"),
    ],
)
def test_edges_that_would_be_misread_are_refused(make, said):
    with pytest.raises(GraphError, match=said):
        check_graph(make())


def test_labels_of_other_relations_are_no_splits():
    graph = small(splits={"valid": pairs((0, 1))})
    graph["item", "like", "user"].edge_label_index = pairs((0, 1))
    check_graph(graph)
    assert split_names(graph) == ["valid"]


def test_places_of_ragged_rows():
    start, count = torch.tensor([4, 9, 0, 2]), torch.tensor([2, 0, 3, 1])
    row, place = ragged_places(start, count)
    assert row.tolist() == [0, 0, 2, 2, 2, 3]
    assert place.tolist() == [4, 5, 0, 1, 2, 2]
    assert [len(x) for x in ragged_places(start[:0], count[:0])] == [0, 0]
