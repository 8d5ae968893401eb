import json
from dataclasses import replace

import pytest
import torch

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.objective import adam, cosine, from_epoch, stepped
from pyg_advinfonce.training import (
    Callback,
    StateFile,
    Trainer,
    TrainingState,
    read_state,
    read_tensors,
    write_tensors,
)
from pyg_advinfonce.training import state as state_file
from tests import cases
from tests.cases import PAIRS, find, pair_name

RUN = {"settings": {"train.lr": 0.1}, "data": "toy", "device": "cpu"}


@pytest.fixture
def path(tmp_path):
    """Where a state is to be written."""
    return tmp_path / "state.safetensors"


def trained(file, *, epochs=5):
    trainer = make("mf", find("adv"), epochs=epochs, callbacks=[file])
    trainer.fit()
    return trainer


def epochs_in(path):
    return len(read_state(path)[0].about["history"])


@pytest.mark.parametrize(("every", "written"), [(1, 5), (2, 4), (4, 4)])
def test_it_is_written_every_so_many_epochs(path, every, written):
    trained(StateFile(path, RUN, every=every))
    assert epochs_in(path) == written


def test_without_a_number_it_is_written_by_the_clock(path, monkeypatch):
    times = iter([0, 10, 29.9, 30, 59, 60.5, 60.5])
    monkeypatch.setattr(state_file.time, "monotonic", lambda: next(times))
    file = StateFile(path, RUN)
    written = []
    monkeypatch.setattr(file, "write", lambda: written.append(file._written))
    trained(file, epochs=3)
    assert len(written) == 1


def test_what_comes_back_is_the_last_finished_epoch(path):
    file = StateFile(path, RUN, every=99)
    trained(file)
    assert not path.exists()
    file.write()
    state, run = read_state(path)
    assert run.model_dump() == RUN
    assert isinstance(state, TrainingState)
    assert {k: state.about[k] for k in file.state.about} == file.state.about
    assert_same(TrainingState(state.tensors, {}), TrainingState(file.state.tensors, {}))


def test_before_the_first_epoch_there_is_nothing_to_write(path):
    StateFile(path, RUN).write()
    assert not path.exists()


def test_a_write_that_fails_is_a_warning_and_leaves_the_last_state(path, monkeypatch):
    file = StateFile(path, RUN, every=2)
    trained(file, epochs=2)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_file, "write_tensors", fail)
    with pytest.warns(UserWarning, match=r"cannot save .* No space left on device"):
        trained(file, epochs=4)
    assert epochs_in(path) == 2


@pytest.mark.parametrize("version", [0, 1, None, "2"])
def test_another_format_is_refused(path, version):
    trained(StateFile(path, RUN, every=1))
    tensors, about = read_tensors(path)
    write_tensors(path, tensors, about | {"format": version})
    with pytest.raises(CheckpointError, match=rf"format 2 \(got {version}\)"):
        read_state(path)


@pytest.mark.parametrize("every", [0, -1])
def test_every_is_at_least_one_epoch(path, every):
    with pytest.raises(ValueError, match=f"at least one epoch .got {every}"):
        StateFile(path, RUN, every=every)


EPOCHS = 4
# Losses whose later phases, and models whose terms, begin within these epochs.
EARLY = {
    "adv": {"adversary_every": 2, "adversary_first": 0, "adversary_epochs": 3},
    "bc": {"freeze_epoch": 2},
    "ncl": {"first_epoch": 1, "num_prototypes": 2},
}
EARLY |= {"adv-mlp": EARLY["adv"], "adv-reverse": EARLY["adv"]}


class States(Callback):
    """Keeps the state after every epoch, as a file would hold it."""

    def __init__(self):
        self.kept = []

    def on_epoch_end(self, trainer, record):
        state = TrainingState.of(trainer)
        about = json.loads(json.dumps(dict(state.about)))
        self.kept.append(TrainingState(dict(state.tensors), about))


def make(
    model,
    case,
    *,
    epochs=EPOCHS,
    patience=20,
    callbacks=(),
    frozen=(),
    optimizer=None,
):
    graph = cases.toy_graph()
    method = case.method(
        model, graph, options=EARLY.get(case.loss), **EARLY.get(model, {})
    )
    if optimizer is not None:
        phases = [replace(phase, optimizer=optimizer) for phase in method.phases]
        method.phases = tuple(phases)
    for name in frozen:
        method.get_parameter(name).requires_grad_(False)
    sampled = method.loss.negatives == "sampled"
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=4 * sampled)
    return Trainer(
        method,
        graph,
        sampler,
        Evaluator(graph),
        epochs=epochs,
        seed=3,
        eval_every=2,
        patience=patience,
        callbacks=callbacks,
    )


def outcome(trainer):
    """All that a training ends with, but for the seconds that it took."""
    state = TrainingState.of(trainer)
    for record in state.about["history"]:
        record.pop("seconds")
    return state


def assert_same(first, second):
    assert first.about == second.about
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[n], second.tensors[n]) for n in first.tensors)


@pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)
def test_a_training_goes_on_bit_for_bit_from_every_epoch(model, case):
    whole = make(model, case, callbacks=[states := States()])
    best = whole.fit()
    assert len(states.kept) == EPOCHS
    for epoch, state in enumerate(states.kept[:-1]):
        torch.manual_seed(epoch)  # what was drawn before does not matter
        again = make(model, case)
        state.restore(again)
        assert len(again.history) == epoch + 1
        assert again.fit() == best
        assert_same(outcome(again), outcome(whole))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_training_with_a_frozen_table_goes_on_bit_for_bit(moment):
    frozen = ["encoder.user", "objective.terms.rec.loss.hardness.item"]

    def begin(**keys):
        early = frozen if moment == "before" else ()
        trainer = make("lightgcn", find("adv"), frozen=early, **keys)
        for name in frozen:
            trainer.method.get_parameter(name).requires_grad_(False)
        return trainer

    whole = begin(callbacks=[states := States()])
    kept = {name: whole.method.get_parameter(name).clone() for name in frozen}
    best = whole.fit()
    for state in states.kept[:-1]:
        again = begin()
        state.restore(again)
        assert again.fit() == best
        assert_same(outcome(again), outcome(whole))
        for name, before in kept.items():
            assert torch.equal(again.method.get_parameter(name), before)


@pytest.mark.parametrize(
    "schedule",
    [
        stepped(2, 0.5),
        cosine(3, 0.1),
        lambda optimizer: torch.optim.lr_scheduler.CyclicLR(
            optimizer, 0.001, 0.1, step_size_up=2, cycle_momentum=False
        ),
    ],
    ids=["step", "cosine", "of torch"],
)
@pytest.mark.parametrize("first", [0, 2])
def test_a_schedule_goes_on_bit_for_bit_from_every_epoch(schedule, first):
    """The main phase begins in epoch ``first``, and its schedule with it."""

    def begin(**keys):
        trainer = make("mf", find("adv"), epochs=6, **keys)
        trainer.method.phases = tuple(
            replace(
                phase,
                optimizer=adam(0.05),
                active=from_epoch(first),
                lr_schedule=schedule,
            )
            if phase.params is None
            else phase
            for phase in trainer.method.phases
        )
        return replace(trainer)

    whole = begin(callbacks=[states := States()])
    best = whole.fit()
    rates = [record.diagnostics["main_lr"] for record in whole.history]
    assert len({*rates}) > 1
    assert {*rates[: first + 1]} == {rates[0]}
    for state in states.kept[:-1]:
        again = begin()
        state.restore(again)
        assert again.fit() == best
        assert_same(outcome(again), outcome(whole))


def in_groups(kind, **options):
    """Make an optimiser with a group for each half of the parameters."""

    def make(params):
        half = len(params) // 2
        groups = [{"params": params[:half], "lr": 0.02}, {"params": params[half:]}]
        return kind(groups, lr=0.05, **options)

    return make


class Counting(torch.optim.Optimizer):
    """Descends by steps that shrink; remembers numbers, and not in tensors."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    known = self.state[p]
                    known["count"] = known.get("count", 0) + 1
                    known["note"] = None
                    p.sub_(p.grad * group["lr"] / known["count"])


OPTIMIZERS = {
    "AdamW": in_groups(torch.optim.AdamW, weight_decay=0.1),
    "SGD": in_groups(torch.optim.SGD, momentum=0.9, nesterov=True),
    "SGD without momentum": in_groups(torch.optim.SGD),
    "NAdam": in_groups(torch.optim.NAdam),
    "numbers": in_groups(Counting),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_training_by_any_optimiser_goes_on_bit_for_bit(optimizer, path):
    case, keys = find("adv"), {"optimizer": optimizer}
    whole = make("lightgcn", case, callbacks=[states := States()], **keys)
    best, before = whole.fit(), make("lightgcn", case, **keys)
    for (phase, used), (_, new) in zip(whole.phases, before.phases, strict=True):
        assert [g["lr"] for g in used.param_groups] == [0.02, 0.05]
        ours = zip(whole.method.owned_by(phase), used.param_groups, strict=True)
        assert all(p is group["params"][0] for p, group in ours)
        assert type(new) is type(used)
    assert not torch.equal(whole.method.encoder.user, before.method.encoder.user)
    for state in states.kept[:-1]:
        write_tensors(path, state.tensors, {"format": 2, "run": RUN, **state.about})
        again = make("lightgcn", case, **keys)
        read_state(path)[0].restore(again)
        assert again.fit() == best
        assert_same(outcome(again), outcome(whole))


def test_an_optimiser_remembers_numbers_through_a_state():
    keys = {"optimizer": OPTIMIZERS["numbers"]}
    whole = make("mf", find("bpr"), callbacks=[states := States()], **keys)
    whole.fit()
    again = make("mf", find("bpr"), **keys)
    states.kept[-1].restore(again)
    [(_, used)], [(_, found)] = whole.phases, again.phases
    assert used.state_dict() == found.state_dict()
    assert {known["count"] for known in found.state.values()} == {EPOCHS * 4}


def test_a_record_keeps_its_phases_through_a_state():
    whole = make("mf", find("adv"), callbacks=[states := States()])
    whole.fit()
    again = make("mf", find("adv"))
    states.kept[-1].restore(again)
    phases = [record.phases for record in again.history]
    assert phases == [["adversary", "main"], ["main"]] * 2
    assert phases == [record.phases for record in whole.history]


def test_every_phase_and_term_has_run_in_that_test():
    names = {
        "adv": {"adversary/rec", "main/rec", "main/l2"},
        "bc": {"popularity/rec", "main/rec"},
    }
    for loss, expected in names.items():
        trainer = make("lightgcn", find(loss))
        trainer.fit()
        seen = {name for record in trainer.history for name in record.losses}
        assert expected <= seen
    trainer = make("ncl", find("bpr"))
    trainer.fit()
    assert trainer.history[0].losses["main/prototypes"] == 0.0
    assert trainer.history[1].losses["main/prototypes"] != 0.0


def test_a_state_is_a_copy():
    trainer = make("mf", find("adv"), callbacks=[states := States()])
    trainer.fit()
    first, last = states.kept[0].tensors, states.kept[-1].tensors
    assert not torch.equal(first["method/encoder.user"], last["method/encoder.user"])


def test_a_training_that_has_stopped_does_not_go_on():
    whole = make("mf", find("bpr"), patience=1, epochs=50, callbacks=[s := States()])
    whole.fit()
    assert len(whole.history) < 50
    again = make("mf", find("bpr"), patience=1, epochs=50)
    s.kept[-1].restore(again)
    assert again.fit() == whole.stopping.best_epoch
    assert len(again.history) == len(whole.history)
    assert torch.equal(again.method.encoder.user, whole.method.encoder.user)


@pytest.mark.parametrize(
    "other", [("mf", "bpr"), ("ncl", "bpr"), ("lightgcn", "adv-mlp")]
)
def test_a_state_of_another_method_is_refused(other):
    trainer = make("lightgcn", find("adv"), callbacks=[states := States()])
    trainer.fit()
    model, loss = other
    with pytest.raises(CheckpointError, match="state of another run: "):
        states.kept[0].restore(make(model, find(loss)))


@pytest.mark.parametrize("missing", ["stopping", "history", "optimizers"])
def test_a_state_without_a_part_is_refused(missing):
    trainer = make("mf", find("bpr"), callbacks=[states := States()])
    trainer.fit()
    state = states.kept[0]
    about = {k: v for k, v in state.about.items() if k != missing}
    with pytest.raises(CheckpointError, match=missing):
        TrainingState(state.tensors, about).restore(make("mf", find("bpr")))


USER, MOMENT = "method/encoder.user", "phase/0/0/exp_avg"
FORGED = {
    "type of a weight": lambda t, a: t.update({USER: t[USER].double()}),
    "shape of a weight": lambda t, a: t.update({USER: torch.zeros(1)}),
    "best weight": lambda t, a: t.update({"best/encoder.user": torch.zeros(1)}),
    "missing best weight": lambda t, a: t.pop("best/encoder.user"),
    "moment": lambda t, a: t.update({MOMENT: torch.zeros(1)}),
    "type of a moment": lambda t, a: t.update({MOMENT: t[MOMENT].int()}),
    "missing moment": lambda t, a: t.pop(f"{MOMENT}_sq"),
    "negative step": lambda t, a: t.update({"phase/0/0/step": torch.tensor(-1.0)}),
    "missing parameter": lambda t, a: t.update({"phase/0/99/step": torch.tensor(1.0)}),
    "strange name": lambda t, a: t.update({"phase/0/x": torch.tensor(1.0)}),
    "settings": lambda t, a: a.update(run=a["run"] | {"settings": [1]}),
    "device": lambda t, a: a.update(run=a["run"] | {"device": None}),
    "run": lambda t, a: a.pop("run"),
    "history": lambda t, a: a.update(history=[]),
    "record": lambda t, a: a["history"][0].update(losses=[1]),
    "text": lambda t, a: a["history"][0]["losses"].update(x="1"),
    "order": lambda t, a: a["history"].reverse(),
    "score": lambda t, a: a["stopping"].update(best_score="high"),
    "best epoch": lambda t, a: a["stopping"].update(best_epoch=99),
    "optimizers": lambda t, a: a.update(optimizers={}),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_state_is_refused_in_one_line(path, forge):
    trained(StateFile(path, RUN, every=1), epochs=2)
    tensors, about = read_tensors(path)
    forge(tensors, about)
    write_tensors(path, tensors, about)
    with pytest.raises(CheckpointError) as error:
        read_state(path)[0].restore(make("mf", find("adv"), epochs=3))
    assert "\n" not in str(error.value)


def test_an_optimiser_that_reads_its_values_goes_on(path):
    keys = {"optimizer": torch.optim.ASGD}
    trainer = make("mf", find("bpr"), callbacks=[states := States()], **keys)
    trainer.fit()
    again = make("mf", find("bpr"), **keys)
    states.kept[0].restore(again)
    again.fit()
    assert torch.equal(again.method.encoder.user, trainer.method.encoder.user)
