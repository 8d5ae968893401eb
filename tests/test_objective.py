import pickle

import pytest
import torch

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.config import packaged
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import (
    BC,
    BPR,
    CCL,
    SDRO,
    AdapTau,
    AdvInfoNCE,
    EmbeddingHardness,
    InfoNCE,
    MLPHardness,
    UniformHardness,
)
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import (
    Step,
    adam,
    always,
    before_epoch,
    cosine,
    every,
    from_epoch,
    stepped,
)
from pyg_advinfonce.transforms import BipartiteNorm


def epochs(active, stop=40):
    return [epoch for epoch in range(stop) if active(epoch)]


def test_always():
    assert epochs(always, 3) == [0, 1, 2]


def test_from_epoch():
    assert epochs(from_epoch(3), 6) == [3, 4, 5]
    assert epochs(from_epoch(0), 2) == [0, 1]


@pytest.mark.parametrize(
    ("period", "first", "times", "expected"),
    [
        (5, 2, 3, [2, 7, 12]),
        (1, 0, 4, [0, 1, 2, 3]),
        (3, 9, 2, [9, 12]),
        (5, 0, 0, []),
    ],
)
def test_every(period, first, times, expected):
    assert epochs(every(period, first=first, times=times)) == expected


@pytest.mark.parametrize(
    "active", [always, from_epoch(3), before_epoch(4), every(5, first=2, times=3)]
)
def test_predicates_of_epochs_are_pickled(active):
    assert epochs(pickle.loads(pickle.dumps(active))) == epochs(active)


def test_a_factory_of_optimisers_is_pickled():
    make = pickle.loads(pickle.dumps(adam(0.3, maximize=True)))
    (group,) = make([torch.nn.Parameter(torch.zeros(2))]).param_groups
    assert (group["lr"], group["maximize"], group["fused"]) == (0.3, True, True)


def one_step(factory, gradient):
    p = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    p.grad = torch.full_like(p, gradient)
    factory([p]).step()
    return p.detach()


def test_weight_decay_is_part_of_the_gradient_or_decoupled():
    """Without a gradient Adam's first step is lr; AdamW's is lr times the decay."""
    joint = one_step(adam(0.5, weight_decay=0.1), 0.0)
    torch.testing.assert_close(joint, torch.full_like(joint, 1 - 0.5))
    apart = one_step(adam(0.5, weight_decay=0.1, decoupled=True), 0.0)
    torch.testing.assert_close(apart, torch.full_like(apart, 1 - 0.5 * 0.1))


def rates(factory, epochs):
    """Return the learning rate of every epoch, from 1.0."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = pickle.loads(pickle.dumps(factory))(optimizer)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_schedules_of_the_learning_rate():
    assert rates(stepped(2, 0.5), 6) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rates(cosine(4, 0.5), 7) == pytest.approx(
        [1, 0.75 + 0.25 / 2**0.5, 0.75, 0.75 - 0.25 / 2**0.5, 0.5, 0.5, 0.5]
    )


@pytest.mark.parametrize(
    "wrong", [{"period": 0}, {"period": -1}, {"first": -1}, {"times": -1}]
)
def test_every_of_nonsense(wrong):
    options = {"period": 5, "first": 0, "times": 1, **wrong}
    with pytest.raises(ValueError, match="period must be positive"):
        every(**options)


def schedule_of(dataset, model):
    """The options of a row of the paper's Table 12, and what they make of epochs."""
    loss = packaged(dataset, model, "adv")["loss"]
    return loss, AdvInfoNCE(UniformHardness(), **loss).is_adversarial


# docs/methods.md 4.1: Table 12's settings and the last adversarial epoch.
TABLE = [
    ("tencent", "lightgcn", 7, 5, 2, 32),
    ("kuairec", "lightgcn", 12, 5, 2, 57),
    ("yahoo", "lightgcn", 13, 5, 2, 62),
    ("coat", "lightgcn", 20, 15, 12, 297),
    ("tencent", "mf", 8, 5, 2, 37),
    ("yahoo", "mf", 12, 5, 2, 57),
    ("coat", "mf", 18, 15, 12, 267),
]


@pytest.mark.parametrize(
    ("dataset", "model", "times", "period", "first", "last"), TABLE
)
def test_the_published_settings_trigger_the_published_epochs(
    dataset, model, times, period, first, last
):
    loss, active = schedule_of(dataset, model)
    assert (loss["adversary_epochs"], loss["adversary_every"]) == (times, period)
    found = epochs(active, 2000)
    assert found == list(range(first, last + 1, period))
    assert len(found) == times
    assert found == [e for e in range(1, 2000) if (e + 3) % period == 0][:times]


@pytest.mark.parametrize("period", range(1, 20))
def test_the_official_trigger_for_any_period(period):
    loss = AdvInfoNCE(UniformHardness(), adversary_every=period, adversary_epochs=4)
    expected = [e for e in range(200) if e > 0 and (e + 3) % period == 0][:4]
    assert epochs(loss.is_adversarial, 200) == expected


@pytest.mark.parametrize("period", range(1, 20))
def test_the_trigger_of_algorithm_1(period):
    loss = AdvInfoNCE(
        UniformHardness(),
        adversary_every=period,
        adversary_epochs=4,
        schedule="algorithm1",
    )
    counted_from_one = [e + 1 for e in epochs(loss.is_adversarial, 200)]
    assert counted_from_one == [e for e in range(1, 200) if e % period == 0][:4]


@pytest.mark.parametrize("schedule", ["official", "algorithm1"])
def test_the_first_epoch_may_be_chosen(schedule):
    loss = AdvInfoNCE(
        UniformHardness(),
        adversary_every=4,
        adversary_epochs=3,
        adversary_first=1,
        schedule=schedule,
    )
    assert epochs(loss.is_adversarial) == [1, 5, 9]


def test_no_adversarial_epochs():
    loss = AdvInfoNCE(UniformHardness(), adversary_epochs=0)
    assert epochs(loss.is_adversarial, 100) == []


def test_before_epoch():
    assert [before_epoch(2)(epoch) for epoch in range(4)] == [True, True, False, False]


class OfUser(UniformHardness):
    """A hardness of a user's code, which may read any row."""


class OfAll(InfoNCE):
    """A loss of a user's code, which may read any row."""

    def forward(self, z_user, z_item, batch):
        return super().forward(z_user, z_item, batch) + z_user.square().mean()


NARROW = {
    "bpr": BPR,
    "infonce": InfoNCE,
    "in_batch": lambda: InfoNCE(negatives="in_batch"),
    "ccl": CCL,
    "adv": lambda: AdvInfoNCE(EmbeddingHardness(40, 70, 3)),
    "mlp": lambda: AdvInfoNCE(MLPHardness(3)),
    "bc": lambda: BC.from_graph(sparse_graph(), dim=3),
    "adap_tau": lambda: AdapTau.from_graph(sparse_graph()),
    "sdro": lambda: SDRO.from_graph(sparse_graph()),
}


def sparse_graph():
    generator = torch.Generator().manual_seed(0)
    train = (torch.rand(40, 70, generator=generator) < 0.1).nonzero().t()
    return BipartiteNorm()(build_graph(train, num_users=40, num_items=70))


def sparse_batch(num_negatives):
    user, pos = torch.tensor([3, 30, 3, 7, 39, 0]), torch.tensor([5, 60, 5, 0, 69, 1])
    generator = torch.Generator().manual_seed(1)
    negatives = torch.randint(70, (6, num_negatives), generator=generator)
    return EdgeBatch(user, pos, negatives)


def terms_and_gradients(method, num_negatives, *, narrow):
    graph, batch = sparse_graph(), sparse_batch(num_negatives)
    method.zero_grad()
    step = Step(method.encoder, graph, batch, 0, 0)
    if not narrow:
        step.of_rows = lambda: step
    parts = method.objective(step)
    sum(parts.values()).backward()
    grads = {n: p.grad for n, p in method.named_parameters() if p.grad is not None}
    return parts | grads


def lightgcn(loss, **options):
    torch.manual_seed(0)
    encoder = LightGCN(40, 70, 3, options.pop("num_layers", 2), **options)
    return Method.compose(encoder, loss, l2=0.1)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("num_negatives", [4, 12])
@pytest.mark.parametrize("loss", NARROW)
def test_a_step_computes_only_the_rows_that_it_reads(loss, num_negatives, num_layers):
    """With 4 negatives it reads few items as well; values are equal bit for bit."""
    method = lightgcn(NARROW[loss](), num_layers=num_layers)
    calls, rows = [], method.encoder.encode_rows
    method.encoder.encode_rows = lambda *args: calls.append(args[1:]) or rows(*args)
    found = terms_and_gradients(method, num_negatives, narrow=True)
    ((user, item),) = calls
    assert user.tolist() == [0, 3, 7, 30, 39]
    assert (item is None) == (num_negatives == 12)
    whole = lightgcn(NARROW[loss](), num_layers=num_layers)
    expected = terms_and_gradients(whole, num_negatives, narrow=False)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (OfAll, {}),
        (lambda: AdvInfoNCE(OfUser()), {}),
        (InfoNCE, {"noise": 0.1}),
        (InfoNCE, {"message_drop": 0.1}),
        (InfoNCE, {"propagate_layers": 2}),
        (InfoNCE, {"num_layers": 0}),
    ],
)
def test_whoever_may_read_more_gets_all_rows(loss, options):
    method = lightgcn(loss(), **options)
    step = Step(method.encoder, sparse_graph(), sparse_batch(4), 0, 0)
    shapes, run = [], method.encoder.forward
    method.encoder.forward = lambda *a, **k: shapes.append(run(*a, **k)) or shapes[-1]
    method.objective(step)
    assert [z.user.shape for z in shapes] == [(40, 3)]


def test_a_penalty_of_all_layers_gets_all_rows():
    encoder = LightGCN(40, 70, 3, 2)
    method = Method.compose(encoder, InfoNCE(), l2_options={"rows": "layers"})
    step = Step(encoder, sparse_graph(), sparse_batch(4), 0, 0)
    assert not all(term.reads_batch for term in method.objective.terms.values())
    assert method.objective(step)["l2"] > 0
