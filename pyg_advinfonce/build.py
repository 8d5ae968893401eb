"""Building a training: method, loss, hardness, sampler and trainer."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.config import (
    FROM_TRAIN,
    Config,
    Train,
    check_loader,
    loss_target,
    model_targets,
    set_by_train,
    setting_values,
)
from pyg_advinfonce.datasets import Dataset, as_dataset
from pyg_advinfonce.encoders import Encoder, FittedEncoder
from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import copy_to, merge_splits, num_nodes, split_edges
from pyg_advinfonce.loader import EdgeSampler, NeighborEdgeSampler
from pyg_advinfonce.losses import Hardness, build_hardness, find_hardness
from pyg_advinfonce.machine import MemoryEstimate, check_memory, find_device
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import RankingLoss, adam, cosine, stepped
from pyg_advinfonce.ranks import dividing
from pyg_advinfonce.registry import (
    LOSSES,
    MODELS,
    NO_LOSS,
    default_loss,
    is_custom,
    resolve,
)
from pyg_advinfonce.schema import check_options, naming
from pyg_advinfonce.training import Callback, Sampler, Trainer, seed_everything
from pyg_advinfonce.transforms import BipartiteNorm

MOST_SUMMED = 2**26
"""Maximum number of scores with all nodes that processes sum per step (256 MB)."""

CustomModel = nn.Module | Callable[..., nn.Module]
"""A module, or a class or function that builds one from a graph."""

CustomLoss = RankingLoss | type[RankingLoss]
"""A loss or its class."""


def name_custom(
    config: Config, model: CustomModel | None = None, loss: CustomLoss | None = None
) -> Config:
    """Return a configuration that names a custom model and loss.

    A model without a forward and a :class:`~pyg_advinfonce.encoders.FittedEncoder`
    get the loss ``none``, unless the configuration names another loss for them, which
    is an error later. A method has its own loss.

    Raises:
        ConfigError: If the model or loss has the wrong type, or the configuration names
            another loss of the library that is not the model's default.
    """
    kind = loss if inspect.isclass(loss) else type(loss)
    if loss is not None and not issubclass(kind, RankingLoss):
        raise ConfigError(
            "loss must be a RankingLoss or a class of them, e.g. a subclass of "
            f"pyg_advinfonce.losses.Criterion (got {loss!r:.80})"
        )
    if model is not None and not callable(model):
        raise ConfigError(
            "model must be a module, or a class or function that makes one of a graph "
            f"(got {model!r:.80})"
        )
    found: CustomLoss | str | None = loss
    if isinstance(model, Method):
        if loss is not None and loss is not model.loss:
            raise ConfigError("the model is a method, which has its loss already")
        found = NO_LOSS if model.loss is None else model.loss
    elif loss is None and _needs_no_loss(model) and not _has_chosen_loss(config):
        found = NO_LOSS
    if isinstance(found, RankingLoss) or inspect.isclass(found):
        _check_named(config, found)
    return config.with_custom(model=model, loss=found)


def _check_named(config: Config, loss: CustomLoss) -> None:
    """Check that a given loss is the one that the configuration chose, if it did."""
    name, target = config.loss.name, loss_target(config)
    is_chosen = target is not None and name != default_loss(config.model.name)
    kind: Any = loss if inspect.isclass(loss) else type(loss)
    if is_chosen and kind is not target:
        raise ConfigError(
            f"the configuration names the loss '{name}' (got the loss {kind.__name__}, "
            "too): leave one of them out"
        )


def _has_no_forward(model: object) -> bool:
    forward = getattr(model, "forward", None)
    none = (nn.Module.forward, Encoder.forward)
    return getattr(forward, "__func__", forward) in none


def _needs_no_loss(model: object) -> bool:
    kind = model if inspect.isclass(model) else type(model)
    return issubclass(kind, FittedEncoder) or _has_no_forward(model)


def _has_chosen_loss(config: Config) -> bool:
    """Whether a custom model is named with a loss other than its default."""
    name, loss = config.model.name, config.loss
    return is_custom(name) and (loss.name != default_loss(name) or bool(loss.options))


def build_method(
    config: Config,
    graph: HeteroData,
    *,
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
) -> Method:
    """Build the method that a configuration names, with checked options.

    Encoder and loss have separate random streams, so that all losses with the same seed
    start from the same embeddings, and runs of two losses can be compared in pairs.

    Args:
        config: The configuration.
        graph: The normalised graph.
        model: The custom model, if the configuration names one.
        loss: The custom loss, if the configuration names one.

    Raises:
        ConfigError: If an option is wrong, or a custom model or loss is missing or of
            the wrong type.
    """
    if isinstance(model, Method):
        _refuse_options("model", config.model.options)
        _refuse_options("loss", config.loss.options | config.hardness)
        if changed := _main_phase(config.train):
            raise ConfigError(
                f"the model is a method, whose main phase has its own "
                f"{' and '.join(changed)}: set them there, not in [train]"
            )
        return model
    seed_everything(config.train.seed, 0, 0, stream=2)
    ranking = build_loss(config, graph, loss, model=model)
    seed_everything(config.train.seed, 0, 0, stream=1)
    found = _build_model(config, graph, ranking, model)
    method = found if isinstance(found, Method) else _composed(config, found, ranking)
    method.phases = tuple(
        replace(phase, **_main_phase(config.train)) if phase.params is None else phase
        for phase in method.phases
    )
    return method


def _composed(config: Config, found: object, ranking: RankingLoss | None) -> Method:
    """Return a method of a module and a loss."""
    if not isinstance(found, nn.Module):
        raise ConfigError(
            f"model '{config.model.name}' must be or return a torch module "
            f"(got {type(found).__name__})"
        )
    _check_initialised(found)
    if _has_no_forward(found) and not callable(getattr(found, "scores", None)):
        raise ConfigError(
            f"model '{config.model.name}' has neither a forward nor a method scores"
        )
    if ranking is not None:
        _check_trainable(config, found)
    return Method.compose(found, ranking, **_from_train(config))


def _main_phase(train: Train) -> dict[str, Any]:
    """Return what ``[train]`` sets of the main phase, besides its learning rate."""
    found: dict[str, Any] = {}
    if train.optimizer != "adam" or train.weight_decay:
        is_decoupled = train.optimizer == "adamw"
        found["optimizer"] = adam(
            train.lr, weight_decay=train.weight_decay, decoupled=is_decoupled
        )
    if train.lr_schedule != "constant":
        assert train.lr_epochs is not None  # checked with the settings
        make = {"step": stepped, "cosine": cosine}[train.lr_schedule]
        found["lr_schedule"] = make(train.lr_epochs, train.lr_factor)
    if train.clip_norm is not None:
        found["clip_norm"] = train.clip_norm
    return found


def _check_trainable(config: Config, model: nn.Module) -> None:
    if _needs_no_loss(model):
        is_fitted = isinstance(model, FittedEncoder)
        why = "is computed without a loss" if is_fitted else "has no forward"
        raise ConfigError(
            f"model '{config.model.name}' {why} and cannot be trained: "
            f"use the loss '{NO_LOSS}'"
        )


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
    builder, given = targets[-1], [graph]
    elsewhere = set_by_train(builder)
    settings = check_options("model", targets, config.model.options, given=elsewhere)
    takes = inspect.signature(builder).parameters
    if "loss" in takes:  # the builder returns a whole method
        kinds = [parameter.kind for parameter in takes.values()]
        any_key = model is None and inspect.Parameter.VAR_KEYWORD in kinds
        own = _from_train(config).items()
        settings |= {key: value for key, value in own if any_key or key in takes}
        given.append(loss)
    _check_call("model", config.model.name, builder, given, settings)
    with naming("model", *targets):
        found: nn.Module = builder(*given, **settings)
    if isinstance(found, Method) and "loss" not in takes and loss is not None:
        raise ConfigError(
            f"model '{config.model.name}' returns a method, with a loss: give it an "
            "argument 'loss', which is the one to train with"
        )
    return found


def _check_call(
    section: str,
    name: str,
    builder: Callable[..., object],
    given: Sequence[object],
    settings: Mapping[str, object],
) -> None:
    """Check that a custom class or function takes what it will be given."""
    try:
        inspect.signature(builder).bind(*given, **settings)
    except TypeError as error:
        graph = "the graph and " if given else ""
        raise ConfigError(
            f"{section} '{name}' must be callable with {graph}the keys of [{section}] "
            f"only, which have defaults: {error}"
        ) from error


def _from_train(config: Config) -> dict[str, Any]:
    """Return the arguments named in ``FROM_TRAIN``."""
    train = config.train
    penalty = {
        "negatives": train.l2_negatives,
        "norm": train.l2_norm,
        "reduction": train.l2_reduction,
        "rows": train.l2_rows,
    }
    return dict(zip(FROM_TRAIN, (train.lr, train.l2, penalty), strict=True))


def build_loss(
    config: Config,
    graph: HeteroData,
    loss: CustomLoss | None = None,
    *,
    model: CustomModel | None = None,
) -> RankingLoss | None:
    """Build the ranking loss that a configuration names, with checked options.

    Args:
        config: The configuration.
        graph: The normalised graph.
        loss: The custom loss, if the configuration names one.
        model: The custom model, if the configuration names one. Tables of the loss have
            its embedding dimension.

    Raises:
        ConfigError: If an option is wrong, or a custom loss is missing.
    """
    if config.loss.name == NO_LOSS:
        check_options("loss", [], config.loss.options)
        check_options("hardness", [], config.hardness)
        return None
    if isinstance(loss, RankingLoss):
        _refuse_options("loss", config.loss.options | config.hardness)
        return loss
    kind: Any = loss_target(config, loss)
    if kind is None:
        raise _missing("loss", config.loss.name)
    width = _width(setting_values(config, model=model))
    options = check_options("loss", [kind], config.loss.options, given=["hardness"])
    options = _as_wide(kind, width) | options
    if "hardness" in inspect.signature(kind).parameters:
        options["hardness"] = _build_hardness(config, graph, width)
    elif config.hardness:
        raise ConfigError(
            f"loss '{config.loss.name}' has no hardness: remove [hardness]"
        )
    inherited: Any = RankingLoss.from_graph
    is_plain = kind.from_graph.__func__ is inherited.__func__
    builder, given = (kind, []) if is_plain else (kind.from_graph, [graph])
    _check_call("loss", config.loss.name, builder, given, options)
    with naming("loss", kind):
        found: RankingLoss = kind.from_graph(graph, **options)
    _check_initialised(found)
    return found


def _check_initialised(module: nn.Module) -> None:
    if "_parameters" not in vars(module):
        raise ConfigError(
            f"{type(module).__name__}.__init__ must call super().__init__() first"
        )


def _missing(section: str, name: str) -> ConfigError:
    return ConfigError(
        f"the {section} '{name}' is custom code, which is never imported by its name: "
        f"pass it as {section}=, on the command line --{section}"
    )


def _refuse_options(section: str, options: Mapping[str, Any]) -> None:
    if options:
        raise ConfigError(
            f"{', '.join(options)} of [{section}] cannot be set, since the {section} "
            "is built already: pass its class"
        )


def _build_hardness(config: Config, graph: HeteroData, width: int) -> Hardness:
    default = inspect.signature(build_hardness).parameters["kind"].default
    name = str(config.hardness.get("kind", default))
    kind, options = find_hardness(name), dict(config.hardness)
    options.pop("kind", None)
    options = _as_wide(kind, width) | check_options("hardness", [kind], options)
    with naming("hardness", kind):
        return build_hardness(graph, name, **options)


def _as_wide(kind: Callable[..., object], width: int) -> dict[str, int]:
    """Return the embedding dimension as ``dim`` if the class has such an argument."""
    return {"dim": width} if "dim" in inspect.signature(kind).parameters else {}


def _width(values: Mapping[str, Any]) -> int:
    """Return the embedding dimension; a wrong one, which the encoder reports, is 64."""
    width = values.get("model.dim")
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
        "drop_last": settings.drop_last,
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
        why = "" if whole else " (its num_hops is None)"
        raise ConfigError(f"{refused}{part} needs the whole graph{why}, use 'full'")
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
    dataset: Dataset | HeteroData,
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
    dataset = as_dataset(dataset)
    config = name_custom(config, model, loss).fitted_to(dataset)
    place = find_device(device)
    if (group := dividing()) is not None:
        group.check_same("settings and data", config.flat(), dataset.fingerprint)
        _check_separable(config)
    _check_memory(config, dataset.graph, place, model, loss)
    graph = prepare(dataset, place, refit=config.train.refit)
    with naming("settings", assemble):
        method = build_method(config, graph, model=model, loss=loss)
    if dividing() is not None:
        _check_sums(config, method, graph)
    method = method.to(place)
    if "model" in config.custom and method.has_embeddings:
        method.encode(graph)  # finds errors, and gives lazy layers their sizes
    with naming("settings", assemble):
        return make_trainer(config, method, graph, callbacks)


def _check_separable(config: Config) -> None:
    """Check that several processes can divide a training by columns.

    Raises:
        ConfigError: If they cannot.
    """
    advice = "train it in one process, without torchrun"
    if config.custom:
        why = f"{config.pair} is custom code, which may mix columns"
        raise ConfigError(f"{why}: {advice}")
    if not MODELS[config.model.name].load_encoder().is_separable:
        why = "cannot be divided by columns"
        raise ConfigError(f"model '{config.model.name}' {why}: {advice}")
    if config.train.cuda_graph:
        raise ConfigError(
            "train.cuda_graph captures the steps of one process: leave it out, or "
            f"{advice}"
        )
    if config.train.loader != "full":
        raise ConfigError(
            "several processes divide the columns of the whole graph's tables: "
            f"set train.loader 'full' (got '{config.train.loader}')"
        )


def _check_sums(config: Config, method: Method, graph: HeteroData) -> None:
    """Refuse contrasts with all nodes whose sums would take longer than training."""
    users, items = num_nodes(graph)
    size = min(config.train.batch_size, split_edges(graph, "train").size(1))
    contrasts_all = any(term.contrasts_all for term in method.objective.terms.values())
    number = size * (users + items) if contrasts_all else 0
    number += size * items if config.train.num_negatives == "all" else 0
    if number > MOST_SUMMED:
        raise ConfigError(
            f"a contrast with all nodes would sum {number:,} scores per step over the "
            f"processes, more than {MOST_SUMMED:,}: set model.candidates 'batch' where "
            "the model has it, or train in one process, without torchrun"
        )


def prepare(
    dataset: Dataset, device: torch.device, *, refit: bool = False
) -> HeteroData:
    """Return a normalised copy of a data set's graph on a device.

    Args:
        dataset: The data.
        device: The device.
        refit: Whether the pairs of all splits are train pairs.
    """
    graph = merge_splits(dataset.graph) if refit else dataset.graph
    return copy_to(BipartiteNorm()(graph), device)


def make_trainer(
    config: Config, method: Method, graph: HeteroData, callbacks: Sequence[Callback]
) -> Trainer:
    """Return a trainer with the settings of the section ``[train]``."""
    if method.negatives == "sampled" and config.train.num_negatives == 0:
        raise ConfigError(
            f"loss '{config.loss.name}' needs negatives: train.num_negatives must be "
            "at least 1 (got 0)"
        )
    if config.train.num_negatives == "all":
        _check_takes_all(config, method)
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
        monitor=None if config.train.refit else Trainer.monitor,
        callbacks=callbacks,
        backends=_backends(config, method.encoder.device),
        cuda_graph=config.train.cuda_graph,
    )


def _backends(config: Config, device: torch.device) -> dict[str, str]:
    """Return the backends of a step that the section ``[train]`` chooses.

    Raises:
        ConfigError: If they do not run on the device.
        MissingExtraError: If triton is not installed.
    """
    settings = config.train
    if settings.precision == "bf16":
        name, other = "precision 'bf16'", "train.precision to 'fp32'"
        found = {"edge_scores": "bf16", "propagate": "bf16"}
    elif settings.triton:
        name, other = "triton", "train.triton to false"
        found = {"edge_scores": "triton"}
    else:
        return {}
    if device.type != "cuda":
        raise ConfigError(
            f"train.{name} needs kernels of Triton and expects a CUDA device (got "
            f"{device}): set {other}"
        )
    optional_package("triton")
    return found


def _check_memory(
    config: Config,
    graph: HeteroData,
    device: torch.device,
    model: CustomModel | None,
    loss: CustomLoss | None,
) -> None:
    values = setting_values(config, model=model, loss=loss)
    targets = model_targets(config, model)
    if (
        targets
        and inspect.isclass(targets[0])
        and issubclass(targets[0], FittedEncoder)
    ):
        # A wrong value is reported when the encoder is built.
        options = {
            name.removeprefix("model."): value
            for name, value in values.items()
            if name.startswith("model.") and isinstance(value, int) and value > 0
        }
        needed = targets[0].bytes_needed(*num_nodes(graph), **options)
        check_memory(needed, device, targets[0].less_memory)
        return
    kind = loss or loss_target(config)
    default = getattr(kind, "negatives", "none")
    is_sampled = values.get("loss.negatives", default) == "sampled"
    number = config.train.num_negatives if is_sampled else 0
    group = dividing()
    MemoryEstimate.of(
        num_nodes=sum(num_nodes(graph)),
        dim=-(-_width(values) // (group.size if group else 1)),
        batch_size=min(config.train.batch_size, split_edges(graph, "train").size(1)),
        # all negatives are scored in small parts
        num_negatives=number if isinstance(number, int) else 0,
    ).check(device)


def _check_takes_all(config: Config, method: Method) -> None:
    loss = method.loss
    if loss is not None and loss.takes_all_negatives and loss.negatives == "sampled":
        return
    known = [name for name in LOSSES if resolve("loss", name).takes_all_negatives]
    raise ConfigError(
        f"loss '{config.loss.name}' does not accept train.num_negatives 'all': set a "
        f"number, or choose from {', '.join(known)} with sampled negatives"
    )


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
