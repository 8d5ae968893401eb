"""What a trainer is fed with: batches of the whole graph, or of sampled neighbours."""

from collections.abc import Sequence
from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.config import Config, check_loader
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.training.neighbor_edge_sampler import NeighborEdgeSampler
from pyg_advinfonce.training.sampler import EdgeSampler
from pyg_advinfonce.training.trainer import Sampler


def build_sampler(config: Config, method: Method, graph: HeteroData) -> Sampler:
    """Build the sampler that the section ``[train]`` describes.

    Raises:
        ConfigError: If an option is wrong, or the method needs the whole graph.
        MissingExtraError: If PyG has nothing to sample neighbours with.
    """
    settings = config.train
    is_sampled = method.criterion.negatives == "sampled"
    edges: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "num_negatives": settings.num_negatives if is_sampled else 0,
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
    terms = method.objective.terms.items()
    whole = [name for name, term in terms if getattr(term, "needs_whole_graph", False)]
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
