"""The data set of a user-item graph in memory."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.utils import coalesce

from pyg_advinfonce.datasets.base import Processed, ProcessedDataset
from pyg_advinfonce.datasets.folder import Dataset
from pyg_advinfonce.datasets.splits import seen_beside, without_cold_users
from pyg_advinfonce.errors import ConfigError, GraphError
from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    SEEN,
    check_graph,
    set_train_pairs,
    split_edges,
    split_names,
    split_type,
    train_pairs,
    with_edge_index,
)
from pyg_advinfonce.keys import pair_keys

# Part of the content hash of every data set, or, like edge weights, computed from it.
_KNOWN = ("num_nodes", "raw_id", "candidate_mask", "edge_index", "edge_weight")


def as_dataset(data: Dataset | HeteroData) -> Dataset:
    """Return a data set; a user-item graph is checked and wrapped.

    Edges are sorted, so that their order changes neither a training nor the
    fingerprint. Further tensors of the graph, e.g. features, are kept for custom
    models and belong to the fingerprint; edge weights are replaced by those of
    :class:`~pyg_advinfonce.transforms.BipartiteNorm`. As for other data, held-out pairs
    of users without a train pair are dropped with a warning.

    Args:
        data: A data set, or a graph as described in :mod:`pyg_advinfonce.graph`, e.g.
            from :func:`~pyg_advinfonce.graph.build_graph`, with train edges and the
            split ``valid``. The graph itself is not changed.

    Raises:
        GraphError: If the graph is not valid or lacks train edges or ``valid``.
        DataError: If no user of a split has a train pair.
        ConfigError: If the argument is neither a data set nor a graph.
    """
    if isinstance(data, HeteroData):
        return _GraphDataset(data)
    if not isinstance(getattr(data, "graph", None), HeteroData):
        raise ConfigError(
            "expected a data set, e.g. of load_dataset, or a HeteroData "
            f"(got {type(data).__name__})"
        )
    return data


class _GraphDataset(ProcessedDataset):
    label, in_memory = "graph", True

    def __init__(self, graph: HeteroData) -> None:
        check_graph(graph)
        graph = with_edge_index(graph).to("cpu")
        _check_splits(graph)
        for edge_type in (INTERACTS, REV_INTERACTS):
            _sort_edges(graph, edge_type)
        set_train_pairs(graph, train_pairs(graph))
        names = split_names(graph)
        pairs = {name: split_edges(graph, name).numpy() for name in ["train", *names]}
        kept = without_cold_users(pairs)
        for name in names:
            held_out = torch.from_numpy(kept[name]).long()
            order = pair_keys(*held_out).argsort()
            graph[split_type(name)].edge_label_index = held_out[:, order]
        if SEEN in graph.edge_types:
            pairs["seen"] = graph[SEEN].edge_label_index.numpy()
        seen = seen_beside(kept, np.concatenate(list(pairs.values()), axis=1))
        if seen.size:
            graph[SEEN].edge_label_index = torch.from_numpy(seen)
        found = Processed.of(graph, {})
        self.processed = replace(found, digest=_digest(graph, found.digest))
        self.warn_of_overlaps()


def _check_splits(graph: HeteroData) -> None:
    if "valid" not in split_names(graph):
        raise GraphError(
            "the graph has no split 'valid', which chooses the best epoch: set "
            f"graph[{split_type('valid')}].edge_label_index to pairs [2, E]"
        )
    for name in ("train", *split_names(graph)):
        pairs = split_edges(graph, name)
        if not pairs.numel():
            raise GraphError(f"split '{name}' must have pairs (got none)")
        if coalesce(pairs).size(1) < pairs.size(1):
            raise GraphError(
                f"split '{name}' holds a pair twice: apply "
                "torch_geometric.utils.coalesce()"
            )
    for place, name, value in _tensors(graph):
        if value.is_floating_point() and not value.isfinite().all():
            raise GraphError(f"{name} of {place} holds NaN or infinite values")


def _sort_edges(graph: HeteroData, edge_type: tuple[str, str, str]) -> None:
    """Sort edges by user, then item, with all that belongs to an edge."""
    edges = graph[edge_type]
    user, item = (
        edges.edge_index if edge_type == INTERACTS else edges.edge_index.flip(0)
    )
    order = pair_keys(user, item).argsort()
    for name in [name for name in edges if edges.is_edge_attr(name)]:
        dim = graph.__cat_dim__(name, edges[name], edges)
        edges[name] = edges[name].index_select(dim, order)


def _tensors(graph: HeteroData) -> Iterator[tuple[str, str, Tensor]]:
    """Yield the place, name and value of each dense tensor, sorted."""
    stores = {str(kind): graph[kind] for kind in (*graph.node_types, *graph.edge_types)}
    for place in sorted(stores):
        for name, value in sorted(stores[place].items()):
            if isinstance(value, Tensor) and value.layout == torch.strided:
                yield place, name, value


def _digest(graph: HeteroData, digest: str) -> str:
    """Return a content hash that includes the graph's further tensors, if any."""
    for place, name, value in _tensors(graph):
        if name not in (*_KNOWN, "edge_label_index"):
            about = f"{digest} {place} {name} {value.dtype} {tuple(value.shape)}"
            content = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            digest = sha256(about.encode() + content).hexdigest()
    return digest
