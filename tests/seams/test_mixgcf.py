from dataclasses import replace

import pytest
import torch

from pyg_advinfonce.encoders import Embeddings, LightGCN
from pyg_advinfonce.experiment import train
from pyg_advinfonce.losses import BPR
from pyg_advinfonce.objective import Step
from tests import cases, reference
from tests.losses.test_base import widened
from tests.seams.mixgcf import MixGCF

NAMES = ["bpr", "infonce", "adv"]


def toy_layers(number):
    """Return embeddings that are the mean of layers, and the layers' leaves."""
    layers = [cases.toy_tables(seed=seed) for seed in range(number)]
    user, item = (sum(side) / number for side in zip(*layers, strict=True))
    return Embeddings(user, item, layers), [x for pair in layers for x in pair]


def step_of(z, batch):
    return Step(None, None, batch, 0, 0, embeddings=z)


def assert_same(found, wanted, leaves, rtol):
    """Compare losses and their gradients."""
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=0)
    ours, theirs = (
        torch.autograd.grad(loss, leaves, retain_graph=True) for loss in (found, wanted)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=10 * rtol, atol=rtol)


def masked(batch):
    keep = torch.ones(batch.dst_neg_index.shape, dtype=torch.bool)
    keep[0, :3] = keep[1, 2] = keep[2] = False  # a part, one, all
    return replace(batch, neg_mask=keep)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [1, 3])
def test_unmixed_single_candidates_are_the_loss_itself(name, number):
    z, leaves = toy_layers(number)
    inner = cases.find(name).build().double()
    log_q = torch.randn(5, 4).double()
    batch = replace(masked(cases.toy_batch()), neg_log_q=log_q)
    found = MixGCF(inner, candidates=1, mixing=0.0).on_step(step_of(z, batch))
    expected = inner(*z.of_batch(batch))
    assert_same(found, expected, leaves, rtol=1e-12)


def naive(inner, z, batch, candidates, mixing):
    """Mix each negative by loops; return rows and ids."""
    score = reference.cosine if inner.cosine else reference.dot
    number = batch.dst_neg_index.size(1) // candidates
    shape = (len(batch.src_index), 1)
    shares = [mixing * torch.rand(shape, dtype=torch.float64) for _ in z.layers]
    rows, ids = [], []
    for b, (u, i) in enumerate(zip(batch.src_index, batch.dst_pos_index, strict=True)):
        for k in range(number):
            drawn = batch.dst_neg_index[b, k * candidates : (k + 1) * candidates]
            row, totals = 0.0, [0.0] * candidates
            for (_, item), share in zip(z.layers, shares, strict=True):
                mixed = [share[b] * item[i] + (1 - share[b]) * item[j] for j in drawn]
                scores = [score(z.user[u], x).item() for x in mixed]
                totals = [t + s for t, s in zip(totals, scores, strict=True)]
                row = row + mixed[scores.index(max(scores))] / len(z.layers)
            rows.append(row)
            ids.append(drawn[totals.index(max(totals))])
    shape = (len(batch.src_index), number)
    return torch.stack(rows).view(*shape, -1), torch.stack(ids).view(shape)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mixing", [0.0, 0.5, 1.0])
def test_it_is_the_naive_formula(name, mixing):
    z, leaves = toy_layers(3)
    case, batch = cases.find(name), cases.toy_batch(5, 6)
    inner = case.build().double()
    torch.manual_seed(3)
    found = MixGCF(inner, candidates=3, mixing=mixing).on_step(step_of(z, batch))
    torch.manual_seed(3)
    rows, ids = naive(inner, z, batch, candidates=3, mixing=mixing)
    table = torch.cat([z.item, rows.view(-1, cases.DIM)])
    chosen = widened(replace(batch, dst_neg_index=ids))
    wanted = case.naive(inner, z.user, table, chosen)
    assert_same(found, wanted, [*leaves, *inner.parameters()], rtol=1e-9)


def test_a_masked_candidate_is_never_chosen():
    (z, _), batch, mixer = toy_layers(3), cases.toy_batch(5, 6), MixGCF(BPR(), 3)
    drawn, shape = batch.dst_neg_index, (5, 2, 3)

    def mixed(keep, ids=drawn):
        torch.manual_seed(3)
        log_q = ids.double() / 2
        given = replace(batch, dst_neg_index=ids, neg_mask=keep, neg_log_q=log_q)
        found = mixer.mixed(z, given)
        assert torch.equal(found.neg_log_q, found.dst_neg_index / 2)
        return found

    best = mixed(None).dst_neg_index
    keep = drawn != best.repeat_interleave(3, 1)
    assert keep.view(shape).any(-1).all()
    found, same = mixed(keep), mixed(keep, drawn.where(keep, (drawn + 5) % 12))
    assert found.neg_mask.all()
    assert (found.dst_neg_index != best).all()
    assert torch.equal(found.neg_rows, same.neg_rows)
    keep.view(shape)[0, 1] = False
    assert mixed(keep).neg_mask.logical_not().nonzero().tolist() == [[0, 1]]


def test_it_mixes_clean_layers_where_they_are_asked_for(graph):
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, noise=0.5)
    step = Step(encoder, graph, cases.toy_batch(), 0, 0)
    losses = [
        loss.on_step(step, perturb=perturb)
        for loss in (BPR(), MixGCF(BPR(), 1, 0.0))
        for perturb in (True, False)
    ]
    assert losses[0] != losses[1]
    torch.testing.assert_close(losses[:2], losses[2:])


def test_the_loss_within_is_told_of_epochs_start(graph):
    inner = cases.find("adv").build(max_kl=1.0)
    inner.bound.exceeded.fill_(True)
    with pytest.warns(UserWarning, match="the adversary is disabled"):
        MixGCF(inner).on_epoch_start(None, graph, 0)


def history_of(loss, configure, dataset, model="lightgcn"):
    config = configure(model, None, train={"epochs": 6, "num_negatives": 8})
    return train(config, dataset, loss=loss, device="cpu").history


@pytest.mark.parametrize("model", ["lightgcn", "simgcl"])  # simgcl: the clean layers
@pytest.mark.parametrize("name", NAMES)
def test_it_trains_with_any_loss(name, model, configure, dataset):
    case = cases.find(name)
    plain = history_of(case.build(), configure, dataset, model)
    hard = history_of(MixGCF(case.build()), configure, dataset, model)
    losses = [record.losses["main/rec"] for record in hard]
    assert losses[-1] < losses[0]
    assert [record.phases for record in hard] == [record.phases for record in plain]
    assert [set(r.diagnostics) for r in hard] == [set(r.diagnostics) for r in plain]


def test_mixed_negatives_are_harder(configure, dataset):
    first = [
        history_of(loss, configure, dataset)[0].losses["main/rec"]
        for loss in (MixGCF(BPR(), 1, 0.0), MixGCF(BPR(), 4, 0.0), MixGCF(BPR(), 4))
    ]
    assert first[0] < first[1] < first[2]


def test_its_adversary_has_turns_and_goes_on_to_the_bit(configure, goes_on):
    turns = {"adversary_every": 2, "adversary_first": 0}
    build = cases.find("adv").build
    make = lambda: {"loss": MixGCF(build(**turns), candidates=2)}  # noqa: E731
    before = build().hardness.item.detach().clone()
    result = goes_on(configure("lightgcn", None), make)
    assert [r.phases for r in result.history] == [["adversary", "main"], ["main"]] * 2
    assert not torch.equal(result.method.loss.loss.hardness.item, before)
