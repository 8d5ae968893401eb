"""Losses over all negatives: `over_all_negatives`, docs/methods.md 0.3."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from pyg_advinfonce.batch import MOST_SCORES, EdgeBatch
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import (
    AdvInfoNCE,
    EmbeddingHardness,
    InfoNCE,
    MLPHardness,
    UniformHardness,
)
from pyg_advinfonce.registry import LOSSES
from pyg_advinfonce.terms import EmbeddingL2
from pyg_advinfonce.training import batch_hardness
from tests import cases, reference
from tests.cases import (
    DIM,
    NUM_ITEMS,
    NUM_USERS,
    TRAIN,
    Case,
    by_ccl,
    by_embedding,
    by_info_nce,
    by_mlp,
    toy_tables,
)


def by_uniform(criterion, z_user, z_item, batch):
    return by_info_nce(criterion, z_user, z_item, batch)


ROWS = (
    Case("infonce", by_info_nce),
    Case("infonce", by_info_nce, {"tau": 0.5, "negative_weight": 3.0}),
    Case("adv", by_embedding, {"negative_weight": 1.0}),
    Case("adv", by_embedding, {"max_kl": 0.5}),
    Case("adv", by_uniform, {"negative_weight": 1.0}, {"kind": "uniform"}),
    Case("adv-mlp", by_mlp, {"negative_weight": 1.0}, {"hidden": 3}),
    Case("adv-mlp", by_mlp, {}, {"input": "final", "activation": "none"}),
    Case("adv-reverse", by_embedding, {"negative_weight": 1.0}),
    Case("rand", None, {"negative_weight": 1.0}),
    Case("rand", None, {}, {"normalized": True}),
    Case("ccl", by_ccl, {"weight": 2.0, "margin": -0.5}),
)
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
without_draws = pytest.mark.parametrize(
    "row", [row for row in ROWS if row.loss != "rand"], ids=lambda row: row.id
)
MOST = (1, 2 * NUM_ITEMS, 5 * NUM_ITEMS, MOST_SCORES)  # 1, 2, 5 rows per part, and all
parts = pytest.mark.parametrize("most", MOST)


def build(row):
    width = {"dim": DIM} if LOSSES[row.loss].load() is AdvInfoNCE else {}
    kind = {**LOSSES[row.loss].options.get("hardness", {}), **row.hardness}.get("kind")
    width = {} if kind in ("uniform", "random") else width
    hardness = {**width, **row.hardness}
    return replace(row, hardness=hardness).build().double()


def exact_batch(*chosen, exclude=True):
    """Return toy train pairs by number whose negatives are all unseen items."""
    known = cases.train_pairs(cases.toy_graph())
    user, item = (list(side) for side in zip(*(TRAIN[n] for n in chosen), strict=True))
    seen = [(b, j) for b, u in enumerate(user) for j in sorted(known[u]) if exclude]
    return EdgeBatch(
        torch.tensor(user),
        torch.tensor(item),
        torch.empty(len(user), 0, dtype=torch.long),
        seen=cases.pairs(*seen),
    )


BATCH = (0, 5, 7, 11, 5, 20, 23, 14)  # one pair twice


def unseen(batch, b):
    seen = {j for edge, j in batch.seen.t().tolist() if edge == b}
    return [j for j in range(NUM_ITEMS) if j not in seen]


def naive(row, criterion, tables, batch, draws=None):
    """Average the naive formula over edges, each with its own list of negatives."""
    losses = []
    for b in range(len(batch.src_index)):
        items = torch.tensor([unseen(batch, b)])
        edge = replace(
            batch,
            src_index=batch.src_index[b : b + 1],
            dst_pos_index=batch.dst_pos_index[b : b + 1],
            dst_neg_index=items,
            seen=None,
        )
        if row.naive is not None:
            losses.append(row.naive(criterion, *tables, edge))
            continue
        draw = draws[b, items[0]].double().unsqueeze(0)  # 2.7
        mean = draw.mean() if criterion.hardness.normalized else 0.5
        losses.append(by_info_nce(criterion, *tables, edge, (draw / mean).log()))
    return torch.stack(losses).mean()


def drawn(sizes, seed=3):
    torch.manual_seed(seed)
    return torch.cat([torch.rand(size, NUM_ITEMS) for size in sizes])


def gradients(criterion, tables, loss):
    params = [*tables, *criterion.parameters()]
    found = torch.autograd.grad(loss, params, allow_unused=True)
    return [
        torch.zeros_like(p) if g is None else g
        for p, g in zip(params, found, strict=True)
    ]


@every_row
@parts
@pytest.mark.parametrize("exclude", [True, False])
def test_loss_and_gradients_are_those_of_loops_over_items(
    row, most, exclude, monkeypatch
):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
    criterion, tables = build(row), toy_tables()
    batch = exact_batch(*BATCH, exclude=exclude)
    sizes = [len(part.src_index) for part in batch.split(NUM_ITEMS)]
    expected = naive(row, criterion, tables, batch, drawn(sizes))
    wanted = gradients(criterion, tables, expected)
    torch.manual_seed(3)
    loss = criterion.over_all_negatives(*tables, batch)
    found = gradients(criterion, tables, loss)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if row.loss == "rand" else {}
    torch.testing.assert_close(loss, expected, **tolerance)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, **tolerance)
    if row.has_adversary and "uniform" not in row.id:
        assert all(grad.any() for grad in found[2:])


@every_row
def test_the_backward_pass_draws_what_the_forward_pass_drew(row, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", 2 * NUM_ITEMS)
    criterion, tables = build(row), toy_tables()
    torch.manual_seed(3)
    loss = criterion.over_all_negatives(*tables, exact_batch(*BATCH))
    after = torch.rand(3)
    loss.backward()
    torch.manual_seed(3)
    criterion.over_all_negatives(*tables, exact_batch(*BATCH))
    assert torch.equal(torch.rand(3), after)  # the backward pass moves no generator


@every_row
def test_single_precision_is_close(row):
    torch.manual_seed(3)
    batch, tables = exact_batch(*BATCH), toy_tables()
    expected = build(row).over_all_negatives(*tables, batch)
    torch.manual_seed(3)
    single = [z.detach().float().requires_grad_() for z in tables]
    found = build(row).float().over_all_negatives(*single, batch)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


@without_draws
def test_scores_stay_in_single_precision_under_autocast(row):
    tables, batch = toy_tables(torch.float32), exact_batch(*BATCH)
    criterion = build(row).float()
    plain = criterion.over_all_negatives(*tables, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = criterion.over_all_negatives(*tables, batch)
    # an MLP's layers are in half precision
    tolerance = 1e-2 if row.loss == "adv-mlp" else 1e-6
    torch.testing.assert_close(found, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("tau", [1e-3, 0.2])
def test_huge_scores_stay_finite(dtype, tau):
    tables = [z.detach().mul(100).requires_grad_() for z in toy_tables(dtype)]
    for row in ROWS[0], ROWS[2]:
        criterion = replace(row, options={"tau": tau}).build()
        loss = criterion.over_all_negatives(*tables, exact_batch(*BATCH))
        loss.backward()
        assert loss.isfinite()
        assert all(z.grad.isfinite().all() for z in tables)


@without_draws
def test_the_order_of_items_does_not_matter(row):
    criterion, (z_user, z_item), batch = build(row), toy_tables(), exact_batch(*BATCH)
    expected = criterion.over_all_negatives(z_user, z_item, batch)
    order = torch.randperm(NUM_ITEMS, generator=torch.Generator().manual_seed(1))
    place = order.argsort()  # of an item
    if isinstance(getattr(criterion, "hardness", None), EmbeddingHardness):
        criterion.hardness.item.data = criterion.hardness.item.data[order]
    moved = replace(
        batch,
        dst_pos_index=place[batch.dst_pos_index],
        seen=torch.stack([batch.seen[0], place[batch.seen[1]]]),
    )
    found = criterion.over_all_negatives(z_user, z_item[order], moved)
    torch.testing.assert_close(found, expected)


@without_draws
def test_seen_items_do_not_count_and_get_no_gradient(row):
    criterion, (z_user, z_item) = build(row), toy_tables()
    batch = exact_batch(17, 18)  # user 6, who has seen the items 3 and 6
    batch = replace(batch, dst_pos_index=batch.dst_pos_index[:1].repeat(2))
    pos = int(batch.dst_pos_index[0])
    others = [j for j in batch.seen[1].tolist() if j != pos]
    loss = criterion.over_all_negatives(z_user, z_item, batch)
    loss.backward()
    assert others
    assert not z_item.grad[others].any()
    assert z_item.grad[pos].any()
    if row.loss in ("adv", "adv-reverse") and "uniform" not in row.id:
        assert not criterion.hardness.item.grad[[pos, *others]].any()


@pytest.mark.parametrize("row", [ROWS[0], ROWS[4]], ids=lambda row: row.id)
def test_an_item_of_a_vanishing_score_changes_nothing(row):
    criterion = replace(row, options={"tau": 0.01, "negative_weight": 1.0}).build()
    z_user, z_item = toy_tables()
    batch = exact_batch(17, 18)  # user 6
    with torch.no_grad():  # a user near its nearest item, far from the new one
        z_user[6] = z_item[11]
    far = torch.cat([z_item, -z_user[6:7]])
    criterion.double()
    expected = criterion.over_all_negatives(z_user, z_item, batch)
    found = criterion.over_all_negatives(z_user, far, batch)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("row", [ROWS[0], ROWS[2], ROWS[5]], ids=lambda row: row.id)
def test_many_samples_of_the_weight_that_stands_in_approach_it(row):
    """docs/methods.md 2.6: K samples of weight n / K stand in for n negatives."""
    number = 40_000
    batch = exact_batch(*range(19, 24))  # the pairs of user 7
    negatives = torch.tensor(unseen(batch, 0))
    tables = toy_tables()
    exact = build(replace(row, options={"negative_weight": 1.0}))
    sampled = copy.deepcopy(exact)
    sampled.negative_weight = len(negatives) / number
    torch.manual_seed(0)
    draw = torch.randint(len(negatives), (len(batch.src_index), number))
    losses = [
        exact.over_all_negatives(*tables, batch),
        sampled(*tables, replace(batch, dst_neg_index=negatives[draw], seen=None)),
    ]
    torch.testing.assert_close(*losses, rtol=0.02, atol=0)
    exact.negative_weight = 2.0  # the tolerance can tell weights apart
    other = exact.over_all_negatives(*tables, batch)
    assert abs(other - losses[1]) > 0.05 * losses[1]


@parts
def test_diagnostics_are_those_of_all_entries(most, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
    criterion, tables, batch = build(ROWS[2]), toy_tables(), exact_batch(*BATCH)
    psi, phi = criterion.hardness.user, criterion.hardness.item
    entries = []
    for b, u in enumerate(batch.src_index.tolist()):
        logits = [reference.dot(psi[u], phi[j]) for j in unseen(batch, b)]
        entries.append(reference.hardness([torch.stack(logits)])[0])
    delta = torch.cat(entries)
    found = criterion.diagnostics(*tables, batch)
    expected = {
        "kl_uniform_p": -delta.mean(),
        "kl_p_uniform": (delta.exp() * delta).mean(),
        "delta_min": delta.min(),
        "delta_max": delta.max(),
    }
    assert found == {k: pytest.approx(v.item()) for k, v in expected.items()}


@parts
def test_the_bound_is_on_the_whole_batch(most, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
    tables, batch = toy_tables(), exact_batch(*BATCH)
    kl = build(ROWS[2]).diagnostics(*tables, batch)["kl_uniform_p"].item()
    for limit, exceeds in ((1.001 * kl, False), (0.999 * kl, True)):
        criterion = build(replace(ROWS[2], options={"max_kl": limit}))
        with torch.no_grad():  # nobody trains the hardness
            criterion.over_all_negatives(*tables, batch)
        criterion.eval().over_all_negatives(*tables, batch)
        criterion.train().requires_grad_(False)
        criterion.over_all_negatives(*tables, batch)
        assert not criterion.bound.exceeded
        criterion.requires_grad_(True)
        criterion.over_all_negatives(*tables, batch).backward()
        assert bool(criterion.bound.exceeded) is exceeds


def test_the_adversarys_penalty_is_on_all_negatives():
    hardness, batch = build(ROWS[2]).hardness, exact_batch(*BATCH)
    total = sum(
        reference.norm(hardness.user[u]) ** 2
        + sum(reference.norm(hardness.item[j]) ** 2 for j in unseen(batch, b))
        for b, u in enumerate(batch.src_index.tolist())
    )
    expected = total / (2 * len(BATCH))
    torch.testing.assert_close(hardness.penalty(batch), expected)


def test_the_penalty_on_embeddings_may_include_all_negatives():
    user, item = toy_tables()
    z = SimpleNamespace(layers=[(user, item)], user=user, item=item)
    batch = exact_batch(*BATCH)
    step = SimpleNamespace(batch=batch, embeddings=z)
    found = EmbeddingL2(negatives=True)(step) - EmbeddingL2()(step)
    total = sum(
        reference.norm(item[j]) ** 2
        for b in range(len(BATCH))
        for j in unseen(batch, b)
    )
    torch.testing.assert_close(found, total / (2 * len(BATCH)))


def step_of(batch, tables):
    z = SimpleNamespace(of_batch=lambda batch: (*tables, batch))
    return SimpleNamespace(batch=batch, embeddings=z, clean=z)


def test_a_step_is_over_all_negatives_if_its_batch_is():
    criterion, tables, batch = build(ROWS[0]), toy_tables(), exact_batch(*BATCH)
    expected = criterion.over_all_negatives(*tables, batch)
    assert criterion.on_step(step_of(batch, tables)) == expected


def test_other_losses_and_batches_are_refused():
    tables, batch = toy_tables(), exact_batch(*BATCH)
    for criterion in (cases.find("bpr").build(), InfoNCE(negatives="in_batch")):
        with pytest.raises(ValueError, match=r"takes_all_negatives \(got EdgeBatch"):
            criterion.over_all_negatives(*tables, batch)
    with pytest.raises(ValueError, match="need a batch with seen"):
        InfoNCE().over_all_negatives(*tables, cases.toy_batch())
    with pytest.raises(ValueError, match="for all negatives call over_all_negatives"):
        InfoNCE()(*tables, batch)


def test_a_hardness_of_other_items_is_an_error():
    criterion = AdvInfoNCE(EmbeddingHardness(NUM_USERS, NUM_ITEMS + 1, DIM))
    with pytest.raises(IndexError, match=r"each of 12 items \(got 13 rows\)"):
        criterion.over_all_negatives(*toy_tables(torch.float32), exact_batch(*BATCH))


class LiveMemory(TorchDispatchMode):
    """Records the most bytes that tensors made under it take at one time."""

    def __init__(self):
        super().__init__()
        self.live, self.most = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                ref = StorageWeakRef(tensor.untyped_storage())
                size = tensor.untyped_storage().nbytes()
                self.live.setdefault(ref.cdata, (ref, size))
        gone = [key for key, (ref, _) in self.live.items() if ref.expired()]
        for key in gone:
            del self.live[key]
        self.most = max(self.most, sum(size for _, size in self.live.values()))
        return made


@pytest.mark.parametrize(
    "row", [ROWS[0], ROWS[2], ROWS[5], ROWS[9], ROWS[10]], ids=lambda row: row.id
)
def test_a_step_takes_at_most_64_mb_beside_tables(row):
    num_users, num_items, size = 50, 8000, 4000  # 128 MB per matrix [B, I]
    edges = torch.arange(num_users).expand(2, -1)
    graph = build_graph(edges, num_users=num_users, num_items=num_items)
    bound = {"max_kl": 1e9} if row.has_adversary else {}
    criterion = replace(row, options={**row.options, **bound}).build(graph)
    if row.loss == "adv-mlp":
        criterion.hardness = MLPHardness(DIM)
    tables = toy_tables(torch.float32, users=num_users, items=num_items)
    repeated = torch.arange(size) % num_users
    batch = EdgeBatch(
        repeated,
        repeated,
        torch.empty(size, 0, dtype=torch.long),
        seen=torch.stack([torch.arange(size), repeated]),
    )
    with LiveMemory() as memory:
        criterion.over_all_negatives(*tables, batch).backward()
        if row.has_adversary:
            criterion.diagnostics(*tables, batch)
    assert memory.most < 64 * 2**20


def test_uniform_hardness_is_info_nce():
    tables, batch = toy_tables(), exact_batch(*BATCH)
    losses = [
        criterion.over_all_negatives(*tables, batch)
        for criterion in (InfoNCE(tau=0.3), AdvInfoNCE(UniformHardness(), 0.3, 1.0))
    ]
    torch.testing.assert_close(*losses)


def test_without_sampled_negatives_there_is_no_table_of_their_hardness(graph):
    method = cases.find("adv").method(graph=graph)
    with pytest.raises(ConfigError, match=r"num_negatives to a number \(got 'all'\)"):
        batch_hardness(method, method.encode(graph), exact_batch(*BATCH))
