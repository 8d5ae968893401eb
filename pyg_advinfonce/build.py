"""Building what trains one seed: method, loss, hardness, sampler and trainer."""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.config import (
    Config,
    check_loader,
    check_options,
    naming,
    setting_values,
)
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.loader import EdgeSampler, NeighborEdgeSampler
from pyg_advinfonce.losses import Hardness, build_hardness, find_hardness
from pyg_advinfonce.machine import MemoryEstimate, find_device
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.registry import LOSSES, MODELS
from pyg_advinfonce.training import Callback, Sampler, Trainer, seed_everything
from pyg_advinfonce.transforms import BipartiteNorm


def build_method(
    config: Config,
    graph: HeteroData,
    criterion: RankingLoss | None = None,
) -> Method:
    """Build the method that a configuration names, with checked options.

    The encoder and the loss start from streams of their own, so that with one seed
    all losses start from the same embeddings: seeds are pairs in a comparison.
    """
    entry = MODELS[config.model]
    builder, encoder = entry.load(), entry.load_encoder()
    settings = check_options("encoder", encoder, config.encoder)
    train = config.train
    settings |= {"lr": train.lr, "l2": train.l2, "l2_negatives": train.l2_negatives}
    elsewhere = {*settings, *inspect.signature(encoder).parameters}
    settings |= check_options("method", builder, config.method, given=elsewhere)
    seed_everything(config.train.seed, 0, 0, stream=2)
    criterion = criterion or build_criterion(config, graph)
    seed_everything(config.train.seed, 0, 0, stream=1)
    with naming("encoder", encoder, method=builder):
        found: Method = builder(graph, criterion, **settings)
    return found


def build_criterion(config: Config, graph: HeteroData) -> RankingLoss:
    """Build the ranking loss that a configuration names, with checked options."""
    kind = LOSSES[config.criterion].load()
    options = check_options("loss", kind, config.loss, given=["hardness"])
    options = _as_wide(config, kind) | options
    if "hardness" in inspect.signature(kind).parameters:
        options["hardness"] = _build_hardness(config, graph)
    elif config.hardness:
        raise ConfigError(f"loss '{config.criterion}' has no [hardness]")
    with naming("loss", kind):
        found: RankingLoss = kind.from_graph(graph, **options)
    return found


def _build_hardness(config: Config, graph: HeteroData) -> Hardness:
    default = inspect.signature(build_hardness).parameters["kind"].default
    name = str(config.hardness.get("kind", default))
    kind, options = find_hardness(name), dict(config.hardness)
    options.pop("kind", None)
    options = _as_wide(config, kind) | check_options("hardness", kind, options)
    with naming("hardness", kind):
        return build_hardness(graph, name, **options)


def _as_wide(config: Config, kind: type) -> dict[str, int]:
    """Return the width of tables, where there are any, as that of the encoder's."""
    if "dim" not in inspect.signature(kind).parameters:
        return {}
    return {"dim": _width(config)}


def _width(config: Config) -> int:
    """Return the encoder's width; a wrong one is the encoder's to refuse."""
    return max(1, setting_values(config).get("encoder.dim") or 64)


def build_sampler(config: Config, method: Method, graph: HeteroData) -> Sampler:
    """Build the sampler that the section ``[train]`` describes.

    Raises:
        ConfigError: If an option is wrong, or the method needs the whole graph.
        MissingExtraError: If PyG has nothing to sample neighbours with.
    """
    settings = config.train
    edges: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "num_negatives": settings.num_negatives if _samples(method) else 0,
        "sampling": settings.sampling,
        "exclude_positives": settings.exclude_positives,
    }
    check_loader(settings)
    if settings.loader == "full":
        return EdgeSampler(graph, **edges)
    return NeighborEdgeSampler(
        graph,
        _num_neighbors(config, method),
        num_workers=settings.num_workers,
        **edges,
    )


def _num_neighbors(config: Config, method: Method) -> Sequence[int]:
    """Return how many neighbours a hop has, if the method can do with a sample."""
    whole = method.objective.needing_whole_graph()
    hops, found = method.encoder.num_hops, config.train.num_neighbors or (20, 10)
    refused = f"model '{config.model}' does not go with train.loader 'neighbor': "
    if whole or hops is None:
        looks = f"the term '{whole[0]}' looks" if whole else "the encoder looks"
        raise ConfigError(f"{refused}{looks} at the whole graph; use 'full'")
    if hops == 0:
        raise ConfigError(f"{refused}it sends no messages to neighbours; use 'full'")
    if len(found) != hops:
        raise ConfigError(
            f"train.num_neighbors needs a number for each of the encoder's {hops} "
            f"layers, -1 for all neighbours (got {list(found)})"
        )
    return found


def assemble(
    config: Config,
    dataset: Dataset,
    *,
    device: torch.device | str = "auto",
    callbacks: Sequence[Callback] = (),
    criterion: RankingLoss | None = None,
) -> Trainer:
    """Put together what trains one seed of a configuration; write nothing.

    Its ``fit`` looks at the train and validation pairs alone;
    :func:`~pyg_advinfonce.experiment.train` does the rest, and says what the arguments
    are. The batch size is that of
    :meth:`~pyg_advinfonce.config.Config.fitted_to`.

    Raises:
        ConfigError: If an option is wrong, or memory cannot suffice.
    """
    config, place = config.fitted_to(dataset), find_device(device)
    _check_memory(config, dataset.graph, place, criterion)
    graph = prepare(dataset, place)
    with naming("settings", assemble):
        method = build_method(config, graph, criterion).to(place)
        return make_trainer(config, method, graph, callbacks)


def prepare(dataset: Dataset, device: torch.device) -> HeteroData:
    """Return a normalised copy of a data set's graph on a device."""
    graph: HeteroData = BipartiteNorm()(dataset.graph.clone()).to(device)
    return graph


def make_trainer(
    config: Config, method: Method, graph: HeteroData, callbacks: Sequence[Callback]
) -> Trainer:
    """Put a trainer together as the section ``[train]`` says."""
    if _samples(method) and config.train.num_negatives == 0:
        raise ConfigError(
            f"loss '{config.criterion}' needs negatives: train.num_negatives must be "
            "at least 1 (got 0)"
        )
    _warn_if_idle(method, config.train.epochs)
    if config.train.num_negatives == 1:
        _warn_of_single_negatives(method)
    return Trainer(
        method,
        graph,
        build_sampler(config, method, graph),
        Evaluator(graph),
        epochs=config.train.epochs,
        seed=config.train.seed,
        eval_every=config.train.eval_every,
        patience=config.train.patience,
        callbacks=callbacks,
    )


def _samples(method: Method) -> bool:
    """Whether a method's loss wants sampled negatives."""
    return method.loss is not None and method.loss.negatives == "sampled"


def _check_memory(
    config: Config,
    graph: HeteroData,
    device: torch.device,
    criterion: RankingLoss | None = None,
) -> None:
    check_options("encoder", MODELS[config.model].load_encoder(), config.encoder)
    sampled = _negatives(config, criterion) == "sampled"
    MemoryEstimate.of(
        num_nodes=sum(num_nodes(graph)),
        dim=_width(config),
        batch_size=min(config.train.batch_size, split_edges(graph, "train").size(1)),
        num_negatives=config.train.num_negatives if sampled else 0,
    ).check(device)


def _negatives(config: Config, criterion: RankingLoss | None) -> str:
    """Return what a loss wants of a sampler, before it is built."""
    if criterion is not None:
        return criterion.negatives
    default = LOSSES[config.criterion].load().negatives
    return str(setting_values(config).get("loss.negatives", default))


def _warn_if_idle(method: Method, epochs: int) -> None:
    active = [phase.active for phase in method.phases if phase.params is None]
    if active and not any(map(active[0], range(epochs))):
        warnings.warn(
            f"the encoder is not trained in {epochs} epochs: its phase begins later, "
            "raise train.epochs",
            stacklevel=2,
        )


def _warn_of_single_negatives(method: Method) -> None:
    hardness = getattr(method.loss, "hardness", None)
    if isinstance(hardness, Hardness) and any(True for _ in hardness.parameters()):
        warnings.warn(
            "with one negative per positive the hardness is uniform and the adversary "
            "has no effect: raise train.num_negatives",
            stacklevel=3,
        )
