import re
from dataclasses import fields, replace

import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data._utils.pin_memory import pin_memory
from torch_geometric.data import Data, HeteroData
from torch_geometric.loader import LinkNeighborLoader

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import GraphError
from tests import cases
from tests.cases import pairs


def loader_batch(negatives, *, with_ids=True):
    """A batch as the neighbour loader makes them, of users 5, 3 and items 7, 1, 4."""
    batch = HeteroData()
    batch["user"].src_index = torch.tensor([1, 0])
    batch["item"].dst_pos_index = torch.tensor([2, 0])
    batch["item"].dst_neg_index = torch.tensor(negatives)
    if with_ids:
        batch["user"].n_id = torch.tensor([5, 3])
        batch["item"].n_id = torch.tensor([7, 1, 4])
    return batch


def test_global_ids_go_through_the_loaders_node_ids():
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]))
    assert batch.src_index.tolist() == [1, 0]
    assert batch.dst_pos_index.tolist() == [2, 0]
    assert batch.user_id.tolist() == [3, 5]
    assert batch.pos_id.tolist() == [4, 7]
    assert batch.neg_id.tolist() == [[7, 1], [1, 4]]


def test_without_node_ids_rows_are_global():
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]], with_ids=False))
    assert batch.src_n_id is None
    assert batch.user_id.tolist() == [1, 0]
    assert batch.neg_id.tolist() == [[0, 1], [1, 2]]


def test_a_squeezed_single_negative_is_restored():
    batch = EdgeBatch.from_hetero(loader_batch([0, 1]))
    assert batch.dst_neg_index.tolist() == [[0], [1]]


def test_other_node_types():
    batch = loader_batch([[0, 1], [1, 2]]).rename("user", "reader")
    found = EdgeBatch.from_hetero(
        batch.rename("item", "book"), user="reader", item="book"
    )
    assert found.user_id.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("node", "key"), [("user", "src_index"), ("item", "dst_neg_index")]
)
def test_a_batch_of_another_mode_is_refused(node, key):
    batch = loader_batch([[0, 1], [1, 2]])
    del batch[node][key]
    with pytest.raises(GraphError, match="mode='triplet'"):
        EdgeBatch.from_hetero(batch)


@pytest.mark.pyg_lib
@pytest.mark.parametrize("mode", ["triplet", "binary"])
def test_a_batch_of_a_homogeneous_graph_is_refused(mode):
    user, item = torch.tensor([0, 1, 1]), torch.tensor([2, 3, 4])
    graph = Data(num_nodes=5, edge_index=torch.stack([user, item]))
    sampling = {"mode": mode, "amount": 2}
    loader = LinkNeighborLoader(
        graph, [2], edge_label_index=graph.edge_index, neg_sampling=sampling
    )
    message = r"node types 'user' and 'item' \(got Data\): build a HeteroData"
    with pytest.raises(GraphError, match=message):
        EdgeBatch.from_hetero(next(iter(loader)))


def test_something_other_than_a_batch_is_refused():
    with pytest.raises(GraphError, match=r"expected a batch of a HeteroData.*got dict"):
        EdgeBatch.from_hetero(loader_batch([0, 1]).to_dict())


def test_a_batch_of_other_node_types_is_refused_and_unchanged():
    batch = loader_batch([0, 1]).rename("item", "book")
    message = r"'user' and 'item' \(got \['user', 'book'\]\): pass user=... and item="
    with pytest.raises(GraphError, match=message):
        EdgeBatch.from_hetero(batch)
    assert batch.node_types == ["user", "book"]


def test_excluded_pairs_are_masked_by_global_id():
    known = pairs((3, 7), (5, 4), (3, 4), (0, 0))  # in any order
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), exclude=known)
    assert batch.neg_mask.tolist() == [[False, True], [True, False]]


def test_masks_are_combined():
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), exclude=pairs((3, 7)))
    again = batch.mask_pairs(pairs((5, 1)))
    assert again.neg_mask.tolist() == [[False, True], [False, True]]


def test_no_known_pairs_mask_nothing():
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), exclude=pairs())
    assert batch.neg_mask is None


def test_without_negatives_there_is_nothing_to_mask():
    batch = EdgeBatch(*torch.tensor([[0, 1], [1, 0]]), torch.empty(2, 0).long())
    assert batch.mask_pairs(pairs((0, 1))).neg_mask is None


def test_exactly_the_known_pairs_are_masked():
    batch = cases.toy_batch(size=20, num_negatives=9)
    known = cases.train_pairs(cases.toy_graph())
    masked = batch.mask_pairs(pairs(*cases.TRAIN)).neg_mask
    for user, row, kept in zip(batch.user_id, batch.neg_id, masked, strict=True):
        expected = [j not in known[user.item()] for j in row.tolist()]
        assert kept.tolist() == expected
    assert not masked.all()


def test_a_batch_says_its_shape_and_what_it_has():
    batch = cases.toy_batch(2, 3)
    assert repr(batch) == "EdgeBatch(B=2, K=3)"
    mask = torch.ones(2, 3, dtype=torch.bool)
    masked = replace(batch, neg_mask=mask)
    assert repr(masked) == "EdgeBatch(B=2, K=3, neg_mask)"
    ego = torch.zeros(9, 5), torch.zeros(12, 5)
    full = replace(batch, neg_rows=torch.zeros(2, 3, 5), ego=ego)
    assert repr(full) == "EdgeBatch(B=2, K=3, neg_rows, ego)"


def test_negatives_are_counted_without_the_masked_ones():
    batch = cases.toy_batch(2, 3)
    assert batch.num_kept == 3
    mask = torch.tensor([[True, False, True], [False, False, False]])
    assert replace(batch, neg_mask=mask).num_kept.tolist() == [2, 1]  # at least one


def test_known_pairs_may_be_32_bit_and_large():
    batch = EdgeBatch(
        torch.tensor([59_999]), torch.tensor([0]), torch.tensor([[59_999, 3]])
    )
    known = torch.tensor([[59_999], [59_999]])
    assert batch.mask_pairs(known).neg_mask.tolist() == [[False, True]]
    assert batch.mask_pairs(known.int()).neg_mask.tolist() == [[False, True]]


def test_the_loaders_weights_become_log_rates():
    weight = torch.tensor([0, 2, 0, 0, 1, 0, 0, 5]).double()  # of 8 items, sum 8
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), dst_weight=weight)
    expected = torch.tensor([[5.0, 2.0], [2.0, 1.0]]).double().log()
    torch.testing.assert_close(batch.neg_log_q, expected)
    torch.testing.assert_close(batch.neg_importance, 1 / expected.exp())


def test_equal_weights_correct_nothing():
    batch = EdgeBatch.from_hetero(loader_batch([0, 1]), dst_weight=torch.full((8,), 3))
    assert batch.neg_log_q.tolist() == [[0.0], [0.0]]


def test_a_weight_of_zero_stays_finite():
    weight = torch.zeros(8).index_fill(0, torch.tensor([7]), 1.0)
    batch = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), dst_weight=weight)
    assert batch.neg_log_q.isfinite().all()
    assert batch.neg_log_q[0, 0] == torch.tensor(8.0).log()


@pytest.mark.parametrize(
    "weight", [[1.0] * 7 + [-1.0], [0.0] * 8, [float("nan")] * 8, [float("inf")] * 8]
)
def test_weights_that_no_sampler_draws_by(weight):
    with pytest.raises(ValueError, match="finite, not negative and not all zero"):
        EdgeBatch.from_hetero(loader_batch([0, 1]), dst_weight=torch.tensor(weight))


def test_rows_of_the_whole_graph_are_global_ids():
    local = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), exclude=pairs((3, 7)))
    whole = local.whole_graph()
    assert whole.src_index.tolist() == [3, 5]
    assert whole.dst_neg_index.tolist() == [[7, 1], [1, 4]]
    assert torch.equal(whole.neg_mask, local.neg_mask)
    for name in ("user_id", "pos_id", "neg_id"):
        assert torch.equal(getattr(whole, name), getattr(local, name))


def test_rows_of_a_local_table_are_none_of_the_whole_graphs():
    local = EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]))
    rows, ego = torch.zeros(2, 2, 4), (torch.zeros(2, 4), torch.zeros(3, 4))
    whole = replace(local, neg_rows=rows, ego=ego).whole_graph()
    assert whole.ego is None
    assert whole.neg_rows is rows  # one row per edge, whatever its index is


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 5), (3, 3, 5), (2, 3, 5, 1)])
def test_rows_for_other_negatives_are_refused(shape):
    with pytest.raises(ValueError, match=r"neg_rows must be \[2, 3, D\], one row per"):
        replace(cases.toy_batch(2, 3), neg_rows=torch.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 2, 2)])
def test_pairs_of_another_shape_are_refused(shape):
    exclude = torch.zeros(shape, dtype=torch.long)
    with pytest.raises(ValueError, match=r"pairs must be \[2, E\] \(got \("):
        EdgeBatch.from_hetero(loader_batch([0, 1]), exclude=exclude)


@pytest.mark.parametrize(
    ("src", "pos", "neg", "message"),
    [
        ((2,), (3,), (2, 1), r"must both be \[B\] \(got \(2,\) and \(3,\)\)"),
        ((2, 1), (2,), (2, 1), "src_index and dst_pos_index must both be"),
        ((2,), (2,), (2,), r"must be \[2, K\] \(got \(2,\)\): use \[2, 1\]"),
        ((2,), (2,), (3, 1), r"must be \[2, K\] \(got \(3, 1\)\)"),
    ],
)
def test_wrong_shapes(src, pos, neg, message):
    tensors = [torch.zeros(shape, dtype=torch.long) for shape in (src, pos, neg)]
    with pytest.raises(ValueError, match=message):
        EdgeBatch(*tensors)


@pytest.mark.parametrize("shape", [(2, 1), (1, 3), (3,), (2, 3, 1), (3, 2)])
@pytest.mark.parametrize("name", ["neg_mask", "neg_log_q"])
def test_values_for_other_negatives_are_refused(name, shape):
    value = torch.ones(shape, dtype=torch.bool if name == "neg_mask" else None)
    got = re.escape(str(shape))
    message = rf"{name} must be \[2, 3\], one value per negative \(got {got}\)"
    with pytest.raises(ValueError, match=message):
        replace(cases.toy_batch(2, 3), **{name: value})


@pytest.mark.parametrize("shape", [(2, 1), (), (1, 2)])
@pytest.mark.parametrize("name", ["src_n_id", "dst_n_id"])
def test_global_ids_of_another_shape_are_refused(name, shape):
    n_id = torch.zeros(shape, dtype=torch.long)
    with pytest.raises(ValueError, match=rf"{name} must be \[N\], one global id per"):
        replace(cases.toy_batch(2, 3), **{name: n_id})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.uint8])
@pytest.mark.parametrize(
    "name", ["src_index", "dst_pos_index", "dst_neg_index", "src_n_id", "dst_n_id"]
)
def test_indices_of_another_type_are_refused(name, dtype):
    batch = cases.toy_batch(2, 3)
    batch = replace(batch, src_n_id=torch.arange(9), dst_n_id=torch.arange(12))
    got = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=rf"{name} must be int64 or int32 \(got {got}"):
        replace(batch, **{name: getattr(batch, name).to(dtype)})


def test_masks_and_rates_of_another_type_are_refused():
    batch, whole = cases.toy_batch(2, 3), torch.ones(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"neg_mask must be bool \(got int64\)"):
        replace(batch, neg_mask=whole)
    with pytest.raises(ValueError, match=r"neg_log_q must be floating point \(got int"):
        replace(batch, neg_log_q=whole)


def test_first_layers_of_another_shape_are_refused():
    message = r"ego must be two tables, \[U, D\] and \[I, D\] \(got \[\(9,\), \(12, 5\)"
    with pytest.raises(ValueError, match=message):
        replace(cases.toy_batch(), ego=(torch.zeros(9), torch.zeros(12, 5)))


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"dst_weight must be \[I\].*got \(8, 1\)"):
        EdgeBatch.from_hetero(loader_batch([0, 1]), dst_weight=torch.ones(8, 1))


def full_batch():
    """A batch with every field."""
    return replace(
        EdgeBatch.from_hetero(loader_batch([[0, 1], [1, 2]]), exclude=pairs((3, 7))),
        neg_log_q=torch.tensor([[0.5, -1.0], [0.0, 2.0]]),
        neg_rows=torch.ones(2, 2, 4),
        ego=(torch.zeros(2, 4), torch.zeros(3, 4)),
    )


OTHERS = {
    "src_index": torch.tensor([0, 0]),
    "dst_pos_index": torch.tensor([1, 0]),
    "dst_neg_index": torch.tensor([[0, 1], [1, 1]]),
    "src_n_id": torch.tensor([5, 4]),
    "dst_n_id": None,
    "neg_mask": torch.ones(2, 2, dtype=torch.bool),
    "neg_log_q": torch.zeros(2, 2),
    "neg_rows": torch.ones(2, 2, 5),
    "ego": (torch.zeros(2, 4), torch.ones(3, 4)),
}


def all_batch():
    """Two edges whose users have seen the items 0, 2 and 1 of four."""
    index, seen = torch.tensor([3, 5]), pairs((0, 0), (0, 2), (1, 1))
    negatives = torch.empty(2, 0, dtype=torch.long)
    return EdgeBatch(index, torch.tensor([2, 1]), negatives, seen=seen)


def test_batches_of_equal_tensors_are_equal():
    assert full_batch() == full_batch()
    assert cases.toy_batch() == cases.toy_batch()


@pytest.mark.parametrize("name", list(OTHERS))
def test_batches_with_one_other_field_differ(name):
    assert full_batch() != replace(full_batch(), **{name: OTHERS[name]})


def test_batches_with_other_seen_items_differ():
    assert all_batch() == all_batch()
    assert all_batch() != replace(all_batch(), seen=None)
    assert all_batch() != replace(all_batch(), seen=pairs((0, 0), (0, 2), (1, 3)))
    assert set(OTHERS) == {field.name for field in fields(EdgeBatch)} - {"seen"}


def test_batches_of_other_types_devices_and_sizes_differ():
    batch = full_batch()
    assert batch != replace(batch, src_index=batch.src_index.int())
    assert batch != batch.to("meta")
    assert batch != cases.toy_batch()
    assert batch != "batch"


def test_a_batch_has_no_hash_as_its_equality_is_of_values():
    with pytest.raises(TypeError, match="unhashable"):
        hash(cases.toy_batch())


def tensors_of(batch):
    values = [getattr(batch, field.name) for field in fields(batch)]
    return [v for v in [*values, *(batch.ego or ())] if isinstance(v, torch.Tensor)]


def test_a_batch_moves_with_all_its_tensors():
    moved = full_batch().to("meta", non_blocking=True)
    assert [t.device.type for t in tensors_of(moved)] == ["meta"] * 10
    assert full_batch().to(torch.device("cpu")) == full_batch()
    assert [t.device.type for t in tensors_of(all_batch().to("meta"))] == ["meta"] * 4
    bare = cases.toy_batch().to("meta")
    assert bare.dst_neg_index.is_meta
    assert bare.neg_mask is None


def test_a_batch_is_pinned_by_the_data_loaders_rule(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.to("meta"))
    (pinned,) = pin_memory([full_batch()])
    assert [t.device.type for t in tensors_of(pinned)] == ["meta"] * 10


def test_a_batch_passes_a_data_loader_with_workers():
    batches = [full_batch(), all_batch()]
    loader = DataLoader(batches, batch_size=None, num_workers=1)
    assert list(loader) == batches


def test_all_other_items_are_negatives_in_order():
    batch = replace(all_batch(), src_n_id=torch.arange(10, 20))
    dense = batch.dense(4)
    assert (batch.is_dense, dense.is_dense, dense.seen) == (False, True, None)
    assert dense.dst_neg_index.tolist() == [[0, 1, 2, 3]] * 2
    assert dense.neg_mask.tolist() == [
        [False, True, False, True],
        [True, False, True, True],
    ]
    assert dense.user_id.tolist() == [13, 15]
    assert dense.num_kept.tolist() == [2, 3]
    assert batch.whole_graph().seen is batch.seen
    nothing = replace(all_batch(), seen=torch.empty(2, 0, dtype=torch.long))
    assert nothing.dense(4).neg_mask is None
    assert repr(all_batch()) == "EdgeBatch(B=2, K=0, seen)"


@pytest.mark.parametrize("most", [0, 4, 8, 12, 100])
def test_parts_are_the_edges_in_order(monkeypatch, most):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
    index = torch.tensor([3, 5, 1, 0, 2])
    seen = pairs((0, 0), (0, 2), (1, 1), (3, 0), (3, 1), (3, 3))
    negatives = torch.empty(5, 0, dtype=torch.long)
    batch = EdgeBatch(index, torch.tensor([0, 1, 2, 0, 3]), negatives, seen=seen)
    parts, size = batch.split(4), max(1, most // 4)
    sizes = [part.src_index.numel() for part in parts]
    assert sizes == [min(size, 5 - start) for start in range(0, 5, size)]
    assert torch.cat([part.src_index for part in parts]).equal(index)
    assert torch.cat([part.dst_pos_index for part in parts]).equal(batch.dst_pos_index)
    masks = [
        torch.ones(len(p.src_index), 4, dtype=torch.bool)
        if p.seen.numel() == 0
        else p.dense(4).neg_mask
        for p in parts
    ]
    assert torch.cat(masks).equal(batch.dense(4).neg_mask)


def test_seen_items_in_another_order_are_not_divided(monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", 4)
    batch = replace(all_batch(), seen=pairs((0, 0), (1, 1), (0, 2)))
    with pytest.raises(ValueError, match="ascending order: sort its columns"):
        batch.split(4)


def test_sampled_negatives_have_one_part_which_stays_as_it_is(monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", 1)
    batch = cases.toy_batch()
    assert batch.split(12) == [batch]
    assert batch.dense(12) is batch


def test_a_sum_over_negatives_leaves_out_seen_and_masked_items():
    values = torch.tensor([1.0, 10.0, 100.0, 1000.0])
    batch = all_batch()
    assert batch.sum_of_negatives(values, batch.neg_id) == 1010 + 1101
    dense = batch.dense(4)
    assert dense.sum_of_negatives(values, dense.neg_id) == 1010 + 1101


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seen": torch.zeros(3, dtype=torch.long)}, r"seen must be \[2, M\].*\(3,\)"),
        ({"seen": torch.zeros(3, 2).long()}, r"seen must be \[2, M\]"),
        ({"seen": torch.zeros(2, 1)}, r"seen must be int64 or int32 \(got float32"),
        (
            {"dst_neg_index": torch.zeros(2, 1).long()},
            r"dst_neg_index must be \[2, 0\]",
        ),
        ({"dst_n_id": torch.arange(4)}, "None .*and dst_n_id"),
        ({"neg_log_q": torch.zeros(2, 0)}, "None .*and neg_log_q"),
    ],
)
def test_seen_items_of_another_form_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(all_batch(), **changes)


def test_pairs_are_not_masked_among_all_negatives():
    with pytest.raises(ValueError, match="add the pairs to seen"):
        all_batch().mask_pairs(pairs((3, 1)))


@pytest.mark.parametrize("case", cases.CRITERIA, ids=lambda case: case.id)
def test_a_relabelled_local_batch_gives_the_same_loss(case):
    """What a neighbour loader does: some nodes, in another order, under new rows."""
    criterion, batch = case.build().eval(), cases.toy_batch()
    z_user, z_item = cases.toy_tables()
    users = torch.tensor([6, 7, 0, 5, 4, 3, 2, 1])  # all but the isolated user
    items = torch.tensor([3, 11, 0, 1, 10, 9, 8, 2, 7, 6, 5, 4])
    row_of_user, row_of_item = users.argsort(), items.argsort()
    local = EdgeBatch(
        row_of_user[batch.src_index],
        row_of_item[batch.dst_pos_index],
        row_of_item[batch.dst_neg_index],
        src_n_id=users,
        dst_n_id=items,
    )
    x_user, x_item = z_user.float(), z_item.float()
    torch.manual_seed(0)
    expected = criterion(x_user, x_item, batch)
    torch.manual_seed(0)
    found = criterion(x_user[users], x_item[items], local)
    torch.testing.assert_close(found, expected)
    assert local.user_id.tolist() == batch.user_id.tolist()


def test_lists_are_refused():
    with pytest.raises(ValueError, match=r"src_index must be a tensor \(got list\)"):
        EdgeBatch([0, 1], [1, 2], [[0, 3], [4, 5]])


def test_row_numbers_among_the_rows_read_are_the_inverse_of_global_ids():
    user, pos = torch.tensor([7, 2, 7]), torch.tensor([30, 4, 4])
    batch = EdgeBatch(user, pos, torch.tensor([[9, 4], [31, 9], [0, 9]]))
    found = batch.of_rows(8, 32)
    assert found.src_n_id.tolist() == [2, 7]
    assert found.dst_n_id.tolist() == [0, 4, 9, 30, 31]
    assert found.src_index.tolist() == [1, 0, 1]
    assert found.whole_graph() == batch


@pytest.mark.parametrize(
    ("num_users", "num_items", "narrow"),
    [(5, 17, (False, False)), (6, 17, (True, False)), (5, 18, (False, True))],
)
def test_tables_of_which_a_batch_reads_most_stay_whole(num_users, num_items, narrow):
    batch = EdgeBatch(*torch.zeros(2, 3).long(), torch.zeros(3, 2).long())
    found = batch.of_rows(num_users, num_items)
    assert (found.src_n_id is not None, found.dst_n_id is not None) == narrow
    assert (found is batch) == (narrow == (False, False))


def test_a_batch_with_all_negatives_reads_all_items():
    none, seen = torch.zeros(1, 0).long(), torch.zeros(2, 0).long()
    batch = EdgeBatch(*torch.zeros(2, 1).long(), none, seen=seen)
    found = batch.of_rows(10, 10)
    assert found.dst_n_id is None
    assert found.src_n_id.tolist() == [0]
