import pickle

import pytest
import torch

from pyg_advinfonce.config import packaged
from pyg_advinfonce.losses import AdvInfoNCE, UniformHardness
from pyg_advinfonce.objective import adam, always, before_epoch, every, from_epoch


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
