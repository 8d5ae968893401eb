"""User-item graphs: relation names, construction, checks and views.

A graph is a :class:`~torch_geometric.data.HeteroData` with the node types ``user`` and
``item``. Train edges carry messages and are stored in both directions. Held-out splits
are edge types with ``edge_label_index`` only, so that no messages pass over them. So
are ``seen`` pairs, which are in no split: users know these items.

Train edges may be stored in any of PyG's forms (:func:`relation_edges`). Graphs built
by this library store sorted pairs (:func:`train_pairs`), from which both directions'
``edge_index`` is computed when it is read.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from typing import Any, Generic, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData
from torch_geometric.utils import coalesce, to_edge_index

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.keys import MAX_ROWS
from pyg_advinfonce.pairs import Pairs, set_pairs, stored_pairs

USER, ITEM = "user", "item"
INTERACTS = (USER, "interacts", ITEM)
REV_INTERACTS = (ITEM, "rev_interacts", USER)

InputIds = Tensor | Sequence[str]
EdgeType = tuple[str, str, str]
SEEN = (USER, "seen", ITEM)
_RESERVED = ("train", "seen", INTERACTS[1], REV_INTERACTS[1])

_MOST_USERS_PER_PAIR = 7  # 4 bytes per user and pair, or 32 bytes per pair

SEEN_KINDS = ("all", "train", "none")
"""Which pairs :func:`seen_pairs` returns."""


def build_graph(
    train: Tensor,
    *,
    num_users: int,
    num_items: int,
    splits: Mapping[str, Tensor] | None = None,
    seen: Tensor | None = None,
    candidate_mask: Tensor | None = None,
    user_ids: InputIds | None = None,
    item_ids: InputIds | None = None,
) -> HeteroData:
    """Build a user-item graph from train pairs and held-out pairs.

    Args:
        train: Train pairs ``[2, E]``, user rows first. Duplicates are merged.
        num_users: Number of users.
        num_items: Number of items.
        splits: Held-out pairs ``[2, E_split]`` by split name, e.g. ``valid``, ``test``.
        seen: Further pairs ``[2, S]`` of users and items that they know, e.g. disliked
            ones. They affect recommendation lists only; see :func:`seen_pairs`.
        candidate_mask: ``[I]`` bool, True for items that may be ranked (default: all).
        user_ids: Raw ids of users: an int64 tensor or strings.
        item_ids: Raw ids of items: an int64 tensor or strings.

    Raises:
        GraphError: If an index is out of range or a shape is wrong.
    """
    graph = HeteroData()
    graph[USER].num_nodes, graph[ITEM].num_nodes = num_users, num_items
    _check_nodes(graph)
    train = train.long() if train.is_floating_point() else train
    _check_pairs(graph, "train", train)
    _set_train_edges(graph, train)
    for name, pairs in (splits or {}).items():
        if name in _RESERVED:
            raise GraphError(f"a split cannot be named '{name}': choose another name")
        graph[split_type(name)].edge_label_index = coalesce(pairs.long())
    if seen is not None and seen.numel():
        graph[SEEN].edge_label_index = coalesce(seen.long())
    if candidate_mask is not None:
        graph[ITEM].candidate_mask = candidate_mask.bool()
    for node_type, ids in ((USER, user_ids), (ITEM, item_ids)):
        if ids is not None:
            graph[node_type].raw_id = ids if isinstance(ids, Tensor) else list(ids)
    check_graph(graph)
    return graph


def train_pairs(graph: HeteroData) -> Pairs:
    """Return the train pairs by user, then item; without a copy if stored so."""
    found = stored_pairs(graph[INTERACTS]) if INTERACTS in graph.edge_types else None
    return found or Pairs.of(relation_edges(graph, INTERACTS)[0], *num_nodes(graph))


def set_train_pairs(graph: HeteroData, pairs: Pairs, **shared: Tensor) -> None:
    """Store pairs as the edges of both directions, in place.

    Args:
        graph: User-item graph; other values of its edges are kept.
        pairs: The pairs.
        **shared: Further values ``[E]`` of both directions, e.g. weights.
    """
    set_pairs(graph[INTERACTS], graph[REV_INTERACTS], pairs, **shared)


def shared_pairs(graph: HeteroData) -> Pairs | None:
    """Return the pairs from which both directions are computed, if they are."""
    if not {INTERACTS, REV_INTERACTS} <= set(graph.edge_types):
        return None
    forward, reverse = map(stored_pairs, (graph[INTERACTS], graph[REV_INTERACTS]))
    return forward if forward is reverse else None


def relation_edges(
    graph: HeteroData, edge_type: EdgeType
) -> tuple[Tensor, Tensor | None]:
    """Return the edges and edge weights of a relation in any of PyG's forms.

    These forms are ``edge_index``, a tensor or an :class:`~torch_geometric.EdgeIndex`,
    with ``edge_weight``; and ``adj_t``, as made by
    :class:`~torch_geometric.transforms.ToSparseTensor`, of torch-sparse or in one of
    torch's sparse layouts.

    Returns:
        ``[2, E]`` int64, sources first, and weights ``[E]`` or None.

    Raises:
        GraphError: If the graph lacks the relation.
    """
    if edge_type not in graph.edge_types:
        raise _missing(graph, edge_type)
    edges = graph[edge_type]
    if "edge_index" in edges:
        index = edges.edge_index
        index = index.as_tensor() if isinstance(index, EdgeIndex) else index
        return index.long(), edges.get("edge_weight")
    if "adj_t" not in edges:
        raise _missing(graph, edge_type)
    index, weight = to_edge_index(edges.adj_t)
    return index.flip(0), weight if _is_weighted(edges.adj_t, index, weight) else None


def weighted_edges(graph: HeteroData, edge_type: EdgeType) -> tuple[Tensor, Tensor]:
    """Return the edges of a relation as :func:`relation_edges`, with edge weights.

    Raises:
        GraphError: If the graph lacks the relation or its edge weights.
    """
    edge_index, weight = relation_edges(graph, edge_type)
    if weight is None:
        raise GraphError(f"edges {edge_type} lack weights: apply BipartiteNorm()")
    return edge_index, weight


def _missing(graph: HeteroData, edge_type: EdgeType) -> GraphError:
    others = [
        t
        for t in graph.edge_types
        if t[::2] == edge_type[::2] and "edge_label_index" not in graph[t]
    ]
    if others and edge_type == INTERACTS:
        return GraphError(
            f"the graph has no edges {edge_type} (got {others}): give the relation of "
            "train edges this name"
        )
    return GraphError(
        f"the graph has no edges {edge_type}, but messages need both directions: "
        "apply torch_geometric.transforms.ToUndirected()"
    )


def _is_weighted(adj_t: Any, index: Tensor, weight: Tensor) -> bool:  # noqa: ANN401
    """Return whether values are weights, not the 1.0 that PyG fills in."""
    if not isinstance(adj_t, Tensor):
        return bool(adj_t.has_value())
    has_neighbors = index[0].numel() > index[0].unique().numel()
    return not (has_neighbors and bool((weight == 1).all()))


def stored_tensors(graph: HeteroData, edge_type: EdgeType) -> list[Tensor]:
    """Return the tensors that store a relation, which are its cache key."""
    if edge_type not in graph.edge_types:
        relation_edges(graph, edge_type)  # raises an error
    edges = graph[edge_type]
    if pairs := stored_pairs(edges):
        weight = [edges.edge_weight] if "edge_weight" in edges else []
        return [*weight, pairs.item, pairs.start]
    if "adj_t" not in edges or "edge_index" in edges:
        return [edges[key] for key in ("edge_weight", "edge_index") if key in edges]
    if isinstance(edges.adj_t, Tensor):
        return [edges.adj_t]
    storage = edges.adj_t.storage
    return [part for part in (storage.value(), storage.col()) if part is not None]


def with_edge_index(graph: HeteroData) -> HeteroData:
    """Return a shallow copy whose train edges are int64 ``edge_index`` tensors."""
    view = copy(graph)
    for edge_type in {INTERACTS, REV_INTERACTS}.intersection(view.edge_types):
        if stored_pairs(view[edge_type]):
            continue
        edge_index, weight = relation_edges(view, edge_type)
        edges = view[edge_type]
        edges.pop("adj_t", None)
        edges.edge_index = edge_index
        if weight is not None:
            edges.edge_weight = weight
    return view


def split_type(name: str) -> EdgeType:
    """Return the edge type of a held-out split."""
    return (USER, name, ITEM)


def split_names(graph: HeteroData) -> list[str]:
    """Return the names of the held-out splits, in the graph's order."""
    return [t[1] for t in _label_types(graph) if t != SEEN]


def _label_types(graph: HeteroData) -> list[EdgeType]:
    return [
        edge_type
        for edge_type in graph.edge_types
        if edge_type[::2] == (USER, ITEM)
        and edge_type != INTERACTS
        and "edge_label_index" in graph[edge_type]
    ]


def test_splits(graph: HeteroData) -> list[str]:
    """Return the names of the held-out splits except valid, the main test first."""
    return [name for name in split_names(graph) if name != "valid"]


def split_edges(graph: HeteroData, name: str) -> Tensor:
    """Return the user-item pairs ``[2, E_split]`` of a split, also of ``train``.

    Raises:
        GraphError: If the split does not exist.
    """
    if name == "train":
        return relation_edges(graph, INTERACTS)[0]
    names = split_names(graph)
    if name not in names:
        raise GraphError(f"no split '{name}': this graph has train, {', '.join(names)}")
    pairs: Tensor = graph[split_type(name)].edge_label_index
    return pairs


def split_ends(graph: HeteroData, name: str) -> tuple[Tensor, Tensor]:
    """Return :func:`split_edges` as users and items, int32 where pairs are stored so.

    Raises:
        GraphError: If the split does not exist.
    """
    is_train = name == "train" and INTERACTS in graph.edge_types
    if is_train and (pairs := stored_pairs(graph[INTERACTS])):
        return pairs.user, pairs.item
    user, item = split_edges(graph, name)
    return user, item


def seen_pairs(graph: HeteroData, which: str = "all") -> Tensor:
    """Return the distinct pairs ``[2, S]`` of users and items that they know, sorted.

    Args:
        graph: User-item graph.
        which: ``all`` for the pairs of all splits and the further seen pairs, ``train``
            or ``none``.

    Raises:
        ValueError: If ``which`` is another word.
    """
    if which not in SEEN_KINDS:
        raise ValueError(f"seen must be one of {', '.join(SEEN_KINDS)} (got {which!r})")
    pairs = [split_edges(graph, "train")]
    if which == "none":
        return pairs[0].new_empty(2, 0)
    if which == "all":
        pairs += [graph[t].edge_label_index for t in _label_types(graph)]
    known: Tensor = coalesce(torch.cat(pairs, dim=1))
    return known


def merge_splits(graph: HeteroData) -> HeteroData:
    """Return a copy whose train pairs are those of all splits; they have no weights."""
    names = ["train", *split_names(graph)]
    pairs = torch.cat([split_edges(graph, name) for name in names], dim=1)
    merged = copy(graph)
    for edge_type in (INTERACTS, REV_INTERACTS, *map(split_type, split_names(graph))):
        del merged[edge_type]
    _set_train_edges(merged, pairs)
    return merged


def _set_train_edges(graph: HeteroData, edges: Tensor) -> None:
    """Store edges as pairs, unless almost no user has one: the other form is less."""
    if num_nodes(graph)[0] < _MOST_USERS_PER_PAIR * edges.size(1):
        set_train_pairs(graph, Pairs.of(edges, *num_nodes(graph)))
        return
    edge_index = coalesce(edges.long())
    graph[INTERACTS].edge_index = edge_index
    graph[REV_INTERACTS].edge_index = edge_index.flip(0)


def copy_to(graph: HeteroData, device: torch.device | str) -> HeteroData:
    """Return a copy of a graph on a device; stored train pairs stay as they are.

    The copy shares pairs with the graph if that is on the same device.
    """
    view, pairs = copy(graph), shared_pairs(graph)
    if pairs is None:
        return view.clone().to(device)
    forward, reverse = view[INTERACTS], view[REV_INTERACTS]
    del forward.edge_index, reverse.edge_index  # which would be computed and copied
    shared = {}
    weight = forward.get("edge_weight")
    if weight is not None and weight is reverse.get("edge_weight"):
        del forward.edge_weight, reverse.edge_weight
        shared = {"edge_weight": weight.to(device)}
    moved: HeteroData = view.clone().to(device)
    set_train_pairs(moved, pairs.to(device), **shared)
    return moved


def message_graph(graph: HeteroData) -> HeteroData:
    """Return a shallow copy without held-out splits and without string ids.

    PyG functions that iterate over edge types (``metadata()``, ``to_hetero``, the
    neighbour loader) need this view: a split has no ``edge_index``, and a loader cannot
    sample a list of strings.
    """
    view = copy(graph)
    for edge_type in _label_types(graph):
        del view[edge_type]
    for node_type in view.node_types:
        if isinstance(view[node_type].get("raw_id"), list):
            del view[node_type].raw_id
    return view


def num_nodes(graph: HeteroData) -> tuple[int, int]:
    """Return the numbers of users and of items."""
    return int(graph[USER].num_nodes), int(graph[ITEM].num_nodes)


def train_degrees(graph: HeteroData) -> tuple[Tensor, Tensor]:
    """Return the number of train pairs per user ``[U]`` and per item ``[I]``."""
    num_users, num_items = num_nodes(graph)
    if pairs := shared_pairs(graph):
        return pairs.degree, torch.bincount(pairs.item, minlength=num_items)
    user, item = split_edges(graph, "train")
    return (
        torch.bincount(user, minlength=num_users),
        torch.bincount(item, minlength=num_items),
    )


def candidate_mask(graph: HeteroData) -> Tensor:
    """Return the mask of items that may be ranked, ``[I]`` bool; all by default."""
    mask: Tensor | None = graph[ITEM].get("candidate_mask")
    if mask is not None:
        return mask
    device = split_edges(graph, "train").device
    return torch.ones(num_nodes(graph)[1], dtype=torch.bool, device=device)


def check_rows(name: str, row: Tensor, size: int) -> None:
    """Check that row numbers exist.

    Raises:
        ValueError: If one is negative, or not below ``size``.
    """
    if row.numel() and not 0 <= int(row.min()) <= int(row.max()) < size:
        raise ValueError(
            f"{name} must be in [0, {size - 1}] "
            f"(got {int(row.min())} to {int(row.max())})"
        )


def degree_rank(count: Tensor) -> Tensor:
    """Return the rank of each node's degree among the distinct positive degrees.

    Args:
        count: ``[N]`` degrees. A node of degree zero has rank 0.

    Returns:
        ``[N]`` int64, from 0 for the smallest degree.
    """
    return torch.searchsorted(count[count > 0].unique(), count)


def check_graph(graph: HeteroData) -> None:
    """Check that a graph is a valid user-item graph.

    Raises:
        GraphError: If a node type or direction is missing, a node type has too many
            nodes, the two directions hold different edges, an index is out of range, or
            the ids or candidates do not fit.
    """
    _check_nodes(graph)
    for node_type, number in zip((USER, ITEM), num_nodes(graph), strict=True):
        _check_ids(node_type, graph[node_type].get("raw_id"), number)
    _check_labels(graph)
    if pairs := shared_pairs(graph):  # a part of their edge_index
        _check_pairs(graph, "train", torch.stack([pairs.user, pairs.item]))
    for name in split_names(graph) if pairs else ["train", *split_names(graph)]:
        _check_pairs(graph, name, split_edges(graph, name))
    if SEEN in graph.edge_types:
        _check_pairs(graph, SEEN[1], graph[SEEN].edge_label_index)
    _check_reverse(graph)
    _check_candidates(graph)


def _check_nodes(graph: HeteroData) -> None:
    for node_type in (USER, ITEM):
        number = graph[node_type].num_nodes
        if number is None:
            raise GraphError(
                f"num_nodes of node type '{node_type}' must be set (got None)"
            )
        if number > MAX_ROWS:
            raise GraphError(f"expected at most 2**31 {node_type}s (got {number})")


def _check_ids(node_type: str, ids: Any, number: int) -> None:  # noqa: ANN401
    if ids is None:
        return
    if isinstance(ids, Tensor):
        fits = ids.dtype == torch.int64 and ids.shape == (number,)
        found = f"{ids.dtype}, {tuple(ids.shape)}"
    elif isinstance(ids, list | tuple) and all(isinstance(x, str) for x in ids):
        fits, found = len(ids) == number, f"{len(ids)} strings"
    else:
        fits, found = False, f"{type(ids).__name__} of other values"
    if not fits:
        raise GraphError(
            f"raw_id of node type '{node_type}' must be an int64 tensor or strings, "
            f"one per {node_type}, {number} (got {found})"
        )
    distinct = ids.unique().numel() if isinstance(ids, Tensor) else len(set(ids))
    if distinct < number:
        raise GraphError(
            f"raw_id of node type '{node_type}' must be distinct, {number} (got "
            f"{distinct} distinct ones)"
        )


def _check_labels(graph: HeteroData) -> None:
    """Refuse labelled edges that are no pairs, as made by ``RandomLinkSplit``."""
    for edge_type in (INTERACTS, REV_INTERACTS):
        if edge_type in graph.edge_types and "edge_label_index" in graph[edge_type]:
            raise GraphError(
                f"{edge_type} must not have edge_label_index, as RandomLinkSplit makes "
                f"it: delete it, and store held-out pairs in {split_type('valid')} and "
                f"{split_type('test')}"
            )
    if SEEN in graph.edge_types and "edge_label_index" not in graph[SEEN]:
        raise GraphError(f"{SEEN} must hold its pairs as edge_label_index")
    for edge_type in _label_types(graph):
        label = graph[edge_type].get("edge_label")
        if label is not None and not bool(torch.as_tensor(label).all()):
            raise GraphError(
                f"split '{edge_type[1]}' holds sampled negatives (edge_label is 0): "
                "keep edge_label_index[:, edge_label > 0]"
            )


def _check_pairs(graph: HeteroData, name: str, pairs: Tensor) -> None:
    if not isinstance(pairs, Tensor):
        raise GraphError(
            f"split '{name}' must be a tensor [2, E] (got {type(pairs).__name__})"
        )
    if pairs.dim() != 2 or pairs.size(0) != 2:
        raise GraphError(
            f"split '{name}' must have shape [2, E] (got {tuple(pairs.shape)})"
        )
    if pairs.is_floating_point() or pairs.dtype == torch.bool:
        raise GraphError(f"split '{name}' must hold integers (got {pairs.dtype})")
    for row, (label, size) in enumerate(
        zip((USER, ITEM), num_nodes(graph), strict=True)
    ):
        if pairs.size(1) and not 0 <= int(pairs[row].min()) <= int(pairs[row].max()):
            raise GraphError(f"split '{name}' has a negative {label} index")
        if pairs.size(1) and int(pairs[row].max()) >= size:
            raise GraphError(
                f"split '{name}' has {label} index {int(pairs[row].max())}, "
                f"but the graph has {size} {label}s"
            )


def _check_reverse(graph: HeteroData) -> None:
    if shared_pairs(graph):
        return
    forward = relation_edges(graph, INTERACTS)[0]
    backward = relation_edges(graph, REV_INTERACTS)[0].flip(0)
    if coalesce(forward).size(1) < forward.size(1):
        raise GraphError(
            f"{INTERACTS} holds an edge twice: apply torch_geometric.utils.coalesce()"
        )
    if forward.shape == backward.shape and torch.equal(forward, backward):
        return
    if not torch.equal(coalesce(forward), coalesce(backward)):
        raise GraphError(
            f"{REV_INTERACTS} must hold the edges of {INTERACTS}, flipped: "
            "apply torch_geometric.transforms.ToUndirected()"
        )


def _check_candidates(graph: HeteroData) -> None:
    mask = graph[ITEM].get("candidate_mask")
    if mask is None:
        return
    if mask.dtype != torch.bool or mask.shape != (num_nodes(graph)[1],):
        raise GraphError(
            f"candidate_mask must be bool of shape [{num_nodes(graph)[1]}] "
            f"(got {mask.dtype}, {tuple(mask.shape)})"
        )
    if not mask.any():
        raise GraphError("candidate_mask must be True for at least one item (got none)")


def ragged_places(start: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the entries of rows of different lengths are.

    Args:
        start: ``[n]`` place of each row's first entry.
        count: ``[n]`` number of its entries.

    Returns:
        The row ``[M]`` and the place ``[M]`` of each entry, row by row.
    """
    row = torch.arange(len(start), device=start.device).repeat_interleave(count)
    shift = start - count.cumsum(0) + count  # [n]
    return row, torch.arange(len(row), device=row.device) + shift[row]


@overload
def is_among(keys: Tensor, known: Tensor) -> Tensor: ...
@overload
def is_among(
    keys: NDArray[np.int64], known: NDArray[np.int64]
) -> NDArray[np.bool_]: ...
def is_among(keys: Any, known: Any) -> Any:
    """Return which keys, of any shape, are among the sorted ``known`` keys ``[M]``."""
    search = torch.searchsorted if isinstance(keys, Tensor) else np.searchsorted
    if len(known) == 0:
        return keys != keys
    return known[search(known, keys).clip(max=len(known) - 1)] == keys


_Made = TypeVar("_Made")


class TensorCache(Generic[_Made]):
    """Cache of values computed from tensors, valid while the tensors are unchanged.

    A value is recomputed if one of the tensors is another object, e.g. on another
    device, or was modified in place according to autograd's version counter, which
    misses changes by ``.data`` or in inference mode. A value is dropped when the first
    of its tensors is, so it must not reference that tensor. Copies of a cache, also as
    part of a copied module, start empty.
    """

    def __init__(self) -> None:
        self._entries = WeakTensorKeyDictionary()

    def __reduce__(self) -> tuple[type["TensorCache[_Made]"], tuple[()]]:
        return type(self), ()

    def __call__(
        self, tensors: Sequence[Tensor], make: Callable[[], _Made], *key: Hashable
    ) -> _Made:
        """Return the cached value, or compute it.

        Args:
            tensors: Tensors that the value depends on, at least one.
            make: Computes the value.
            *key: Other values that it depends on.
        """
        first, *others = tensors
        # Values of one tensor by key: two relations may share a tensor of weights.
        entries = self._entries.setdefault(first, {})
        if key not in entries or entries[key][0] != _state(tensors):
            value = make()
            # The state after make(), since PyG modifies a torch.sparse_coo it reads.
            # The other tensors are kept, so that no new tensor takes their ids.
            entries[key] = _state(tensors), others, value
        found: _Made = entries[key][-1]
        return found


def _state(tensors: Sequence[Tensor]) -> list[tuple[int, int]]:
    return [(id(t), 0 if t.is_inference() else t._version) for t in tensors]
