"""The published defaults, and the least and largest values that are allowed."""

import inspect

import pytest

from pyg_advinfonce.losses import (
    BC,
    CCL,
    DCL,
    SDRO,
    XIR,
    AdapTau,
    AdvInfoNCE,
    DirectAU,
    InfoNCE,
)

DEFAULTS = {
    AdvInfoNCE: {"adversary_lr": 1e-4},
    AdapTau: {"warm_up_epochs": 100},
    BC: {"dim": 64, "popularity_tau": 0.1, "freeze_epoch": 5, "capped": True},
    CCL: {"weight": 50.0, "margin": 0.4},
    DCL: {"tau": 0.2, "prior": 1e-3},
    DirectAU: {"gamma": 1.0},
    InfoNCE: {"negatives": "sampled"},
    SDRO: {"eta": 0.001},
    XIR: {"cache_size": 1024},
}


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_a_default_is_the_published_one(kind):
    arguments = inspect.signature(kind).parameters
    assert {n: arguments[n].default for n in DEFAULTS[kind]} == DEFAULTS[kind]


@pytest.mark.parametrize("margin", [-1.0, 1.0])
def test_a_margin_may_be_any_cosine(margin):
    assert CCL(margin=margin).margin == margin


@pytest.mark.parametrize("margin", [-1.01, 1.01])
def test_a_margin_is_a_cosine(margin):
    with pytest.raises(ValueError, match="margin"):
        CCL(margin=margin)
