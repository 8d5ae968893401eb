"""Building a training: method, loss, hardness, sampler and trainer."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.config import (
    FROM_TRAIN,
    Config,
    check_loader,
    check_options,
    loss_target,
    model_targets,
    naming,
    setting_values,
)
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.encoders import as_encoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.loader import EdgeSampler, NeighborEdgeSampler
from pyg_advinfonce.losses import Hardness, build_hardness, find_hardness
from pyg_advinfonce.machine import MemoryEstimate, find_device
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.registry import NO_LOSS
from pyg_advinfonce.training import Callback, Sampler, Trainer, seed_everything
from pyg_advinfonce.transforms import BipartiteNorm

CustomModel = nn.Module | Callable[..., nn.Module]
"""A module, or a class or function that builds one from a graph."""

CustomLoss = RankingLoss | type[RankingLoss]
"""A loss or its class."""


def name_custom(
    config: Config, model: CustomModel | None = None, loss: CustomLoss | None = None
) -> Config:
    """Return a configuration that names a custom model and loss.

    A model without a forward cannot be trained and gets the loss ``none``.
    """
    if isinstance(model, Method):
        loss = loss or model.loss
    if loss is None and _is_untrained(model):
        return config.with_custom(model=model, loss=NO_LOSS)
    return config.with_custom(model=model, loss=loss)


def _is_untrained(model: CustomModel | None) -> bool:
    kind = model if inspect.isclass(model) else type(model)
    return issubclass(kind, nn.Module) and kind.forward is nn.Module.forward


def build_method(
    config: Config,
    graph: HeteroData,
    *,
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
) -> Method:
    """Build the method that a configuration names, with checked options.

    Encoder and loss have separate random streams, so that all losses with the same seed
    start from the same embeddings: seeds are pairs in a comparison.

    Args:
        config: The configuration.
        graph: The normalised graph.
        model: The custom model, if the configuration names one.
        loss: The custom loss, if the configuration names one.

    Raises:
        ConfigError: If an option is wrong, or a custom model or loss is missing or of
            the wrong type.
    """
    seed_everything(config.train.seed, 0, 0, stream=2)
    ranking = build_loss(config, graph, loss)
    seed_everything(config.train.seed, 0, 0, stream=1)
    found = _build_model(config, graph, ranking, model)
    if isinstance(found, Method):
        return found
    if not isinstance(found, nn.Module):
        raise ConfigError(
            f"model '{config.model.name}' must be or return a torch module "
            f"(got {type(found).__name__})"
        )
    if ranking is not None and _is_untrained(found):
        raise ConfigError(
            f"model '{config.model.name}' has no forward and cannot be trained: "
            f"use the loss '{NO_LOSS}'"
        )
    return Method.compose(as_encoder(found), ranking, **_from_train(config))


def _build_model(
    config: Config,
    graph: HeteroData,
    loss: RankingLoss | None,
    model: CustomModel | None,
) -> nn.Module:
    """Return the model of a graph: a whole method, or a module."""
    if isinstance(model, nn.Module):
        _refuse_options("model", config.model.options)
        return model
    targets = model_targets(config, model)
    if not targets:
        raise _missing("model", config.model.name)
    settings = check_options("model", targets, config.model.options, given=FROM_TRAIN)
    builder, given = targets[-1], [graph]
    takes = inspect.signature(builder).parameters
    if "loss" in takes:  # the builder returns a whole method
        any_key = any(p.kind is p.VAR_KEYWORD for p in takes.values())
        own = _from_train(config).items()
        settings |= {key: value for key, value in own if any_key or key in takes}
        given.append(loss)
    try:
        inspect.signature(builder).bind(*given, **settings)
    except TypeError as error:
        raise ConfigError(
            f"model '{config.model.name}' must be callable with the graph and the keys "
            f"of [model] only ({error})"
        ) from error
    with naming("model", *targets):
        found: nn.Module = builder(*given, **settings)
    return found


def _from_train(config: Config) -> dict[str, Any]:
    return {key: getattr(config.train, key) for key in FROM_TRAIN}


def build_loss(
    config: Config, graph: HeteroData, loss: CustomLoss | None = None
) -> RankingLoss | None:
    """Build the ranking loss that a configuration names, with checked options.

    Raises:
        ConfigError: If an option is wrong, or a custom loss is missing or of the wrong
            type.
    """
    if config.loss.name == NO_LOSS:
        return None
    if isinstance(loss, RankingLoss):
        _refuse_options("loss", config.loss.options | config.hardness)
        return loss
    kind = loss_target(config, loss)
    if kind is None:
        raise _missing("loss", config.loss.name)
    if not (inspect.isclass(kind) and issubclass(kind, RankingLoss)):
        raise ConfigError(
            f"loss '{config.loss.name}' must be a subclass of "
            f"pyg_advinfonce.losses.Criterion (got {kind!r})"
        )
    options = check_options("loss", [kind], config.loss.options, given=["hardness"])
    options = _as_wide(config, kind) | options
    if "hardness" in inspect.signature(kind).parameters:
        options["hardness"] = _build_hardness(config, graph)
    elif config.hardness:
        raise ConfigError(
            f"loss '{config.loss.name}' has no hardness: remove [hardness]"
        )
    with naming("loss", kind):
        found: RankingLoss = kind.from_graph(graph, **options)
    return found


def _missing(section: str, name: str) -> ConfigError:
    return ConfigError(
        f"the {section} '{name}' is custom code, which is never imported by its name: "
        f"pass it as {section}=..."
    )


def _refuse_options(section: str, options: Mapping[str, Any]) -> None:
    if options:
        raise ConfigError(
            f"{', '.join(options)} of [{section}] cannot be set, since the {section} "
            "is built already: pass its class"
        )


def _build_hardness(config: Config, graph: HeteroData) -> Hardness:
    default = inspect.signature(build_hardness).parameters["kind"].default
    name = str(config.hardness.get("kind", default))
    kind, options = find_hardness(name), dict(config.hardness)
    options.pop("kind", None)
    options = _as_wide(config, kind) | check_options("hardness", [kind], options)
    with naming("hardness", kind):
        return build_hardness(graph, name, **options)


def _as_wide(config: Config, kind: type) -> dict[str, int]:
    """Return the encoder's width as ``dim``, if the class has such an argument."""
    if "dim" not in inspect.signature(kind).parameters:
        return {}
    return {"dim": _width(config)}


def _width(config: Config) -> int:
    """Return the encoder's width; the encoder itself refuses a wrong one."""
    width = setting_values(config).get("model.dim")
    return width if isinstance(width, int) and width > 0 else 64


def build_sampler(config: Config, method: Method, graph: HeteroData) -> Sampler:
    """Build the sampler of the section ``[train]``.

    Raises:
        ConfigError: If an option is wrong, or the method needs the whole graph.
        MissingExtraError: If no package that samples neighbours is installed.
    """
    settings = config.train
    edges: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "num_negatives": settings.num_negatives if method.negatives == "sampled" else 0,
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
    """Return the number of neighbours per hop; refuse methods without sampling."""
    whole = method.objective.needing_whole_graph()
    hops, found = method.encoder.num_hops, config.train.num_neighbors or (20, 10)
    refused = f"model '{config.model.name}' does not accept train.loader 'neighbor': "
    if whole or hops is None:
        part = f"the term '{whole[0]}'" if whole else "the encoder"
        raise ConfigError(f"{refused}{part} needs the whole graph, use 'full'")
    if hops == 0:
        raise ConfigError(f"{refused}it has no message passing, use 'full'")
    if len(found) != hops:
        raise ConfigError(
            f"train.num_neighbors must have {hops} numbers, one per layer of the "
            f"encoder, -1 for all neighbours (got {list(found)})"
        )
    return found


def assemble(
    config: Config,
    dataset: Dataset,
    *,
    device: torch.device | str = "auto",
    callbacks: Sequence[Callback] = (),
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
) -> Trainer:
    """Return the trainer of one seed of a configuration; write nothing.

    Its ``fit`` uses only the train and validation pairs. The arguments are those of
    :func:`~pyg_advinfonce.experiment.train`; the batch size is that of
    :meth:`~pyg_advinfonce.config.Config.fitted_to`.

    Raises:
        ConfigError: If an option is wrong, or the memory is too small.
    """
    config = name_custom(config, model, loss).fitted_to(dataset)
    place = find_device(device)
    _check_memory(config, dataset.graph, place, model, loss)
    graph = prepare(dataset, place)
    with naming("settings", assemble):
        method = build_method(config, graph, model=model, loss=loss).to(place)
        return make_trainer(config, method, graph, callbacks)


def prepare(dataset: Dataset, device: torch.device) -> HeteroData:
    """Return a normalised copy of a data set's graph on a device."""
    graph: HeteroData = BipartiteNorm()(dataset.graph.clone()).to(device)
    return graph


def make_trainer(
    config: Config, method: Method, graph: HeteroData, callbacks: Sequence[Callback]
) -> Trainer:
    """Return a trainer with the settings of the section ``[train]``."""
    if method.negatives == "sampled" and config.train.num_negatives == 0:
        raise ConfigError(
            f"loss '{config.loss.name}' needs negatives: train.num_negatives must be "
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


def _check_memory(
    config: Config,
    graph: HeteroData,
    device: torch.device,
    model: CustomModel | None,
    loss: CustomLoss | None,
) -> None:
    values = setting_values(config, model=model, loss=loss)
    kind = loss or loss_target(config)
    default = getattr(kind, "negatives", "none")
    is_sampled = values.get("loss.negatives", default) == "sampled"
    MemoryEstimate.of(
        num_nodes=sum(num_nodes(graph)),
        dim=_width(config),
        batch_size=min(config.train.batch_size, split_edges(graph, "train").size(1)),
        num_negatives=config.train.num_negatives if is_sampled else 0,
    ).check(device)


def _warn_if_idle(method: Method, epochs: int) -> None:
    active = [phase.active for phase in method.phases if phase.params is None]
    if active and not any(map(active[0], range(epochs))):
        warnings.warn(
            f"the encoder is not trained in {epochs} epochs, since its phase begins "
            "later: raise train.epochs",
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
