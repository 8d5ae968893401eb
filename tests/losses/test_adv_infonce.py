from dataclasses import replace

import pytest
import torch

from pyg_advinfonce.losses import (
    AdvInfoNCE,
    EmbeddingHardness,
    MLPHardness,
    RandomHardness,
    UniformHardness,
)
from pyg_advinfonce.objective import Objective, Phase, Step, Supervised, adam
from pyg_advinfonce.terms import EmbeddingL2
from tests import cases, reference
from tests.cases import ADVERSARIAL, DIM, find, toy_batch, toy_tables


def phases_of(criterion):
    objective = Objective({"rec": Supervised(criterion), "l2": EmbeddingL2()})
    return criterion.phases(Phase("main", objective, optimizer=adam(0.5)))


def optimizer_of(phase):
    """Make a phase's optimiser of its own parameters."""
    return phase.optimizer(list(phase.params))


def maximizes(phase):
    return phase.optimizer([]).defaults["maximize"]


def rate(phase):
    return phase.optimizer([]).defaults["lr"]


def ascend(criterion, tables, batch, steps=1, lr=1e-3):
    """Let the adversary act on fixed embeddings, in the direction of its phase."""
    adversary = next(p for p in phases_of(criterion) if p.name == "adversary")
    optimizer = optimizer_of(adversary)
    optimizer.param_groups[0]["lr"] = lr
    constant = [z.detach() for z in tables]
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(*constant, batch).backward()
        optimizer.step()


def test_the_adversary_comes_first_and_ascends_on_the_ranking_loss_alone():
    criterion = find("adv").build(adversary_lr=0.25)
    adversary, main = phases_of(criterion)
    assert (adversary.name, main.name) == ("adversary", "main")
    assert adversary.params == tuple(criterion.hardness.parameters())
    assert maximizes(adversary)
    assert rate(adversary) == 0.25
    assert list(adversary.objective.terms) == ["rec"]
    turns = [epoch for epoch in range(100) if adversary.active(epoch)]
    assert turns == list(range(2, 52, 5))
    assert not maximizes(main)
    assert rate(main) == 0.5
    assert main.params is None
    assert list(main.objective.terms) == ["rec", "l2"]
    assert main.active(0)


def test_algorithm_1_runs_the_adversary_last():
    criterion = find("adv").build(schedule="algorithm1")
    assert [p.name for p in phases_of(criterion)] == ["main", "adversary"]


def test_the_reverse_adversary_descends():
    adversary, _ = phases_of(find("adv-reverse").build())
    assert adversary.name == "adversary"
    assert not maximizes(adversary)


def penalised(loss, graph, **options):
    """Return the phases of MF with a loss, its hardness and a step, in double."""
    method = find(loss).method("mf", graph, options=options).double()
    step = Step(method.encoder, graph, toy_batch(), 0, 0)
    return *method.phases, method.loss.hardness, step


@pytest.mark.parametrize(("loss", "sign"), [("adv", -1), ("adv-reverse", 1)])
def test_the_adversary_alone_pays_for_its_tables(graph, loss, sign):
    adversary, main, hardness, step = penalised(loss, graph, hardness_l2=0.5)
    parts = adversary.objective(step)
    assert list(parts) == ["rec", "hardness_l2"]
    tables = hardness.user, hardness.item
    expected = sign * 0.5 * reference.hardness_l2(*tables, step.batch)
    torch.testing.assert_close(parts["hardness_l2"], expected)
    found = torch.autograd.grad(parts["hardness_l2"], tables)
    for a, b in zip(found, torch.autograd.grad(expected, tables), strict=True):
        torch.testing.assert_close(a, b)
    _, other, _, same = penalised(loss, graph)
    without = other.objective(same)
    assert main.objective(step) == without
    assert parts["rec"] == without["rec"]


@pytest.mark.parametrize("loss", ["adv", "adv-reverse"])
def test_the_penalty_shrinks_the_tables_of_either_adversary(graph, loss):
    adversary, _, hardness, step = penalised(loss, graph, hardness_l2=100.0)
    optimizer = optimizer_of(adversary)
    optimizer.param_groups[0]["lr"] = 0.01
    before = [hardness.penalty(step.batch).item()]
    for _ in range(3):
        optimizer.zero_grad()
        sum(adversary.objective(step).values()).backward()
        optimizer.step()
        before.append(hardness.penalty(step.batch).item())
    assert before == sorted(before, reverse=True)
    assert len(set(before)) == 4


@pytest.mark.parametrize(
    "hardness", [UniformHardness(), RandomHardness(), MLPHardness()]
)
def test_a_penalty_needs_tables(hardness):
    kind = type(hardness).__name__
    with pytest.raises(
        ValueError, match=rf"hardness_l2 must be 0 for {kind}, .* \(got"
    ):
        AdvInfoNCE(hardness, hardness_l2=1.0)
    assert AdvInfoNCE(hardness).hardness_l2 == 0
    with pytest.raises(NotImplementedError, match=f"{kind} has no penalty"):
        hardness.penalty(toy_batch())


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_an_impossible_penalty(weight):
    with pytest.raises(ValueError, match="hardness_l2 must not be negative"):
        find("adv").build(hardness_l2=weight)


@pytest.mark.parametrize("hardness", [UniformHardness(), RandomHardness()])
def test_hardness_without_parameters_has_no_adversary(hardness):
    assert [p.name for p in phases_of(AdvInfoNCE(hardness))] == ["main"]


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("adv", EmbeddingHardness),
        ("adv-mlp", MLPHardness),
        ("rand", RandomHardness),
        ("adv-reverse", EmbeddingHardness),
    ],
)
def test_the_registry_names_kinds_of_hardness(loss, kind):
    criterion = find(loss).build()
    assert type(criterion.hardness) is kind
    assert criterion.reverse is (loss == "adv-reverse")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schedule": "paper"}, r"'official' or 'algorithm1' \(got 'paper'\)"),
        ({"adversary_every": 0}, "adversary_every must be positive"),
        (
            {"adversary_every": 0, "adversary_first": 2},
            "adversary_every must be positive",
        ),
        ({"adversary_epochs": -1}, "adversary_epochs must not be negative"),
        ({"adversary_first": -1}, "adversary_first must not be negative"),
    ],
)
def test_impossible_schedules(wrong, message):
    with pytest.raises(ValueError, match=message):
        AdvInfoNCE(UniformHardness(), **wrong)


@pytest.mark.parametrize("case", ADVERSARIAL, ids=lambda case: case.loss)
def test_a_small_adversarial_step_moves_the_loss_the_right_way(case):
    criterion, tables, batch = case.build(), toy_tables(torch.float32), toy_batch(20, 8)
    criterion.double()
    tables = [z.double() for z in tables]
    before = criterion(*tables, batch)
    ascend(criterion, tables, batch)
    after = criterion(*tables, batch)
    assert (after < before) if case.loss == "adv-reverse" else (after > before)


def test_one_reverse_step_is_the_opposite_of_one_adversarial_step():
    moved = []
    for loss in ("adv", "adv-reverse"):
        criterion, tables = find(loss).build().double(), toy_tables()
        before = criterion.hardness.item.clone()
        ascend(criterion, tables, toy_batch())
        moved.append((criterion.hardness.item - before).detach())
    assert moved[0].any()
    torch.testing.assert_close(moved[0], -moved[1])


def test_several_passes_raise_the_divergence_and_harden_what_scores_high():
    criterion = find("adv").build(tau=0.5)
    tables, batch = toy_tables(torch.float32, seed=4), toy_batch(20, 8)
    constant = [z.detach() for z in tables]
    before = criterion.diagnostics(*constant, batch)
    ascend(criterion, tables, batch, steps=300, lr=1e-2)
    after = criterion.diagnostics(*constant, batch)
    for name in ("kl_uniform_p", "kl_p_uniform"):
        assert after[name] > 5 * before[name]
        assert after[name] > 0.1
    delta = criterion.hardness(*constant, batch)
    user, item = (torch.nn.functional.normalize(z) for z in constant)
    scores = (user[batch.src_index, None] * item[batch.dst_neg_index]).sum(-1)
    rows = torch.arange(20)
    assert (delta[rows, scores.argmax(1)] > 0).float().mean() >= 0.9
    assert (delta[rows, scores.argmin(1)] < 0).float().mean() >= 0.9


def test_a_fixed_hardness_gets_no_gradient_and_fixed_embeddings_neither():
    criterion, tables, batch = find("adv").build(), toy_tables(), toy_batch()
    criterion.double().requires_grad_(False)
    criterion(*tables, batch).backward()
    assert all(p.grad is None for p in criterion.parameters())
    assert all(z.grad is not None for z in tables)


def test_equal_scores_leave_nothing_to_the_adversary():
    criterion, batch = find("adv").build(), toy_batch()
    user, item = (torch.ones(n, 3) for n in (cases.NUM_USERS, cases.NUM_ITEMS))
    criterion(user, item, batch).backward()
    for p in criterion.hardness.parameters():
        torch.testing.assert_close(p.grad, torch.zeros_like(p))


def test_the_layer_0_rows_are_handed_on():
    criterion, batch = find("adv-mlp").build(), toy_batch()
    tables, ego = toy_tables(torch.float32), toy_tables(torch.float32, seed=1)
    plain = criterion(*tables, batch)
    other = criterion(*tables, replace(batch, ego=ego))
    assert plain.item() != other.item()
    found = criterion.diagnostics(*tables, replace(batch, ego=ego))
    assert found != criterion.diagnostics(*tables, batch)


def test_the_adversary_stops_once_it_has_gone_too_far():
    criterion, tables, batch = find("adv").build(max_kl=0.05), toy_tables(), toy_batch()
    adversary, _ = phases_of(criterion)
    plain = find("adv").build()
    assert criterion(*tables, batch) == plain(*tables, batch)
    assert adversary.active(2)
    with torch.no_grad():
        criterion.hardness.user.mul_(20)
        criterion.hardness.item.mul_(20)
    assert criterion.diagnostics(*tables, batch)["kl_uniform_p"] > 0.05
    criterion.eval()(*tables, batch)
    with torch.no_grad():  # nobody trains the hardness
        criterion.train()(*tables, batch)
    assert adversary.active(2)
    criterion(*tables, batch)
    assert not adversary.active(2)
    with pytest.warns(UserWarning, match=r"disabled .* loss.max_kl = 0\.05$"):
        criterion.on_epoch_start(None, None, 3)
    criterion.on_epoch_start(None, None, 4)  # it has been said
    other = find("adv").build(max_kl=0.05)
    other.load_state_dict(criterion.state_dict())
    assert not other.has_turn(2)


def test_masked_negatives_do_not_count_towards_the_bound():
    tables, mask = toy_tables(), torch.tensor([[True, False, False, True]] * 5)
    batch = replace(toy_batch(), neg_mask=mask)
    kl = find("adv").build().diagnostics(*tables, batch)["kl_uniform_p"].item()
    for limit, has_turn in ((1.25 * kl, True), (0.75 * kl, False)):
        criterion = find("adv").build(max_kl=limit)
        criterion(*tables, batch)
        assert criterion.has_turn(2) is has_turn


def test_without_a_bound_nothing_is_saved_of_it():
    assert not any("bound" in name for name in find("adv").build().state_dict())


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_an_impossible_bound(value):
    with pytest.raises(ValueError, match=rf"max_kl must be positive \(got {value}\)"):
        find("adv").build(max_kl=value)


@pytest.mark.parametrize("case", ADVERSARIAL, ids=lambda case: case.loss)
def test_a_single_negative_leaves_nothing_to_the_adversary(case):
    criterion, tables = case.build(), toy_tables(torch.float32)
    criterion(*tables, toy_batch(5, 1)).backward()
    for p in criterion.hardness.parameters():
        torch.testing.assert_close(p.grad, torch.zeros_like(p))


def test_the_schedule_of_algorithm_1_begins_with_the_last_epoch_of_a_period():
    criterion = AdvInfoNCE(
        UniformHardness(), schedule="algorithm1", adversary_every=5, adversary_epochs=2
    )
    assert [epoch for epoch in range(30) if criterion.is_adversarial(epoch)] == [4, 9]


def test_the_smallest_schedule():
    always = AdvInfoNCE(UniformHardness(), adversary_every=1, adversary_first=0)
    assert always.is_adversarial(0)
    never = AdvInfoNCE(UniformHardness(), adversary_epochs=0)
    assert not any(map(never.is_adversarial, range(100)))


def test_hardness_reads_the_layer_0_rows_that_the_loss_is_given():
    torch.manual_seed(0)
    criterion, batch = AdvInfoNCE(MLPHardness(DIM).double()), toy_batch()
    (z_user, z_item), (x_user, x_item) = toy_tables(), toy_tables(seed=1)
    given = replace(batch, ego=(x_user, x_item))
    delta = criterion.hardness(z_user, z_item, given)
    found = criterion.diagnostics(z_user, z_item, given)
    torch.testing.assert_close(found["delta_max"], delta.max())
    losses = [
        criterion(z_user, z_item, replace(batch, ego=ego))
        for ego in ((x_user, x_item), (x_user, z_item), (z_user, x_item), None)
    ]
    assert len({loss.item() for loss in losses}) == 4
