"""What trains one seed, put together and checked."""

import inspect
import warnings
from collections.abc import Sequence

import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.build_method import build_method
from pyg_advinfonce.config import Config, check_options, naming
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.find_device import find_device
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.loader import build_sampler
from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.registry import LOSSES, MODELS
from pyg_advinfonce.terms.base import RankingTerm
from pyg_advinfonce.training.callbacks import Callback
from pyg_advinfonce.training.evaluator import Evaluator
from pyg_advinfonce.training.memory_estimate import MemoryEstimate
from pyg_advinfonce.training.trainer import Trainer
from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm


def assemble(
    config: Config,
    dataset: Dataset,
    *,
    device: torch.device | str = "auto",
    callbacks: Sequence[Callback] = (),
    criterion: Criterion | RankingTerm | None = None,
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
    sampled = method.criterion.negatives == "sampled"
    if sampled and config.train.num_negatives == 0:
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


def _check_memory(
    config: Config,
    graph: HeteroData,
    device: torch.device,
    criterion: Criterion | RankingTerm | None = None,
) -> None:
    encoder = MODELS[config.model].load_encoder()
    sampled = _negatives(config, criterion) == "sampled"
    MemoryEstimate.of(
        num_nodes=sum(num_nodes(graph)),
        dim=check_options("encoder", encoder, config.encoder).get("dim", 64),
        batch_size=min(config.train.batch_size, split_edges(graph, "train").size(1)),
        num_negatives=config.train.num_negatives if sampled else 0,
    ).check(device)


def _negatives(config: Config, criterion: Criterion | RankingTerm | None) -> str:
    """Return what a loss wants of a sampler, before it is built."""
    if criterion is not None:
        return criterion.negatives
    kind = LOSSES[config.criterion].load()
    option = inspect.signature(kind).parameters.get("negatives")
    default = kind.negatives if option is None else option.default
    return str(config.loss.get("negatives", default))


def _warn_if_idle(method: Method, epochs: int) -> None:
    main = next(phase for phase in method.phases if phase.params is None)
    if not any(map(main.active, range(epochs))):
        warnings.warn(
            f"the encoder is not trained in {epochs} epochs: its phase begins later, "
            "raise train.epochs",
            stacklevel=2,
        )


def _warn_of_single_negatives(method: Method) -> None:
    if isinstance(method.criterion, AdvInfoNCE) and len(method.phases) > 1:
        warnings.warn(
            "the adversary has no choice among one negative, and stays as it is: raise "
            "train.num_negatives",
            stacklevel=3,
        )
