"""Tables of names: models, losses, data sets, metrics, trackers, reproductions.

An entry holds the location and a description of a class or function, so that the
command line can list names without importing torch.
"""

import importlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from pyg_advinfonce.errors import ConfigError, UnknownNameError

Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """One row of a table.

    Attributes:
        target: ``module:attribute`` below this package.
        help: One line of description.
        options: The settings, by section, that define this name.
        encoder: A model's encoder, whose arguments are keys of ``[model]`` too.
        losses: The losses that a model accepts, the default first; for each loss, the
            settings of the pair by section.
        general: Whether matrix factorisation and LightGCN accept this loss.
        with_all: A loss's settings, by section, for ``train.num_negatives = "all"``.
    """

    target: str
    help: str
    options: Options = field(default_factory=dict)
    encoder: str = ""
    losses: Mapping[str, Options] = field(default_factory=dict)
    general: bool = True
    with_all: Options = field(default_factory=dict)

    def load(self) -> Any:  # noqa: ANN401
        """Import the module and return what the entry names."""
        return _load(self.target)

    def load_encoder(self) -> Any:  # noqa: ANN401
        """Import a model's encoder."""
        return _load(self.encoder)


def _load(target: str) -> Any:  # noqa: ANN401
    module, attribute = target.split(":")
    return getattr(importlib.import_module(f"pyg_advinfonce.{module}"), attribute)


# With these losses the L2 penalty includes the negatives.
_L2_NEGATIVES = {"l2_negatives": True}

# A larger weight stands in for negatives that are not sampled.
_WEIGHT_1: Options = {"loss": {"negative_weight": 1.0}}

NO_LOSS = "none"
"""The loss of a model without parameters to train."""

LOSSES: Mapping[str, Entry] = {
    "bpr": Entry(
        "losses:BPR",
        "Bayesian personalised ranking, one negative",
        {"train": {"num_negatives": 1, **_L2_NEGATIVES}},
    ),
    "infonce": Entry(
        "losses:InfoNCE", "Sampled softmax on cosine scores", with_all=_WEIGHT_1
    ),
    "ccl": Entry(
        "losses:CCL",
        "Cosine contrastive loss of SimpleX",
        {"train": _L2_NEGATIVES},
        # The penalty is a sum over the negatives, of which there are now many more.
        with_all={"train": {"l2_negatives": False}},
    ),
    "bc": Entry(
        "losses:BC",
        "Contrastive loss with margins against popularity",
        {"train": _L2_NEGATIVES},
    ),
    "adap-tau": Entry("losses:AdapTau", "InfoNCE with one temperature per user"),
    "adv": Entry(
        "losses:AdvInfoNCE",
        "AdvInfoNCE, hardness from embeddings",
        with_all=_WEIGHT_1,
    ),
    "adv-mlp": Entry(
        "losses:AdvInfoNCE",
        "AdvInfoNCE, hardness from an MLP over the embeddings",
        {"hardness": {"kind": "mlp"}},
        with_all=_WEIGHT_1,
    ),
    "rand": Entry(
        "losses:AdvInfoNCE",
        "InfoNCE with random hardness (ablation)",
        {"hardness": {"kind": "random"}},
        with_all=_WEIGHT_1,
    ),
    "adv-reverse": Entry(
        "losses:AdvInfoNCE",
        "AdvInfoNCE whose hardness lowers the loss (ablation)",
        {"loss": {"reverse": True}},
        with_all=_WEIGHT_1,
    ),
    "hdccf": Entry(
        "losses:HDCCF",
        "Debiased contrast with a batch's users and items (reconstructed)",
        {"train": {"sampling": "interaction"}},
    ),
    "xir": Entry(
        "losses:XIR",
        "In-batch negatives resampled by importance, with a cache of items",
        {"train": {"sampling": "interaction"}},
    ),
    "bir": Entry(
        "losses:XIR",
        "In-batch negatives resampled by importance",
        {"loss": {"cache_size": 0}, "train": {"sampling": "interaction"}},
    ),
    "sdro": Entry("losses:SDRO", "Sampled softmax, groups of users reweighted"),
    "invcf": Entry("losses:InvCF", "Preference invariant to exchanged popularity"),
    "directau": Entry("losses:DirectAU", "Alignment and uniformity"),
    "bce": Entry(
        "losses:BCE",
        "Binary cross-entropy of edges, UltraGCN's weights included",
        {"train": _L2_NEGATIVES},
        general=False,
    ),
    "dcl": Entry("losses:DCL", "DCL's debiased InfoNCE (reconstructed)", general=False),
    "autocf": Entry(
        "losses:AutoCFLoss",
        "AutoCF's loss: softmax over all items, contrasts, masked edges",
        general=False,
    ),
}
"""The losses by name."""

HARDNESS: Mapping[str, Entry] = {
    "uniform": Entry("losses:UniformHardness", "Equal for all negatives"),
    "embedding": Entry("losses:EmbeddingHardness", "From embeddings of its own"),
    "mlp": Entry("losses:MLPHardness", "From an MLP over the embeddings"),
    "random": Entry("losses:RandomHardness", "Random (ablation)"),
}
"""The kinds of hardness, ``hardness.kind``."""

# The losses of matrix factorisation and LightGCN, the paper's own first.
_GENERAL: Mapping[str, Options] = {
    "adv": {},
    **{name: {} for name, entry in LOSSES.items() if entry.general},
}

# The losses of methods that extend LightGCN. SGL and NCL have a penalty of 1e-4,
# LightGCL one of whole tables.
_CONTRASTED = ("bpr", "infonce", "adv")

MODELS: Mapping[str, Entry] = {
    "mf": Entry(
        "methods:build_mf",
        "Matrix factorisation: LightGCN without layers",
        encoder="encoders:LightGCN",
        losses={
            **_GENERAL,
            "invcf": {  # its authors' choice for this model
                "loss": {"negatives": "sampled"},
                "train": {"num_negatives": 128},
            },
        },
    ),
    "lightgcn": Entry(
        "methods:build_lightgcn",
        "LightGCN (He et al., SIGIR 2020)",
        encoder="encoders:LightGCN",
        losses=_GENERAL,
    ),
    "ultragcn": Entry(
        "methods:build_ultragcn",
        "UltraGCN (Mao et al., CIKM 2021): losses replace messages",
        encoder="encoders:UltraGCN",
        losses={
            "bce": {  # the authors' settings for Yelp2018, with fewer negatives
                "loss": {
                    "w1": 1e-8,
                    "w2": 1.0,
                    "w3": 1e-8,
                    "w4": 1.0,
                    "negative_weight": 300.0,
                    "reduction": "sum",
                },
                "train": {
                    "sampling": "interaction",
                    "exclude_positives": False,
                    "num_negatives": 300,
                    "l2": 1e-4,
                },
            },
            "infonce": {},
            "adv": {},
            "adv-mlp": {},
        },
    ),
    "vgae": Entry(
        "methods:build_vgae",
        "Variational graph auto-encoder of users and items (reconstructed)",
        encoder="encoders:VGAE",
        losses={"bce": {}, "infonce": {}, "adv": {}, "adv-mlp": {}},
    ),
    "sgl": Entry(
        "methods:build_sgl",
        "SGL (Wu et al., SIGIR 2021): contrasts graphs with dropped edges",
        encoder="encoders:LightGCN",
        losses={name: {"train": {"l2": 1e-4}} for name in _CONTRASTED},
    ),
    "ncl": Entry(
        "methods:build_ncl",
        "NCL (Lin et al., WWW 2022): contrasts neighbours, clusters",
        encoder="encoders:LightGCN",
        losses={name: {"train": {"l2": 1e-4}} for name in _CONTRASTED},
    ),
    "simgcl": Entry(
        "methods:build_simgcl",
        "SimGCL (Yu et al., SIGIR 2022): contrasts two noisy passes",
        encoder="encoders:LightGCN",
        losses={name: {} for name in _CONTRASTED},
    ),
    "xsimgcl": Entry(
        "methods:build_xsimgcl",
        "XSimGCL (Yu et al., TKDE 2023): contrasts layers of a noisy pass",
        encoder="encoders:LightGCN",
        losses={name: {} for name in _CONTRASTED},
    ),
    "lightgcl": Entry(
        "methods:build_lightgcl",
        "LightGCL (Cai et al., ICLR 2023): contrasts a low-rank graph",
        encoder="encoders:LightGCN",
        losses={name: {} for name in _CONTRASTED},
    ),
    "dcl": Entry(
        "methods:build_dcl",
        "DCL (Liu et al., 2021; reconstructed): contrasts message dropout",
        encoder="encoders:LightGCN",
        losses={"dcl": {}},
    ),
    "autocf": Entry(
        "methods:build_autocf",
        "AutoCF (Xia et al., WWW 2023): masked graph autoencoding",
        encoder="encoders:AutoCF",
        losses={
            "autocf": {
                "model": {"dim": 32},
                "train": {
                    "batch_size": 4096,
                    "num_negatives": 0,
                    "l2": 1e-7,
                    "sampling": "interaction",
                },
            }
        },
    ),
    "popularity": Entry(
        "encoders:Popularity",
        "Number of train pairs, without a loss",
        encoder="encoders:Popularity",
        losses={NO_LOSS: {}},
    ),
    "itemknn": Entry(
        "encoders:ItemKNN",
        "Item neighbourhoods by cosine, without a loss",
        encoder="encoders:ItemKNN",
        losses={NO_LOSS: {}},
    ),
    "ease": Entry(
        "encoders:EASE",
        "EASE (Steck, WWW 2019): linear autoencoder in closed form",
        encoder="encoders:EASE",
        losses={NO_LOSS: {}},
    ),
    "ials": Entry(
        "encoders:IALS",
        "iALS (Hu et al., ICDM 2008): alternating least squares",
        encoder="encoders:IALS",
        losses={NO_LOSS: {"train": {"eval_every": 1}}},
    ),
}
"""The models by name."""

DATASETS: Mapping[str, Entry] = {
    **{
        name: Entry("datasets:PublishedDataset", text)
        for name, text in {
            "coat": "290 users, 295 coats; unbiased test",
            "yahoo": "Yahoo!R3: 14,382 users, 1,000 songs",
            "kuairec": "7,176 users, 10,728 videos",
            "tencent": "95,709 users, 41,602 videos",
            "gowalla": "29,858 users, 40,981 places; LightGCN's split",
            "yelp2018": "31,668 users, 38,048 businesses; LightGCN's split",
            "amazon-book": "52,643 users, 91,599 books; LightGCN's split",
            "lastfm": "1,892 users, 4,489 artists; LightGCN's split",
            "amazon-beauty": "22,363 users, 12,101 products; SELFRec's split",
            "ml-100k": "MovieLens: 943 users, 1,682 films; ratings from 4 on",
            "ml-1m": "MovieLens: 6,034 users, 3,533 films; ratings from 4 on",
            "ml-20m": "MovieLens: 136,677 users, 20,720 films; ratings from 4 on",
        }.items()
    },
    "simulated": Entry(
        "datasets.simulated:Simulated",
        "Missing not at random; also simulated:yahoo, :kuairec, :tencent",
    ),
}
"""The data sets by name."""

DATA_ROOT = "ADVNCE_DATA"
"""The environment variable that names the default folder of the data sets."""

METRICS: Mapping[str, str] = {
    "recall": "hits among the top k / held-out items of the user",
    "ndcg": "discounted gain of the hits / the maximum possible gain",
    "hr": "1 if any held-out item is among the top k",
    "precision": "hits among the top k / k",
    "mrr": "1 / rank of the first hit among the top k, 0 without a hit",
    "map": "mean precision at the ranks of the hits among the top k",
    "snips-recall": "recall, held-out items weighted by inverse propensity",
    "snips-ndcg": "ndcg, held-out items weighted by inverse propensity",
    "arp": "mean train degree of the listed items (average popularity)",
    "tail": "share of the list outside the 20 % most popular candidates",
    "novelty": "mean self-information of the listed items, in bits",
    "coverage": "share of the candidates that are in any list",
    "gini": "inequality of the candidates' exposure, 0 if equal",
}
"""The description of each metric, by name."""

DEFAULT_METRICS = ("recall", "ndcg", "hr", "precision", "mrr")
"""The metrics that are computed unless others are asked for."""

MONITOR = "valid/recall@20"
"""The validation metric that selects the best epoch."""

TOTAL_METRICS = ("coverage", "gini")
"""The metrics of all lists together, without a value per user."""

TRACKERS: Mapping[str, Entry] = {
    "tensorboard": Entry("training:TensorBoard", "An event file beside the history"),
    "wandb": Entry("training:WandB", "A run of Weights & Biases"),
    "mlflow": Entry("training:MLflow", "A run of MLflow"),
}

REPRODUCTIONS: Mapping[str, Entry] = {
    "table4": Entry(
        "studies.paper:reproduce_table", "MF, unbiased test: Yahoo!R3 and Coat"
    ),
    "table5": Entry("studies.paper:reproduce_table", "MF, shifted tests: Tencent"),
    "table6": Entry(
        "studies.paper:reproduce_table",
        "UltraGCN and VGAE, shifted tests: Tencent",
    ),
    "table7": Entry(
        "studies.paper:reproduce_table",
        "LightGCN and further baselines, shifted tests: Tencent",
    ),
    "table9": Entry(
        "studies.paper:reproduce_table", "Seconds per epoch and in total: Tencent"
    ),
    "table10": Entry(
        "studies.paper:reproduce_table",
        "LightGCN, hardness from embeddings or an MLP: all data sets",
    ),
    "table13": Entry(
        "studies.paper:reproduce_table",
        "LightGCN + AdvInfoNCE by number of negatives: Tencent",
    ),
    "yelp2018": Entry(
        "studies.paper:reproduce_table",
        "LightGCN and contrastive methods: Yelp2018, of SELFRec",
    ),
    "gowalla": Entry("studies.paper:reproduce_table", "LightGCN: Gowalla"),
    "amazon-book": Entry("studies.paper:reproduce_table", "LightGCN: Amazon-Book"),
    "fig4": Entry(
        "studies.paper.figures:reproduce_figure",
        "Hardness by popularity, and the strategies: KuaiRec",
    ),
    "fig5": Entry(
        "studies.paper.figures:reproduce_figure",
        "Number of adversarial epochs: KuaiRec",
    ),
    "fig6": Entry(
        "studies.paper.figures:reproduce_figure",
        "False negatives identified: Tencent",
    ),
    "fig7": Entry(
        "studies.paper.figures:reproduce_figure",
        "Scores and ranks of single negatives: Tencent",
    ),
}
"""The paper's tables and figures, and tables of benchmarks, by name."""


LONG_CUTOFF = 0.8
"""The similarity of a long name that is suggested; of a short one it is 0.5."""

_ROW = Entry("studies.paper:reproduce_table", "One row of the tables")


def unknown(
    kind: str, name: str, choices: Iterable[str], others: Iterable[str] = ()
) -> UnknownNameError:
    """Return the error for an unknown name, with the known names.

    Args:
        kind: What the name is of, e.g. ``loss``.
        name: The unknown name.
        choices: The known names. The entries of a table are also found by their long
            names, e.g. ``adv`` by ``AdvInfoNCE``.
        others: Further names to suggest, which are not listed.
    """
    listed = {_letters(choice): choice for choice in choices}
    known = {_letters(other): other for other in others} | listed
    aliases = dict(known)
    for choice in listed.values():
        entry = choices.get(choice) if isinstance(choices, Mapping) else None
        for text in _long_names(entry) if isinstance(entry, Entry) else ():
            aliases.setdefault(_letters(text), choice)
    asked = _letters(name)
    close = get_close_matches(asked, aliases, n=1, cutoff=LONG_CUTOFF)
    close = close or get_close_matches(asked, known, n=1, cutoff=0.5)
    hint = f", did you mean '{aliases[close[0]]}'?" if close else ";"
    return UnknownNameError(
        f"unknown {kind} '{name}'{hint} choose from {', '.join(listed.values())}"
    )


def _long_names(entry: Entry) -> tuple[str, str]:
    """Return the name in the code, and what the description begins with."""
    head = re.split(r"[(:,]", entry.help)[0]
    return entry.target.split(":")[1].removeprefix("build_"), head


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower()) or text


def resolve(kind: str, name: str) -> Any:  # noqa: ANN401
    """Return the class or builder of a name.

    Args:
        kind: ``model``, ``loss``, ``hardness.kind`` or ``dataset``.
        name: The name.

    Raises:
        UnknownNameError: If the table has no such name.
    """
    return find(kind, name).load()


def find(kind: str, name: str) -> Entry:
    """Return the entry that :func:`resolve` loads."""
    table = _TABLES[kind]
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]


_TABLES: Mapping[str, Mapping[str, Entry]] = {
    **{"model": MODELS, "loss": LOSSES, "dataset": DATASETS},
    "hardness.kind": HARDNESS,
}


def data_root(root: Path | str | None = None) -> Path:
    """Return the folder of the data sets' folders.

    Args:
        root: The folder (default: that of the environment variable ``ADVNCE_DATA``,
            else ``data``).
    """
    return Path(root or os.environ.get(DATA_ROOT) or "data")


def find_reproduction(name: str) -> Entry:
    """Return the entry of a table or figure, or of a row such as ``coat/mf-adv``.

    Raises:
        UnknownNameError: If the name does not exist.
    """
    if "/" in name:
        return _ROW
    if name not in REPRODUCTIONS:
        rows = "or one row, e.g. coat/lightgcn-adv"
        raise UnknownNameError(
            f"{unknown('reproduction', name, REPRODUCTIONS)}, {rows}"
        )
    return REPRODUCTIONS[name]


def is_custom(name: str) -> bool:
    """Whether a name is that of custom code, ``module:attribute``."""
    return ":" in name


def custom_name(target: object) -> str:
    """Return ``module:attribute`` of a function, a class or an instance's class."""
    target = target.func if isinstance(target, partial) else target
    named: Any = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}:{named.__qualname__}"


def check_pair(model: str, loss: str | None) -> None:
    """Check that a model and a loss are known and can be combined.

    A custom model accepts any loss, and any model with a loss accepts a custom one.

    Raises:
        UnknownNameError: If a table has no such name.
        ConfigError: If the model does not accept the loss.
    """
    custom = is_custom(model)
    if not custom and model not in MODELS:
        raise unknown("model", model, MODELS)
    known = {**LOSSES, NO_LOSS: None} if custom else MODELS[model].losses
    if loss is None or (is_custom(loss) and (custom or NO_LOSS not in known)):
        return
    if loss not in LOSSES and loss not in known and not is_custom(loss):
        raise unknown("loss", loss, {k: LOSSES.get(k) for k in known})
    if loss not in known:
        raise ConfigError(
            f"model '{model}' does not accept the loss '{loss}': "
            f"choose from {', '.join(known)}"
        )


def pair_settings(model: str, loss: str) -> tuple[Options, Options]:
    """Return the settings of a loss, and its further settings for this model."""
    own = LOSSES[loss].options if loss in LOSSES else {}
    return own, {} if is_custom(model) else MODELS[model].losses.get(loss, {})


def all_negatives_settings(loss: str) -> Options:
    """Return the settings of a loss for ``train.num_negatives = "all"``."""
    return LOSSES[loss].with_all if loss in LOSSES else {}


def default_loss(model: str) -> str:
    """Return the default loss of a model.

    Raises:
        UnknownNameError: If the model does not exist.
    """
    if is_custom(model):
        return next(iter(_GENERAL))
    if model not in MODELS:
        raise unknown("model", model, MODELS)
    return next(iter(MODELS[model].losses))
