import pytest
import torch
from torch import nn

from pyg_advinfonce.training.early_stopping import EarlyStopping


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
