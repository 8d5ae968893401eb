"""Every loss and hardness in a plain PyG loop, with PyG's real loader."""

import pytest
import torch
from torch_geometric.loader import LinkNeighborLoader

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import INTERACTS, message_graph
from tests import cases
from tests.adjacency_forms import FORMS, stored_as
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, pairs

pytestmark = pytest.mark.pyg_lib
KNOWN = pairs(*cases.TRAIN)
WEIGHT = torch.arange(1.0, NUM_ITEMS + 1, dtype=torch.float64)

# What the loader draws, and what the batch is read with.
WAYS = {
    "uniform": ({"amount": 4}, {}),
    "squeezed": ({"amount": 1}, {}),
    "masked": ({"amount": 3}, {"exclude": KNOWN}),
    "weighted": ({"amount": 4, "dst_weight": WEIGHT}, {"dst_weight": WEIGHT}),
    "all": (
        {"amount": 1, "dst_weight": WEIGHT},
        {"dst_weight": WEIGHT, "exclude": KNOWN},
    ),
}


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def sample_of(graph, sampling, batch_size=24):
    torch.manual_seed(3)
    loader = LinkNeighborLoader(
        graph,
        num_neighbors=[-1, -1],
        batch_size=batch_size,
        shuffle=True,
        edge_label_index=(INTERACTS, KNOWN),
        neg_sampling={"mode": "triplet", **sampling},
    )
    return next(iter(loader))


def loss_and_gradients(encoder, criterion, graph, batch):
    torch.manual_seed(1)
    z = encoder(graph)
    loss = criterion(*z.of_batch(batch))
    leaves = [*encoder.parameters(), *criterion.parameters()]
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [loss, *(torch.zeros(()) if g is None else g for g in grads)]


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", cases.CRITERIA, ids=lambda case: case.id)
def test_a_sampled_batch_gives_what_the_whole_graph_gives(case, way):
    sampling, reading = WAYS[way]
    graph, criterion = cases.toy_graph(), case.build().double().eval()
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM)
    size = 24 if case.loss == "xir" else 3  # whose cache may hold any item
    sample = sample_of(message_graph(graph), sampling, size)
    batch = EdgeBatch.from_hetero(sample, **reading)
    assert batch.dst_neg_index.shape == (size, sampling["amount"])
    assert size == 24 or not torch.equal(batch.dst_pos_index, batch.pos_id)
    found = loss_and_gradients(encoder, criterion, sample, batch)
    assert all(part.isfinite().all() for part in found)
    whole = batch.whole_graph()
    assert_equal(found, loss_and_gradients(encoder, criterion, graph, whole))


def test_masked_negatives_are_the_observed_positives():
    sample = sample_of(message_graph(cases.toy_graph()), {"amount": 9})
    batch = EdgeBatch.from_hetero(sample, exclude=KNOWN)
    known = cases.train_pairs(cases.toy_graph())
    for user, row, kept in zip(
        batch.user_id.tolist(), batch.neg_id.tolist(), batch.neg_mask, strict=True
    ):
        assert kept.tolist() == [item not in known[user] for item in row]
    assert not batch.neg_mask.all()


def test_the_rates_are_those_at_which_the_loader_draws():
    sampling = {"amount": 400, "dst_weight": WEIGHT}
    sample = sample_of(message_graph(cases.toy_graph()), sampling)
    batch = EdgeBatch.from_hetero(sample, dst_weight=WEIGHT)
    drawn = torch.bincount(batch.neg_id.view(-1), minlength=NUM_ITEMS) / (24 * 400)
    claimed = torch.zeros(NUM_ITEMS)
    claimed[batch.neg_id] = batch.neg_log_q.exp() / NUM_ITEMS
    torch.testing.assert_close(drawn, claimed, atol=0.01, rtol=0)


# PyG's own loader takes neither torch's sparse layouts nor 32 bits nor EdgeIndex.
TAKEN = ("edge_index", "columns", "requires_grad", "SparseTensor")


@pytest.mark.parametrize("form", [form for form in FORMS if form in TAKEN])
def test_the_loader_hands_on_the_form_of_edges(form):
    graph, case = cases.toy_graph(), cases.find("adv")
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM)
    criterion = case.build().double()
    sample = sample_of(stored_as(form, graph), {"amount": 4}, batch_size=5)
    batch = EdgeBatch.from_hetero(sample)
    found = loss_and_gradients(encoder, criterion, sample, batch)
    whole = batch.whole_graph()
    assert_equal(found, loss_and_gradients(encoder, criterion, graph, whole))
