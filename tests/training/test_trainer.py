import copy
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import EASE, IALS, ItemKNN, LightGCN, Popularity
from pyg_advinfonce.errors import ConfigError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.losses import InfoNCE
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Objective, Phase, Step, Term, from_epoch
from pyg_advinfonce.training import (
    Callback,
    Diagnostics,
    EarlyStopping,
    FalseNegatives,
    StateFile,
    Trainer,
    TrainingState,
    seed_everything,
    train_only,
)
from pyg_advinfonce.training.trainer import FiniteCheck
from tests import cases
from tests.cases import ADVERSARIAL, DIM, PAIRS, find, pair_name
from tests.scorers import SCORERS, untrained

MONITOR = "valid/recall@20"
NEVER = from_epoch(10**9)


def only(*epochs):
    return lambda epoch: epoch in epochs


def make(case, model=None, *, options=None, method=None, sampler=None, **keys):
    graph = cases.toy_graph()
    method = method or case.method(model, graph, options=options)
    sampler = sampler or EdgeSampler(graph, batch_size=6, num_negatives=4)
    evaluator = keys.pop("evaluator", None) or Evaluator(graph)
    keys = {"epochs": 3, "eval_every": 1, **keys}
    return Trainer(method, graph, sampler, evaluator, **keys)


def set_active(method, **predicates):
    """Choose the epochs of phases by name."""
    method.phases = tuple(
        replace(p, active=predicates.get(p.name, p.active)) for p in method.phases
    )
    return method


class Gradients(torch.optim.Adam):
    """Keeps the norm of all its parameters' gradient before every step."""

    def __init__(self, params):
        super().__init__([{"params": params}], lr=0.01)
        self.norms = []

    def step(self, closure=None):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        flat = torch.cat([g.flatten() for g in grads if g is not None])
        self.norms.append(float(flat.double().square().sum().sqrt()))
        super().step(closure)


def test_a_gradient_is_clipped_by_the_norm_of_all_parameters():
    """The adversary's gradient is not, and small gradients are left as they are."""

    def norms(clip_norm):
        case = find("adv")
        method = case.method("lightgcn", cases.toy_graph())
        method.phases = tuple(
            replace(
                phase,
                optimizer=Gradients,
                active=only(0),
                clip_norm=clip_norm if phase.params is None else None,
            )
            for phase in method.phases
        )
        trainer = make(case, method=method, epochs=1)
        trainer.fit()
        return {phase.name: optimizer.norms for phase, optimizer in trainer.phases}

    free = norms(None)
    limit = 0.7 * min(free["main"])
    clipped = norms(limit)
    assert clipped["main"] == pytest.approx([limit] * len(free["main"]))
    assert clipped["adversary"] == free["adversary"]
    assert norms(10 * max(free["main"])) == free


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def is_same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def adam_state(trainer, name):
    optimizer = next(o for p, o in trainer.phases if p.name == name)
    return {
        f"{index}.{key}": value.clone()
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }


class Snapshots(Callback):
    """Keeps copies of all state at every epoch's end."""

    def __init__(self):
        self.encoder, self.criterion, self.adam = [], [], []

    def on_epoch_end(self, trainer, record):
        self.encoder.append(state_of(trainer.method.encoder))
        self.criterion.append(state_of(trainer.method.loss))
        names = [phase.name for phase, _ in trainer.phases]
        self.adam.append({name: adam_state(trainer, name) for name in names})


class Scripted:
    """An evaluator whose scores are written down in advance."""

    def __init__(self, *scores):
        self.scores, self.splits = list(scores), []

    def metrics(self, scorer, split):
        self.splits.append(split)
        return {MONITOR: self.scores[len(self.splits) - 1]}


class Saboteur:
    """A sampler that spoils a parameter before a batch, or after the last."""

    def __init__(self, parameter, step, value=float("nan"), rounds=0):
        self.sampler = EdgeSampler(cases.toy_graph(), batch_size=6, num_negatives=4)
        self.parameter, self.step, self.value = parameter, step, value
        self.rounds = rounds

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        pairs = list(self.sampler)
        self.batches = [batch for _, batch in pairs]
        for index, pair in enumerate(pairs):
            self.spoil(index)
            yield pair
        self.spoil(len(self))
        self.rounds -= 1

    def spoil(self, index):
        if self.rounds == 0 and index == self.step:
            with torch.no_grad():
                self.parameter[0] = self.value


@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_a_short_training_lowers_the_loss(model, case):
    trainer = make(case, model, epochs=25, eval_every=25)
    trainer.fit()
    losses = [r.losses["main/rec"] for r in trainer.history if "main/rec" in r.losses]
    assert all(map(math.isfinite, losses))
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])


@pytest.mark.parametrize("case", ADVERSARIAL, ids=lambda case: case.loss)
def test_each_phase_moves_its_own_parameters_alone(case):
    watch = Snapshots()
    method = set_active(case.method(), main=only(0, 2), adversary=only(1, 3))
    make(case, method=method, epochs=4, callbacks=[watch]).fit()
    for epoch in (1, 3):  # the adversary's
        assert is_same(watch.encoder[epoch - 1], watch.encoder[epoch])
        assert is_same(watch.adam[epoch - 1]["main"], watch.adam[epoch]["main"])
        assert not is_same(watch.criterion[epoch - 1], watch.criterion[epoch])
    before, after = watch.criterion[1:3], watch.adam[1:3]
    assert is_same(*before)
    assert is_same(after[0]["adversary"], after[1]["adversary"])
    assert not is_same(watch.encoder[1], watch.encoder[2])


@pytest.mark.parametrize("case", ADVERSARIAL, ids=lambda case: case.loss)
def test_an_adversarial_epoch_moves_a_fixed_batchs_loss_the_right_way(case):
    batch = cases.toy_batch(20, 8)

    def loss_of(method):
        z = method.encoder(cases.toy_graph())
        return method.loss(*z.of_batch(batch))

    options = {"adversary_lr": 1e-3, "tau": 0.5}
    method = set_active(
        case.method(options=options), main=NEVER, adversary=only(0, 1, 2)
    )
    graph = cases.toy_graph()
    before = loss_of(method).item()
    sampler = [(graph, batch)] * 5
    make(case, method=method, sampler=sampler).fit()
    after = loss_of(method).item()
    assert (after < before) if case.loss == "adv-reverse" else (after > before)


@pytest.mark.parametrize("case", ADVERSARIAL, ids=lambda case: case.loss)
def test_without_adversarial_epochs_the_hardness_stays_as_it_was(case):
    trainer = make(case, options={"adversary_epochs": 0}, epochs=6)
    before = state_of(trainer.method.loss)
    trainer.fit()
    assert is_same(before, state_of(trainer.method.loss))
    assert all("adversary/rec" not in record.losses for record in trainer.history)


def test_an_adversary_that_goes_too_far_has_no_more_turns():
    options = {"adversary_lr": 1.0, "adversary_every": 1, "adversary_first": 0}
    kept, stopped = (
        make(
            find("adv"),
            epochs=4,
            options={**options, "max_kl": max_kl},
            callbacks=[Diagnostics()],
        )
        for max_kl in (math.inf, 0.05)
    )
    kept.fit()
    with pytest.warns(UserWarning, match="the adversary is disabled for the rest"):
        stopped.fit()
    turns = [
        [record.epoch for record in trainer.history if "adversary/rec" in record.losses]
        for trainer in (kept, stopped)
    ]
    assert turns == [[0, 1, 2, 3], [0]]
    assert stopped.history[0].losses == kept.history[0].losses
    assert stopped.history[0].diagnostics["kl_uniform_p"] > 0.05


def test_uniform_hardness_trains_as_info_nce_of_the_same_weight():
    uniform = next(c for c in cases.CASES if c.id == "adv-kind=uniform")
    trainers = [
        make(uniform, options={"tau": 0.5}),
        make(find("infonce"), options={"tau": 0.5, "negative_weight": 64.0}),
    ]
    for trainer in trainers:
        trainer.fit()
    first, second = (trainer.history for trainer in trainers)
    for a, b in zip(first, second, strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-5)
        assert a.metrics == b.metrics


def test_no_adversarial_epochs_are_nearly_info_nce_of_the_same_weight(graph):
    """Up to the small hardness that the tables start with."""
    method = find("adv").method(options={"adversary_epochs": 0})
    make(find("adv"), method=method).fit()
    z, batch = method.encoder(graph), cases.toy_batch()
    expected = InfoNCE(method.loss.tau, 64.0)(z.user, z.item, batch)
    found = method.loss(z.user, z.item, batch)
    assert found.item() == pytest.approx(expected.item(), abs=0.2)
    for p in method.loss.hardness.parameters():
        p.data.zero_()
    found = method.loss(z.user, z.item, batch)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("schedule", "order"),
    [("official", ["adversary", "main"]), ("algorithm1", ["main", "adversary"])],
)
def test_phases_run_in_the_schedules_order_and_epochs(schedule, order):
    options = {"schedule": schedule, "adversary_every": 2, "adversary_epochs": 2}
    trainer = make(find("adv"), options=options, epochs=7)
    trainer.fit()
    ran = {record.epoch: record.phases for record in trainer.history}
    for record in trainer.history:
        assert record.phases == list(
            dict.fromkeys(n.split("/")[0] for n in record.losses)
        )
        others = [name for name in record.phases if name != "main"]
        assert trainer.ran_beside_main(record) == bool(others)
    assert [e for e in ran if ran[e] == order] == [1, 3]
    assert [e for e in ran if ran[e] == ["main"]] == [0, 2, 4, 5, 6]


def test_the_names_of_phases_mean_nothing():
    seen = []
    for names in ({}, {"main": "adversary", "adversary": "main"}):
        method = find("adv").method(options={"adversary_first": 1})
        method.phases = tuple(
            replace(p, name=names.get(p.name, p.name)) for p in method.phases
        )
        trainer = make(find("adv"), method=method, epochs=7, callbacks=[Diagnostics()])
        trainer.eval_every = 2
        trainer.fit()
        found = [(r.metrics, r.diagnostics) for r in trainer.history]
        other = [trainer.ran_beside_main(record) for record in trainer.history]
        seen.append((found, other, trainer.history[1].phases))
    assert seen[0][:2] == seen[1][:2]
    assert seen[0][1] == [False, True, False, False, False, False, True]
    assert [phases for *_, phases in seen] == [
        ["adversary", "main"],
        ["main", "adversary"],
    ]


def test_a_phase_is_trained_by_the_optimiser_that_it_makes():
    made = []

    def by_sgd(params):
        made.append(torch.optim.SGD(params, lr=0.5))
        return made[-1]

    method = index_method(optimizer=by_sgd)
    trainer = make(None, method=method)
    assert [optimizer for _, optimizer in trainer.phases] == made
    assert made[0].param_groups[0]["params"] == method.owned_by(method.phases[0])


def test_every_phase_has_one_optimiser_of_its_own():
    trainer = make(find("adv"), options={"adversary_lr": 0.25})
    (adversary, attack), (main, fit) = trainer.phases
    assert (adversary.name, main.name) == ("adversary", "main")
    assert (attack.defaults["lr"], attack.defaults["maximize"]) == (0.25, True)
    assert (fit.defaults["lr"], fit.defaults["maximize"]) == (0.01, False)
    for optimizer in (attack, fit):
        assert optimizer.defaults["weight_decay"] == 0
        assert optimizer.defaults["betas"] == (0.9, 0.999)


def test_the_encoder_runs_once_for_the_whole_adversarial_phase():
    method = set_active(find("adv").method(), main=NEVER, adversary=only(0))
    modes = []
    method.encoder.register_forward_hook(lambda m, *_: modes.append(m.training))
    make(find("adv"), method=method, epochs=1).fit()
    assert modes == [False, False]  # the phase, then the last epoch's validation


def test_the_encoder_runs_once_a_step_and_once_a_validation():
    method = find("bpr").method()
    modes = []
    method.encoder.register_forward_hook(lambda m, *_: modes.append(m.training))
    make(find("bpr"), method=method, epochs=2).fit()
    assert modes == ([True] * 4 + [False]) * 2


def test_gradients_and_flags_are_left_as_they_were():
    trainer = make(find("adv"), options={"adversary_first": 0})
    trainer.fit()
    for p in trainer.method.parameters():
        assert p.requires_grad
        assert p.grad is None


class Index(Term):
    """A loss whose value is the step's index, and that keeps what it saw."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_epoch_start(self, encoder, graph, epoch):
        self.epochs.append(epoch)

    def forward(self, step):
        self.steps.append((step.epoch, step.index))
        return step.embeddings.user.sum() * 0 + step.index


def index_method(**phase):
    objective = Objective({"rec": Index(), "more": Index()}, weights={"more": 0.5})
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    phases = (Phase("main", objective, **phase),)
    return Method(encoder, objective, phases, cosine=False)


def test_losses_are_means_over_steps_of_weighted_terms():
    trainer = make(None, method=index_method(), epochs=2)
    trainer.fit()
    for record in trainer.history:
        assert record.losses == {"main/rec": 1.5, "main/more": 0.75}
    term = trainer.method.objective.terms["rec"]
    assert term.steps == [(e, i) for e in range(2) for i in range(4)]
    assert term.epochs == [0, 1]


def test_no_validation_before_the_main_phase_has_run():
    method = index_method(active=from_epoch(3))
    evaluator = Scripted(*[0.1] * 9)
    trainer = make(None, method=method, epochs=6, evaluator=evaluator, eval_every=1)
    trainer.fit()
    assert [r.epoch for r in trainer.history if r.metrics] == [3, 4, 5]


def test_a_callback_may_end_the_training():
    class End(Callback):
        def on_epoch_end(self, trainer, record):
            if record.epoch == 1:
                trainer.epochs = len(trainer.history)

    trainer = make(find("bpr"), epochs=50, callbacks=[End()])
    trainer.fit()
    assert len(trainer.history) == 2


@pytest.mark.parametrize(
    ("epochs", "every", "expected"),
    [(7, 3, [2, 5, 6]), (6, 3, [2, 5]), (4, 5, [3]), (3, 1, [0, 1, 2]), (1, 9, [0])],
)
def test_validates_every_n_epochs_and_at_the_last(epochs, every, expected):
    evaluator = Scripted(*range(9))
    trainer = make(find("bpr"), epochs=epochs, eval_every=every, evaluator=evaluator)
    trainer.fit()
    assert [r.epoch for r in trainer.history if r.metrics] == expected
    assert set(evaluator.splits) == {"valid"}
    assert [r.epoch for r in trainer.history] == list(range(epochs))


def test_the_best_weights_are_restored():
    watch = Snapshots()
    evaluator = Scripted(0.1, 0.4, 0.2, 0.4)
    trainer = make(
        find("adv"),
        epochs=4,
        evaluator=evaluator,
        callbacks=[watch],
        options={"adversary_first": 1, "adversary_every": 1},
    )
    assert trainer.fit() == 1
    assert is_same(state_of(trainer.method.encoder), watch.encoder[1])
    assert is_same(state_of(trainer.method.loss), watch.criterion[1])
    assert not is_same(watch.criterion[1], watch.criterion[3])


def test_patience_stops_the_training():
    evaluator = Scripted(0.3, 0.2, 0.3, 0.1, 0.9)
    trainer = make(
        find("bpr"), epochs=50, eval_every=2, patience=3, evaluator=evaluator
    )
    assert trainer.fit() == 1
    assert len(trainer.history) == 8
    assert len(evaluator.splits) == 4


@pytest.mark.parametrize(
    "monitor", ["test/recall@20", "test_gamma_2/ndcg@20", "train/hr@20", "recall@20"]
)
def test_selection_on_anything_but_the_validation_split_is_refused(monitor):
    with pytest.raises(
        ConfigError, match=f"must start with 'valid/' \\(got '{monitor}"
    ):
        make(find("bpr"), monitor=monitor)


def test_another_validation_metric_may_select():
    trainer = make(find("bpr"), monitor="valid/ndcg@20")
    trainer.fit()
    scores = [record.metrics["valid/ndcg@20"] for record in trainer.history]
    assert trainer.stopping.best_score == max(scores)


def test_a_metric_that_is_not_computed_is_refused():
    with pytest.raises(ConfigError, match=r"valid/recall@7"):
        make(find("bpr"), monitor="valid/recall@7").fit()


def draws(model, case):
    """Whether a pair draws numbers besides the sampler's."""
    return case.draws or model in cases.DRAWING


def run(case, model=None, *, noise=0, **keys):
    torch.manual_seed(noise)
    options = {"adversary_first": 1} if case.has_adversary else {}
    keys = {"epochs": 3, "options": options, "callbacks": [Diagnostics()], **keys}
    trainer = make(case, model, **keys)
    torch.manual_seed(noise)
    trainer.fit()
    return trainer


def told(trainer):
    return [(r.losses, r.metrics, r.diagnostics) for r in trainer.history]


@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_the_same_seed_gives_the_same_numbers_bit_for_bit(model, case):
    first, second = run(case, model, noise=1), run(case, model, noise=2)
    assert told(first) == told(second)
    assert is_same(state_of(first.method), state_of(second.method))
    other = run(case, model, seed=1)
    assert told(first) != told(other)


def test_validating_more_often_does_not_change_training():
    often, seldom = run(find("rand")), run(find("rand"), eval_every=3)
    assert [r.losses for r in often.history] == [r.losses for r in seldom.history]


class Recorder:
    """A sampler that keeps the negatives of every pass."""

    def __init__(self):
        self.sampler = EdgeSampler(cases.toy_graph(), batch_size=6, num_negatives=4)
        self.passes = []

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        pairs = list(self.sampler)
        self.passes.append(torch.cat([batch.dst_neg_index for _, batch in pairs]))
        return iter(pairs)


def test_a_pass_draws_by_run_epoch_and_phase_alone():
    sampler, again = Recorder(), Recorder()
    options = {"adversary_first": 1, "adversary_every": 5}
    make(find("adv"), options=options, sampler=sampler, seed=3).fit()
    for epoch, index in ((0, 1), (1, 0), (1, 1), (2, 1)):  # the adversary is phase 0
        seed_everything(3, epoch, index)
        iter(again)
    assert len(sampler.passes) == len(again.passes) == 4
    pairs = zip(sampler.passes, again.passes, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert len({tuple(p.flatten().tolist()) for p in sampler.passes}) == 4


def test_seeds_differ_by_run_epoch_and_phase():
    draws = {}
    for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**40, 0, 0)]:
        seed_everything(*key)
        draws[key] = tuple(torch.rand(3).tolist())
    assert len(set(draws.values())) == 5
    seed_everything(0, 0, 1)
    assert tuple(torch.rand(3).tolist()) == draws[0, 0, 1]


# A CPU checks each step, a GPU several at once; a pass here has four steps.
checking = pytest.mark.parametrize("every", [1, 2, 3, 50])


@checking
@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_phase_epoch_and_step(step, value, every):
    method = find("adv").method(options={"adversary_epochs": 0})
    sampler = Saboteur(method.encoder.user, step, value, rounds=1)
    trainer = make(find("adv"), method=method, sampler=sampler, epochs=3)
    trainer.check_every = every
    message = rf"phase 'main', epoch 1, step {step}: rec = nan, .*gradient norm nan"
    with pytest.raises(NonFiniteLossError, match=message) as info:
        trainer.fit()
    assert info.value.batch is sampler.batches[step]
    assert [record.epoch for record in trainer.history] == [0]
    assert all(t.isfinite().all() for t in trainer.stopping.best.values())


class Planned(Term):
    """A loss that is infinite in one step, and that an error ends in a later one."""

    def __init__(self, bad, failing=None):
        super().__init__()
        self.bad, self.failing = bad, failing

    def forward(self, step):
        if step.index == self.failing:
            raise ValueError("weights must be numbers")
        loss = step.embeddings.user.square().mean() + step.index
        return loss * torch.inf if step.index == self.bad else loss


def planned_trainer(*plan, every):
    objective = Objective({"rec": Planned(*plan)})
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    method = Method(encoder, objective, (Phase("main", objective),), cosine=False)
    trainer = make(None, method=method)
    trainer.check_every = every
    return trainer


@checking
def test_a_bad_step_is_not_taken_for_an_error_that_it_brings_about(every):
    with pytest.raises(NonFiniteLossError, match="epoch 0, step 1: rec = inf"):
        planned_trainer(1, 2, every=every).fit()


@checking
def test_an_error_before_any_bad_step_is_told_as_it_is(every):
    with pytest.raises(ValueError, match="weights must be numbers"):
        planned_trainer(2, 1, every=every).fit()


def test_how_often_bad_steps_are_looked_for_changes_no_number():
    found = []
    for every in (1, 3, 50):
        trainer = make(find("adv"), options={"adversary_first": 1})
        assert trainer.check_every == 1  # on a CPU, where it is free
        trainer.check_every = every
        trainer.fit()
        found.append((told(trainer), state_of(trainer.method)))
    for numbers, state in found[1:]:
        assert numbers == found[0][0]
        assert is_same(state, found[0][1])


class Unread(TorchFunctionMode):
    """Counts how often the host reads a tensor, for which it waits for a GPU."""

    READS = frozenset(
        {Tensor.__bool__, Tensor.__float__, Tensor.__int__, Tensor.item, Tensor.tolist}
    )

    def __init__(self):
        self.reads = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.reads += func in self.READS
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("every", "looks"), [(1, 7), (2, 4), (3, 3), (7, 1), (50, 1)])
def test_the_device_is_read_once_in_so_many_steps_and_at_the_end(every, looks):
    with Unread() as mode, checked(every) as check:
        for index in range(7):
            check.add(*one_step(index))
    assert mode.reads == looks


def test_few_large_batches_are_held_at_once(monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.training.trainer.HELD_IDS", 40)
    with Unread() as mode, checked(50) as check:
        for index in range(7):  # of 20 negatives each
            check.add(*one_step(index))
    assert mode.reads == 4


def test_seen_items_count_as_what_is_held(monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.training.trainer.HELD_IDS", 40)
    batch = replace(cases.toy_batch(5, 0), seen=torch.zeros(2, 10, dtype=torch.long))
    with Unread() as mode, checked(50) as check:
        for index in range(7):
            step, *found = one_step(index)
            step.batch = batch
            check.add(step, *found)
    assert mode.reads == 4


def checked(every):
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    return FiniteCheck("main", [weight], every)


def one_step(index):
    step = Step(None, None, cases.toy_batch(5, 4), 0, index)
    return step, ("rec", "l2"), torch.tensor([1.0, 0.5, 2.0])


def test_an_infinite_loss_is_caught():
    method = find("bpr").method("mf")
    sampler = Saboteur(method.encoder.user, 1, 1e38)
    with torch.no_grad():
        method.encoder.item.mul_(1e4)
    with pytest.raises(NonFiniteLossError, match="phase 'main', epoch 0, step"):
        make(find("bpr"), method=method, sampler=sampler).fit()


def test_an_infinite_gradient_of_a_finite_loss_is_caught():
    class Steep(Term):
        def forward(self, step):
            return step.embeddings.user.sum().mul(0).sqrt()

    objective = Objective({"rec": Steep()})
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    method = Method(encoder, objective, (Phase("main", objective),), cosine=False)
    with pytest.raises(NonFiniteLossError, match=r"rec = -?0\.0, gradient norm nan"):
        make(None, method=method).fit()


def test_the_adversary_is_named_too():
    method = set_active(find("adv").method(), adversary=only(0))
    sampler = Saboteur(method.loss.hardness.user, 0)
    with pytest.raises(NonFiniteLossError, match="phase 'adversary', epoch 0, step"):
        make(find("adv"), method=method, sampler=sampler).fit()


def test_scores_that_are_no_numbers_name_the_epoch():
    method = find("infonce").method()
    sampler = Saboteur(method.encoder.user, 4, rounds=1)
    with pytest.raises(
        NonFiniteLossError, match=r"epoch 1: scores of .* users are NaN"
    ):
        make(find("infonce"), method=method, sampler=sampler).fit()


def test_the_history_tells_of_every_epoch():
    options = {"adversary_first": 1, "adversary_every": 5}
    trainer = make(
        find("adv"), epochs=4, eval_every=2, options=options, callbacks=[Diagnostics()]
    )
    trainer.fit()
    assert [r.epoch for r in trainer.history] == [0, 1, 2, 3]
    main, both = {"main/rec", "main/l2"}, {"main/rec", "main/l2", "adversary/rec"}
    assert [set(r.losses) for r in trainer.history] == [main, both, main, main]
    names = {f"valid/{n}@20" for n in ("recall", "ndcg", "hr", "precision", "mrr")}
    assert [set(r.metrics) for r in trainer.history] == [set(), names, set(), names]
    assert all(r.seconds > 0 for r in trainer.history)
    seconds = [r.seconds for r in trainer.history[1:]]
    assert trainer.seconds_per_epoch == pytest.approx(sum(seconds) / 3)


def test_one_epoch_is_no_measure_of_time():
    trainer = make(find("bpr"), epochs=1)
    assert trainer.seconds_per_epoch is None
    trainer.fit()
    assert trainer.seconds_per_epoch is None


def test_train_only_restores_flags_even_after_an_error():
    first, last = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    module = torch.nn.Sequential(first, last)
    last.bias.requires_grad_(False)

    def fail():
        with train_only(module, [first.weight, *last.parameters()]):
            assert [p.requires_grad for p in module.parameters()] == [
                *(True, False),  # the bias is not chosen
                *(True, False),  # the bias is chosen, and frozen
            ]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [p.requires_grad for p in module.parameters()] == [True, True, True, False]


@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_a_frozen_parameter_of_any_method_stays_as_it_is(model, case):
    options = {"adversary_first": 0} if case.has_adversary else {}
    trainer = make(case, model, options=options)
    frozen, *others = trainer.method.parameters()
    frozen.requires_grad_(False)
    kept, before = frozen.clone(), [p.clone() for p in others]
    trainer.fit()
    assert torch.equal(frozen, kept)
    assert not frozen.requires_grad
    assert frozen.grad is None
    assert not all(map(torch.equal, others, before))


class Freezer(Callback):
    """Freezes or thaws a parameter after an epoch; keeps its values."""

    def __init__(self, parameter, epoch, trains):
        self.parameter, self.epoch, self.trains = parameter, epoch, trains
        self.kept = [parameter.detach().clone()]

    def on_epoch_end(self, trainer, record):
        self.kept.append(self.parameter.detach().clone())
        if record.epoch == self.epoch:
            self.parameter.requires_grad_(self.trains)

    @property
    def moved(self):
        return [not torch.equal(a, b) for a, b in pairwise(self.kept)]


@pytest.mark.parametrize("trains", [False, True])
def test_a_parameter_may_be_frozen_and_thawed_between_epochs(trains):
    method = find("bpr").method()
    method.encoder.item.requires_grad_(not trains)
    watch = Freezer(method.encoder.item, 1, trains)
    make(find("bpr"), method=method, epochs=4, callbacks=[watch]).fit()
    assert watch.moved == [not trains, not trains, trains, trains]


class Taught(Term):
    """Draws users towards a teacher's, through a layer that is trained."""

    def __init__(self, teacher):
        super().__init__()
        self.teacher, self.layer = teacher, torch.nn.Linear(DIM, DIM)

    def forward(self, step):
        user = step.batch.src_index
        found = self.layer(step.embeddings.user[user])
        return (found - self.teacher(user)).square().mean()


def taught_method(**phase):
    rows = torch.randn(cases.NUM_USERS, DIM)
    teacher = torch.nn.Embedding.from_pretrained(rows, freeze=True)
    codes = torch.ones(2, dtype=torch.int8)  # as of a quantised layer
    teacher.codes = torch.nn.Parameter(codes, requires_grad=False)
    objective = Objective({"rec": Taught(teacher)})
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    phases = (Phase("main", objective, **phase),)
    return Method(encoder, objective, phases, cosine=False)


def test_a_teacher_of_a_term_stays_as_it_is():
    method = taught_method()
    teacher = method.objective.terms["rec"].teacher.weight
    before, kept = state_of(method.encoder), teacher.clone()
    make(None, method=method).fit()
    assert torch.equal(teacher, kept)
    assert not is_same(before, state_of(method.encoder))


def test_the_statistics_of_a_frozen_teacher_stay_as_they_are():
    method = taught_method()
    term = method.objective.terms["rec"]
    normed = torch.nn.Sequential(term.teacher, torch.nn.BatchNorm1d(DIM))
    term.teacher = normed.requires_grad_(False)
    before = {name: buffer.clone() for name, buffer in normed.named_buffers()}
    make(None, method=method).fit()
    assert before
    assert all(torch.equal(b, before[n]) for n, b in normed.named_buffers())


def test_a_phase_of_a_frozen_encoder_encodes_once():
    method, calls = taught_method(), []
    method.encoder.requires_grad_(False)
    method.encoder.register_forward_hook(lambda m, *_: calls.append(m.training))
    before = state_of(method)
    make(None, method=method, epochs=1).fit()
    assert calls == [False, False]  # the phase, then the last epoch's validation
    moved = {n for n, t in method.state_dict().items() if not torch.equal(t, before[n])}
    layer = "objective.terms.rec.layer"
    assert moved == {f"{layer}.weight", f"{layer}.bias"}


def test_a_main_phase_without_anything_to_train_is_refused():
    trainer = make(find("adv"), options={"adversary_first": 0})
    trainer.method.encoder.requires_grad_(False)
    with pytest.raises(ConfigError, match="phase 'main' has no parameter to train"):
        trainer.fit()
    assert trainer.history == []


def test_a_main_phase_that_owns_nothing_is_refused():
    method = taught_method()
    everything = tuple(method.parameters())
    method.phases += (Phase("thief", method.objective, everything),)
    with pytest.raises(ConfigError, match="phase 'main' has no parameter to train"):
        make(None, method=method).fit()


def test_a_frozen_adversary_has_no_turn():
    method = find("adv").method(options={"adversary_first": 0})
    method.loss.hardness.requires_grad_(False)
    before = state_of(method.loss)
    trainer = make(find("adv"), method=method)
    trainer.fit()
    assert is_same(before, state_of(method.loss))
    assert all(set(r.losses) == {"main/rec", "main/l2"} for r in trainer.history)


def on(device, graph, batch):
    return graph.clone().to(device), EdgeBatch(
        *(
            index.to(device)
            for index in (batch.src_index, batch.dst_pos_index, batch.dst_neg_index)
        )
    )


def test_epochs_without_the_main_phase_are_not_validated_but_for_the_last():
    trainer = make(find("bc"), options={"freeze_epoch": 10}, epochs=3)
    assert trainer.fit() == 2
    assert [bool(record.metrics) for record in trainer.history] == [False, False, True]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_one_epoch_on_cuda_agrees_with_cpu(model, case):
    options = {"adversary_first": 0} if case.has_adversary else {}
    method = case.method(model, options=options)
    batches = [cases.toy_batch(6, 4, seed) for seed in range(4)]
    found = []
    for device in ("cpu", "cuda"):
        sampler = [on(device, cases.toy_graph(), batch) for batch in batches]
        graph = sampler[0][0]
        trainer = Trainer(
            copy.deepcopy(method).to(device),
            graph,
            sampler,
            Evaluator(graph),
            epochs=1,
            callbacks=[Diagnostics()],
        )
        trainer.fit()
        found.append(trainer)
    cpu, cuda = (trainer.history[0] for trainer in found)
    if draws(model, case):  # the devices draw differently
        assert cuda.losses["main/rec"] == pytest.approx(cpu.losses["main/rec"], rel=0.5)
        return
    assert cuda.losses == pytest.approx(cpu.losses, rel=1e-4)
    assert cuda.diagnostics == pytest.approx(cpu.diagnostics, rel=1e-3, abs=1e-4)
    states = (trainer.method.state_dict() for trainer in found)
    for a, b in zip(*(state.values() for state in states), strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-3, atol=1e-4)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("sampling", ["user", "interaction"])
def test_sampling_and_training_on_cuda(sampling):
    graph = cases.toy_graph().to("cuda")
    known = cases.train_pairs(graph.clone().to("cpu"))
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=20, sampling=sampling)
    for _, batch in sampler:
        assert batch.dst_neg_index.is_cuda
        users, rows = batch.src_index.tolist(), batch.dst_neg_index.tolist()
        for user, row in zip(users, rows, strict=True):
            assert not known[user] & set(row)
    method = find("adv").method().to("cuda")
    trainer = Trainer(method, graph, sampler, Evaluator(graph), epochs=8, eval_every=2)
    trainer.fit()
    assert all(math.isfinite(r.losses["main/rec"]) for r in trainer.history)


def linear(value):
    module = nn.Linear(1, 1)
    set_weight(module, value)
    return module


def set_weight(module, value):
    with torch.no_grad():
        module.weight.fill_(value)


def test_the_best_weights_come_back():
    module, stopping = linear(0.0), EarlyStopping(9)
    for epoch, (score, weight) in enumerate([(0.1, 1.0), (0.3, 2.0), (0.2, 3.0)]):
        set_weight(module, weight)
        stopping.update(score, epoch, module)
    set_weight(module, 9.0)
    stopping.restore(module)
    assert module.weight.item() == 2.0
    assert (stopping.best_score, stopping.best_epoch) == (0.3, 1)


def test_patience_counts_scores_in_a_row_that_are_not_better():
    module, stopping, told = linear(0.0), EarlyStopping(2), []
    for epoch, score in enumerate([0.1, 0.1, 0.2, 0.2, 0.1]):
        stopping.update(score, epoch, module)
        told.append(stopping.should_stop)
    assert told == [False, False, False, False, True]
    assert stopping.best_epoch == 2


def test_an_equal_score_keeps_the_earlier_weights():
    module, stopping = linear(1.0), EarlyStopping(5)
    stopping.update(0.5, 0, module)
    set_weight(module, 2.0)
    stopping.update(0.5, 1, module)
    stopping.restore(module)
    assert module.weight.item() == 1.0


def test_a_score_that_is_no_number_is_never_the_best():
    module, stopping = linear(1.0), EarlyStopping(5)
    stopping.update(float("nan"), 0, module)
    set_weight(module, 2.0)
    stopping.update(0.5, 1, module)
    set_weight(module, 3.0)
    stopping.update(float("nan"), 2, module)
    assert stopping.best_epoch == 1
    stopping.restore(module)
    assert module.weight.item() == 2.0


def test_without_a_score_weights_stay():
    module = linear(1.0)
    stopping = EarlyStopping(1)
    stopping.restore(module)
    assert module.weight.item() == 1.0
    assert stopping.best_epoch == -1
    assert not stopping.should_stop


def test_a_score_of_zero_beats_none():
    stopping = EarlyStopping(1)
    stopping.update(0.0, 4, linear(1.0))
    assert stopping.best_epoch == 4


@pytest.mark.parametrize("patience", [0, -1])
def test_impossible_patience(patience):
    with pytest.raises(ValueError, match="patience must be positive"):
        EarlyStopping(patience)


@pytest.mark.parametrize("kind", SCORERS)
@pytest.mark.parametrize("epochs", [1, 40])
def test_a_method_without_phases_is_validated_once(kind, epochs):
    graph, told = cases.toy_graph(), [Diagnostics(), FalseNegatives(torch.eq)]
    method = untrained(kind(graph))
    before = state_of(method)
    options = {"epochs": epochs, "eval_every": 5, "callbacks": told}
    trainer = make(None, method=method, **options)
    assert trainer.fit() == 0
    (record,) = trainer.history
    expected = Evaluator(graph).metrics(method.encoder, "valid")
    assert record.metrics == expected
    assert record.losses == record.diagnostics == {}
    assert is_same(state_of(method), before)
    assert trainer.stopping.best_score == expected[MONITOR]
    again = make(None, method=untrained(kind(graph)), **options)
    TrainingState.of(trainer).restore(again)
    assert again.fit() == 0
    assert again.history == trainer.history


class Shrink(Term):
    """Pulls users to zero."""

    def forward(self, step):
        return step.embeddings.user.square().sum()


def test_phases_without_a_ranking_loss_are_diagnosed(graph):
    objective = Objective({"pull": Shrink()})
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    method = Method(encoder, objective, [Phase("main", objective)], cosine=False)
    told = [Diagnostics(), FalseNegatives(torch.eq)]
    trainer = make(None, method=method, epochs=1, callbacks=told)
    trainer.fit()
    assert set(trainer.history[0].diagnostics) == {"align", "uniform"}


def fitting(kind, **options):
    """Return a method whose encoder is fitted without a loss."""
    torch.manual_seed(3)
    return Method.compose(kind(cases.toy_graph(), **options), None)


@pytest.mark.parametrize("kind", [Popularity, ItemKNN, EASE])
def test_a_closed_form_is_fitted_once(kind, monkeypatch):
    calls, fit = [], kind.fit
    monkeypatch.setattr(kind, "fit", lambda *given: (calls.append(1), fit(*given)))
    told = [Diagnostics(), FalseNegatives(torch.eq)]
    trainer = make(None, method=fitting(kind), epochs=9, callbacks=told)
    assert (trainer.fit(), len(calls)) == (0, 1)
    (record,) = trainer.history
    assert record.phases == ["fit"]
    assert record.losses == record.diagnostics == {}
    encoder = trainer.method.encoder
    assert record.metrics == trainer.evaluator.metrics(encoder, "valid")
    expected = kind(trainer.graph)
    fit(expected, trainer.graph)
    assert is_same(state_of(encoder), state_of(expected))


def test_alternating_least_squares_are_validated_and_stopped():
    trainer = make(None, method=fitting(IALS, dim=4), epochs=7, eval_every=3)
    trainer.fit()
    assert [bool(r.metrics) for r in trainer.history] == [0, 0, 1, 0, 0, 1, 1]
    assert {tuple(r.phases) for r in trainer.history} == {("fit",)}
    trainer = make(None, method=fitting(IALS, dim=4), epochs=500, patience=4)
    best = trainer.fit()
    assert len(trainer.history) == best + 5 < 500
    again = fitting(IALS, dim=4)
    for _ in range(best + 1):
        again.encoder.fit(trainer.graph)
    assert is_same(state_of(trainer.method), state_of(again))


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_alternating_least_squares_resume(stop, tmp_path):
    file = StateFile(tmp_path / "state", {}, every=99)
    whole = make(None, method=fitting(IALS, dim=4), epochs=5)
    first = make(None, method=fitting(IALS, dim=4), epochs=stop, callbacks=[file])
    rest = make(None, method=fitting(IALS, dim=4, std=5.0), epochs=5)
    whole.fit()
    first.fit()
    file.state.restore(rest)
    rest.fit()
    assert [r.metrics for r in rest.history] == [r.metrics for r in whole.history]
    assert is_same(state_of(rest.method), state_of(whole.method))


def test_without_validation_all_epochs_are_fitted():
    trainer = make(None, method=fitting(IALS, dim=4), epochs=3, monitor=None)
    assert (trainer.fit(), len(trainer.history)) == (2, 3)
    again = fitting(IALS, dim=4)
    for _ in range(3):
        again.encoder.fit(trainer.graph)
    assert is_same(state_of(trainer.method), state_of(again))


class Shares(Callback):
    def __init__(self):
        self.heard = []

    def on_step(self, trainer, share):
        self.heard.append(share)


def test_callbacks_hear_of_every_step_of_all_phases():
    heard = Shares()
    trainer = make(find("adv"), epochs=1, callbacks=[heard])
    trainer.fit()
    number = len(trainer.history[0].phases) * len(trainer.sampler)
    assert number >= 4
    assert heard.heard == pytest.approx([(i + 1) / number for i in range(number)])
