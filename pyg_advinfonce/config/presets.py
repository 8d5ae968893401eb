"""Presets: settings for points on which papers and their code disagree.

``docs/decisions.md`` has the table of decisions. ``default`` holds what is recommended
for data without packaged settings. ``repro`` follows AdvInfoNCE's official code if that
has the method, including bugs that change results. ``faithful`` follows each method's
own paper or repository (docs/methods.md 9).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
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
        fallback: Whether the packaged settings of a data set override it.
    """

    decision: str
    sections: Options
    losses: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    not_on: tuple[str, ...] = ()
    fallback: bool = False

    def concerns(self, model: str, loss: str, data: str) -> bool:
        """Whether the choice applies to a run."""
        return (
            (not self.losses or loss in self.losses)
            and (not self.models or model in self.models)
            and data.split(":")[0] not in self.not_on
        )


_WITH_TABLES = ("adv", "adv-reverse")
_ADVERSARIAL = (*_WITH_TABLES, "adv-mlp")
_WITHOUT_NEGATIVES_IN_L2 = (*_ADVERSARIAL, "rand", "infonce", "adap-tau", "sdro")
_SELFREC = ("simgcl", "xsimgcl")

# What AdvInfoNCE's official code has.
_OFFICIAL_MODELS = ("mf", "lightgcn", "sgl", "ncl", "xsimgcl")
_WITH_TAU = (*_ADVERSARIAL, "rand", "infonce", "adap-tau")
_WITH_NEGATIVES = (*_WITH_TAU, "ccl", "bc")

# What was tuned on ML-1M (docs/benchmarks.md), and the ablations of these losses.
_TUNED = ("infonce", "rand", *_ADVERSARIAL)
_WITH_PACKAGED = tuple(
    folder.name
    for folder in (resources.files("pyg_advinfonce.config") / "packaged").iterdir()
)

PRESETS: Mapping[str, tuple[Choice, ...]] = {
    "default": (
        Choice(
            "0.2",
            {"train": {"batch_size": 2048, "lr": 5e-3}},
            losses=("bpr", *_TUNED),
            models=("mf", "lightgcn"),
            not_on=_WITH_PACKAGED,
            fallback=True,
        ),
        Choice(
            "0.2",
            {"train": {"num_negatives": 128}},
            losses=_TUNED,
            models=("mf", "lightgcn"),
            not_on=_WITH_PACKAGED,
            fallback=True,
        ),
        Choice(
            "0.2",
            {"train": {"batch_size": 2048, "lr": 5e-3}},
            losses=("bpr",),
            models=("xsimgcl",),
            not_on=_WITH_PACKAGED,
            fallback=True,
        ),
    ),
    "repro": (
        Choice(
            "0.2",
            {"train": {"batch_size": 2048, "lr": 5e-4}},
            losses=(*_WITH_NEGATIVES, "bpr"),
            models=_OFFICIAL_MODELS,
            fallback=True,
        ),
        Choice(
            "0.2",
            {"train": {"num_negatives": 128}},
            losses=_WITH_NEGATIVES,
            models=_OFFICIAL_MODELS,
            fallback=True,
        ),
        Choice(
            "0.2",
            {"loss": {"tau": 0.1}},
            losses=_WITH_TAU,
            models=_OFFICIAL_MODELS,
            fallback=True,
        ),
        Choice(
            "0.2",
            {"loss": {"adversary_lr": 5e-5, "adversary_epochs": 7}},
            losses=_ADVERSARIAL,
            models=_OFFICIAL_MODELS,
            fallback=True,
        ),
        Choice("2.3", {"loss": {"weight": 1.0}}, losses=("ccl",), fallback=True),
        Choice(
            "3.2",
            {
                "model": {
                    "tau": 0.15,
                    "num_prototypes": 2000,
                    "prototype_weight": 1e-7,
                    "neighbor_weight": 0.2,
                }
            },
            models=("ncl",),
            fallback=True,
        ),
        Choice("D6", {"train": {"patience": 10}}, not_on=("tencent",)),
        Choice("D9", {"loss": {"capped": False}}, losses=("bc",)),
        Choice("D10", {"model": {"prototypes": "batch"}}, models=("ncl",)),
        Choice("D11", {"model": {"candidates": "batch"}}, models=("sgl",)),
        Choice("2.5", {"loss": {"unseen": "zero"}}, losses=("adap-tau",)),
        Choice("3.1", {"model": {"weight": 0.2, "tau": 0.15}}, models=("sgl",)),
        Choice(
            "0.2",
            {"model": {"num_layers": 2}, "train": {"l2": 1e-5}},
            models=("sgl", "ncl"),
        ),
    ),
    "faithful": (
        Choice(
            "0.2",
            {"train": {"batch_size": 2048}},
            models=("sgl", *_SELFREC),
            fallback=True,
        ),
        Choice("0.2", {"train": {"l2": 1e-4}}, models=_SELFREC, fallback=True),
        Choice("0.2", {"train": {"batch_size": 4096}}, models=("ncl",), fallback=True),
        Choice(
            "3.8", {"train": {"batch_size": 4096}}, models=("lightgcl",), fallback=True
        ),
        Choice(
            "0.2",
            {"train": {"lr": 1e-4, "l2": 1e-4}, "loss": {"warm_up_epochs": 10}},
            losses=("adap-tau",),
            fallback=True,
        ),
        Choice(
            "0.2",
            {"model": {"num_layers": 3}},
            losses=("adap-tau",),
            models=("lightgcn",),
            fallback=True,
        ),
        Choice(
            "0.2",
            {"train": {"lr": 5e-4}},
            losses=("bc", "sdro", "invcf"),
            fallback=True,
        ),
        Choice("0.2", {"loss": {"tau": 0.15}}, losses=("sdro", "invcf"), fallback=True),
        Choice(
            "0.2", {"train": {"batch_size": 256}}, losses=("directau",), fallback=True
        ),
        Choice(
            "D1", {"train": {"l2_negatives": True}}, losses=_WITHOUT_NEGATIVES_IN_L2
        ),
        Choice("D2", {"loss": {"hardness_l2": 1e-5}}, losses=_WITH_TABLES),
        Choice("D3", {"loss": {"schedule": "algorithm1"}}, losses=_ADVERSARIAL),
        Choice(
            "D4",
            {"train": {"sampling": "interaction"}},
            models=("sgl", "ncl", *_SELFREC, "lightgcl"),
        ),
        Choice(
            "D4",
            {"train": {"sampling": "interaction"}},
            losses=("adap-tau", "directau"),
        ),
        Choice(
            "D5",
            {"hardness": {"input": "final", "activation": "none"}},
            losses=("adv-mlp",),
        ),
        Choice(
            "D8", {"loss": {"positive_in_denominator": False}}, losses=("adap-tau",)
        ),
        Choice("D13", {"loss": {"scale_by_batch": True}}, losses=("sdro",)),
        Choice(
            "0.2",
            {"model": {"init": "uniform"}},
            models=("sgl", "ncl", *_SELFREC, "lightgcl", "autocf"),
        ),
        Choice(
            "0.2",
            {"model": {"init": "uniform"}},
            losses=("adap-tau",),
            models=("mf", "lightgcn"),
        ),
        Choice(
            "0.3",
            {"train": {"drop_last": False}},
            models=("sgl", *_SELFREC, "lightgcl", "autocf", "ultragcn"),
        ),
        Choice("0.3", {"train": {"drop_last": False}}, losses=("xir", "bir")),
        Choice(
            "0.3",
            {"train": {"drop_last": False, "exclude_positives": False}},
            losses=("adap-tau",),
        ),
        Choice("0.5", {"train": {"l2_norm": "plain"}}, models=("ncl",)),
        Choice(
            "0.5",
            {
                "train": {
                    "l2_negatives": False,
                    "l2_norm": "plain",
                    "l2_reduction": "sum",
                    "l2_rows": "final",
                }
            },
            models=_SELFREC,
        ),
        Choice("0.5", {"train": {"l2_rows": "layers"}}, losses=("adap-tau",)),
        Choice(
            "0.5",
            {"train": {"l2_reduction": "sum"}, "loss": {"l2_reduction": "sum"}},
            losses=("invcf",),
            models=("lightgcn",),
        ),
        Choice("1.3", {"model": {"item_graph": "paper"}}, models=("ultragcn",)),
        Choice(
            "1.3",
            {"train": {"num_negatives": 800}},
            models=("ultragcn",),
            losses=("bce",),
        ),
        Choice(
            "2.2",
            {"loss": {"mask_hits": False}},
            losses=("infonce", "sdro", "invcf"),
        ),
        Choice(
            "2.5", {"loss": {"warm_up": "gap", "unseen": "zero"}}, losses=("adap-tau",)
        ),
        Choice("2.11", {"loss": {"cosine": False, "tau": 1.0}}, losses=("xir", "bir")),
        Choice("2.11", {"loss": {"cache_q": "occurrence"}}, losses=("xir",)),
        Choice("2.13", {"loss": {"cosine": False}}, losses=("invcf",)),
        Choice("2.14", {"train": {"l2": 1e-6}}, losses=("directau",)),
        Choice("3.1", {"model": {"anchors": "edges"}}, models=("sgl",)),
        Choice(
            "3.8",
            {
                "model": {"with_negatives": True, "weight": 0.2, "tau": 0.2},
                "train": {"l2": 1e-7},
            },
            models=("lightgcl",),
        ),
    ),
}
"""The choices of each preset by decision of docs/decisions.md; later ones win."""


def preset(
    name: str, model: str, loss: str, data: str, packaged: Options | None = None
) -> dict[str, dict[str, Any]]:
    """Return a preset's settings for a run, by section.

    Args:
        name: The preset's name.
        model: The model's name.
        loss: The loss's name.
        data: The data set's name.
        packaged: The packaged settings of these three.

    Raises:
        UnknownNameError: If the preset does not exist.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    found: dict[str, dict[str, Any]] = {}
    for choice in PRESETS[name]:
        if choice.concerns(model, loss, data):
            given = packaged or {} if choice.fallback else {}
            for section, keys in choice.sections.items():
                own = {k: v for k, v in keys.items() if k not in given.get(section, {})}
                found[section] = found.get(section, {}) | own
    return found
