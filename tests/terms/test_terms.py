from dataclasses import replace

import pytest
import torch
from torch import nn

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.losses import BPR, Criterion
from pyg_advinfonce.objective import (
    Objective,
    RankingLoss,
    RankingTerm,
    Step,
    Supervised,
    Term,
    adam,
)
from pyg_advinfonce.terms import EmbeddingL2
from tests import reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, toy_batch


def step_of(graph, batch=None, **options):
    torch.manual_seed(0)
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM)
    return Step(
        encoder, graph, toy_batch() if batch is None else batch, 3, 1, **options
    )


class Constant(Term):
    """A term of a given value that remembers its epochs."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))
        self.epochs = []

    def forward(self, step):
        return self.value * 1

    def on_epoch_start(self, encoder, graph, epoch):
        self.epochs.append((encoder, graph, epoch))


def objective():
    return Objective(
        {"rec": Constant(3), "l2": Constant(5), "off": Constant(7)},
        weights={"l2": 0.5, "off": 0.0},
    )


def values(parts):
    return {name: part.item() for name, part in parts.items()}


def test_terms_are_weighted_and_named(graph):
    assert values(objective()(step_of(graph))) == {"rec": 3, "l2": 2.5}


def test_a_term_of_weight_zero_is_left_out():
    assert [name for name, _ in objective().named_parameters()] == [
        "terms.rec.value",
        "terms.l2.value",
    ]


def test_only_shares_terms_and_weights(graph):
    whole = objective()
    part = whole.only("l2")
    assert values(part(step_of(graph))) == {"l2": 2.5}
    assert part.terms["l2"] is whole.terms["l2"]


def test_only_of_an_unknown_term():
    with pytest.raises(ConfigError, match=r"among \['rec', 'l2'\] .*\['kl'\]"):
        objective().only("rec", "kl")


def test_plus_adds_a_function_of_the_step_and_shares_the_rest(graph):
    whole, step = objective(), step_of(graph)
    more = whole.plus("epoch", lambda step: torch.tensor(float(step.epoch)), -2.0)
    assert values(more(step)) == {"rec": 3, "l2": 2.5, "epoch": -6}
    assert more.terms["l2"] is whole.terms["l2"]
    assert "epoch" not in whole.terms
    assert more.on_epoch_start(nn.Identity(), graph, 4) is None


def test_plus_of_weight_zero_adds_nothing(graph):
    more = objective().plus("never", lambda step: 1 / 0, 0.0)
    assert values(more(step_of(graph))) == {"rec": 3, "l2": 2.5}


def test_every_term_hears_of_an_epoch(graph):
    whole, encoder = objective(), nn.Identity()
    whole.on_epoch_start(encoder, graph, 4)
    for term in whole.terms.values():
        assert term.epochs == [(encoder, graph, 4)]


def test_the_base_has_no_forward(graph):
    with pytest.raises(NotImplementedError, match="Term has no forward"):
        Term()(step_of(graph))


@pytest.mark.parametrize("negatives", [False, True])
def test_l2_is_the_naive_formula_on_layer_0(graph, negatives):
    step = step_of(graph)
    encoder = step.encoder.double()
    for edges in graph.edge_stores[:2]:
        edges.edge_weight = edges.edge_weight.double()
    penalty = EmbeddingL2(negatives)(step)
    tables = encoder.user, encoder.item
    expected = reference.embedding_l2(*tables, step.batch, negatives=negatives)
    torch.testing.assert_close(penalty, expected)
    found = [g.to_dense() for g in torch.autograd.grad(penalty, tables)]
    wanted = torch.autograd.grad(expected, tables)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("rows", ["ego", "layers", "final"])
def test_l2_plain_norms_are_of_the_first_degree(graph, rows):
    """Twice the tables are twice the plain norms, and four times the squared ones."""
    found = []
    for norm in ("plain", "squared"):
        for reduction in ("mean", "sum"):
            step = step_of(graph)
            penalty = EmbeddingL2(True, norm=norm, reduction=reduction, rows=rows)
            before = penalty(step).item()
            with torch.no_grad():
                for table in (step.encoder.user, step.encoder.item):
                    table.mul_(2)
            step = Step(step.encoder, graph, step.batch, 0, 0)
            found.append((before, penalty(step).item() / before))
    assert [ratio for _, ratio in found] == pytest.approx([2, 2, 4, 4])
    number = len(step.batch.src_index)
    for mean, total in (found[:2], found[2:]):
        assert total[0] == pytest.approx(number * mean[0])


def test_l2_without_layers_is_the_same_for_all_rows(graph):
    found = []
    for rows in ("ego", "layers", "final"):
        torch.manual_seed(0)
        encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=0)
        step = Step(encoder, graph, toy_batch(), 0, 0)
        found.append(EmbeddingL2(True, rows=rows)(step).item())
    assert found == [found[0]] * 3


def test_l2_plain_norms_have_a_gradient_at_zero(graph):
    step = step_of(graph)
    with torch.no_grad():
        step.encoder.user.zero_()
    penalty = EmbeddingL2(norm="plain")(step)
    grad = torch.autograd.grad(penalty, step.encoder.user)[0]
    assert not grad.to_dense().any()


@pytest.mark.parametrize("key", ["norm", "reduction", "rows"])
def test_l2_unknown_options(key):
    with pytest.raises(ValueError, match=f"{key} must be "):
        EmbeddingL2(**{key: "other"})


def test_l2_without_negatives_to_count(graph):
    step = step_of(graph, toy_batch(5, 0))
    expected = EmbeddingL2(negatives=False)(step)
    torch.testing.assert_close(EmbeddingL2(negatives=True)(step), expected)


def test_l2_without_the_negatives_that_are_masked(graph):
    batch = toy_batch(5, 3)
    mask = torch.tensor([[True, False, True]] * 5)
    kept = replace(batch, dst_neg_index=batch.dst_neg_index[:, [0, 2]])
    penalty, expected = (
        EmbeddingL2(negatives=True)(step_of(graph, used))
        for used in (replace(batch, neg_mask=mask), kept)
    )
    torch.testing.assert_close(penalty, expected)


class Spy(Criterion):
    """A criterion that keeps what it was given."""

    def forward(self, z_user, z_item, batch):
        self.seen = (z_user, z_item, batch)
        return z_user.sum()

    def on_epoch_start(self, encoder, graph, epoch):
        self.epoch = epoch


def test_supervised_hands_everything_to_the_criterion(graph):
    spy = Spy()
    term, step = Supervised(spy), step_of(graph)
    loss = term(step)
    z = step.embeddings
    assert torch.equal(loss, z.user.sum())
    user, item, batch = spy.seen
    assert (user is z.user, item is z.item) == (True, True)
    assert all(a is b for a, b in zip(batch.ego, z.layers[0], strict=True))
    assert batch.ego[0] is step.encoder.user
    assert batch.dst_neg_index is step.batch.dst_neg_index
    assert step.batch.ego is None  # what is kept of a step keeps no graph
    term.on_epoch_start(step.encoder, graph, 6)
    assert spy.epoch == 6


def test_supervised_may_see_the_clean_embeddings(graph):
    spy, step = Spy(), step_of(graph)
    step.encoder.message_drop = 0.5
    Supervised(spy, perturb=False)(step)
    assert torch.equal(spy.seen[0], step.encode(perturb=False).user)
    assert not torch.equal(spy.seen[0], step.embeddings.user)
    Supervised(spy)(step)
    assert spy.seen[0] is step.embeddings.user


def test_terms_tell_whether_they_look_at_the_whole_graph():
    one, other = RankingLoss(), RankingLoss()
    other.needs_whole_graph = True
    terms = {"rec": Supervised(one), "more": Supervised(other), "l2": EmbeddingL2()}
    assert Objective(terms).needing_whole_graph() == ["more"]
    assert Objective(terms, {"more": 0.0}).needing_whole_graph() == []


def test_a_loss_that_runs_the_encoder_is_not_given_clean_embeddings(graph):
    class Constantly(RankingTerm):
        def forward(self, step):
            return step.embeddings.user.sum()

    step = step_of(graph)
    assert torch.equal(Supervised(Constantly())(step), step.embeddings.user.sum())
    with pytest.raises(ConfigError, match="Constantly runs the encoder itself"):
        Supervised(Constantly(), perturb=False)(step)


@pytest.mark.parametrize(
    ("kind", "method"), [(RankingLoss, "on_step"), (RankingTerm, "forward")]
)
def test_a_base_says_what_it_lacks(graph, kind, method):
    with pytest.raises(NotImplementedError, match=f"{kind.__name__} has no {method}"):
        kind().on_step(step_of(graph))


def test_an_adam_may_have_nothing_to_train_yet():
    optimizer = adam(0.25, maximize=True)([])
    assert type(optimizer) is torch.optim.Adam
    found = {key: optimizer.defaults[key] for key in ("lr", "maximize", "fused")}
    assert found == {"lr": 0.25, "maximize": True, "fused": True}
    assert [group["params"] for group in optimizer.param_groups] == [[]]


def test_the_default_criterion_does_nothing_but_say_so(graph):
    criterion = Criterion()
    with pytest.raises(NotImplementedError, match="Criterion has no forward"):
        criterion(torch.zeros(1, 2), torch.zeros(1, 2), toy_batch())
    assert (
        criterion.diagnostics(torch.zeros(1, 2), torch.zeros(1, 2), toy_batch()) == {}
    )
    assert criterion.on_epoch_start(nn.Identity(), graph, 0) is None
    assert criterion.phases("main") == ("main",)
    assert isinstance(BPR.from_graph(graph, cosine=True), BPR)


def test_a_step_encodes_once_and_again_when_asked(graph):
    step = step_of(graph)
    assert step.embeddings is step.embeddings
    assert step.clean is step.clean
    again = step.encode()
    assert again is not step.embeddings
    assert torch.equal(again.user, step.embeddings.user)
    assert (step.epoch, step.index) == (3, 1)


def test_a_step_may_be_given_its_embeddings(graph):
    given = step_of(graph).embeddings
    step = step_of(graph, embeddings=given)
    assert step.embeddings is given
    assert step.clean is given
    assert step.encode([graph, graph]) is not given
