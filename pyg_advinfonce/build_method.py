"""A method, and its parts, of a configuration."""

import inspect

from torch_geometric.data import HeteroData

from pyg_advinfonce.config import Config, check_options, naming
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.hardness import KINDS, Hardness, build_hardness
from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.registry import LOSSES, MODELS, unknown
from pyg_advinfonce.terms.base import RankingTerm
from pyg_advinfonce.training.trainer import seed_everything


def build_method(
    config: Config,
    graph: HeteroData,
    criterion: Criterion | RankingTerm | None = None,
) -> Method:
    """Build the method that a configuration names, with checked options.

    The encoder and the criterion start from streams of their own, so that with one seed
    all losses start from the same embeddings: seeds are pairs in a comparison.
    """
    entry = MODELS[config.model]
    builder, encoder = entry.load(), entry.load_encoder()
    settings = check_options("encoder", encoder, config.encoder)
    settings |= {"lr": config.train.lr, "l2": config.train.l2}
    elsewhere = {*settings, *inspect.signature(encoder).parameters}
    settings |= check_options("method", builder, config.method, given=elsewhere)
    seed_everything(config.train.seed, 0, 0, stream=2)
    criterion = criterion or build_criterion(config, graph)
    seed_everything(config.train.seed, 0, 0, stream=1)
    with naming("encoder", encoder, method=builder):
        found: Method = builder(graph, criterion, **settings)
    return found


def build_criterion(config: Config, graph: HeteroData) -> Criterion | RankingTerm:
    """Build the ranking loss that a configuration names, with checked options."""
    kind = LOSSES[config.criterion].load()
    options = check_options("loss", kind, config.loss)
    if "dim" in inspect.signature(kind).parameters:  # tables as wide as the encoder's
        options = {"dim": _width(config)} | options
    if kind is AdvInfoNCE:
        hardness = _build_hardness(config, graph)
        with naming("loss", kind):
            return AdvInfoNCE(hardness, **options)
    if config.hardness:
        raise ConfigError(f"loss '{config.criterion}' has no [hardness]")
    with naming("loss", kind):
        found: Criterion | RankingTerm = kind.from_graph(graph, **options)
    return found


def _build_hardness(config: Config, graph: HeteroData) -> Hardness:
    options = {"kind": "embedding"} | config.hardness
    kind = str(options.pop("kind"))
    if kind not in KINDS:
        raise unknown("hardness.kind", kind, KINDS)
    if kind in ("embedding", "mlp"):
        options = {"dim": _width(config)} | options
    options = check_options("hardness", KINDS[kind], options)
    with naming("hardness", KINDS[kind]):
        return build_hardness(graph, kind, **options)


def _width(config: Config) -> int:
    """Return the encoder's width; a wrong one is the encoder's to refuse."""
    width: int = max(1, config.encoder.get("dim", 64))
    return width
