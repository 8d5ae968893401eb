"""Presets: settings for points on which papers and their code disagree.

``docs/decisions.md`` has the table of decisions. ``default`` holds the recommended
settings. ``repro`` follows AdvInfoNCE's official code if that has the method, including
bugs that change results. ``faithful`` follows the equations of the original papers
(docs/methods.md 9).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyg_advinfonce.registry import Options, unknown


@dataclass(frozen=True)
class Choice:
    """The settings of a preset for one decision.

    Attributes:
        decision: The decision's name in ``docs/decisions.md``.
        sections: The settings.
        losses: The losses that it applies to (default: all).
        models: The models that it applies to (default: all).
        not_on: The data sets that it does not apply to.
    """

    decision: str
    sections: Options
    losses: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    not_on: tuple[str, ...] = ()

    def concerns(self, model: str, loss: str, data: str) -> bool:
        """Whether the choice applies to a run."""
        return (
            (not self.losses or loss in self.losses)
            and (not self.models or model in self.models)
            and data not in self.not_on
        )


_WITH_TABLES = ("adv", "adv-reverse")
_ADVERSARIAL = (*_WITH_TABLES, "adv-mlp")
_WITHOUT_NEGATIVES_IN_L2 = (*_ADVERSARIAL, "rand", "infonce", "adap-tau", "sdro")

PRESETS: Mapping[str, tuple[Choice, ...]] = {
    "default": (),
    "repro": (
        Choice("D6", {"train": {"patience": 10}}, not_on=("tencent",)),
        Choice("D9", {"loss": {"capped": False}}, losses=("bc",)),
        Choice("D10", {"model": {"prototypes": "batch"}}, models=("ncl",)),
        Choice("D11", {"model": {"candidates": "batch"}}, models=("sgl",)),
        Choice("3.1", {"model": {"weight": 0.2, "tau": 0.15}}, models=("sgl",)),
        Choice(
            "0.2",
            {"model": {"num_layers": 2}, "train": {"l2": 1e-5}},
            models=("sgl", "ncl"),
        ),
    ),
    "faithful": (
        Choice(
            "D1", {"train": {"l2_negatives": True}}, losses=_WITHOUT_NEGATIVES_IN_L2
        ),
        Choice("D2", {"loss": {"hardness_l2": 1e-5}}, losses=_WITH_TABLES),
        Choice("D3", {"loss": {"schedule": "algorithm1"}}, losses=_ADVERSARIAL),
        Choice(
            "D5",
            {"hardness": {"input": "final", "activation": "none"}},
            losses=("adv-mlp",),
        ),
        Choice(
            "D8", {"loss": {"positive_in_denominator": False}}, losses=("adap-tau",)
        ),
        Choice("D13", {"loss": {"scale_by_batch": True}}, losses=("sdro",)),
        Choice("1.3", {"model": {"item_graph": "paper"}}, models=("ultragcn",)),
        Choice("2.5", {"loss": {"warm_up": "gap"}}, losses=("adap-tau",)),
        Choice("2.11", {"loss": {"cache_q": "occurrence"}}, losses=("xir",)),
    ),
}
"""The choices of each preset, one per decision in docs/decisions.md."""


def preset(name: str, model: str, loss: str, data: str) -> dict[str, dict[str, Any]]:
    """Return a preset's settings for a run, by section.

    Raises:
        UnknownNameError: If the preset does not exist.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    found: dict[str, dict[str, Any]] = {}
    for choice in PRESETS[name]:
        if choice.concerns(model, loss, data):
            for section, keys in choice.sections.items():
                found[section] = found.get(section, {}) | dict(keys)
    return found
