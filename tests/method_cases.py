"""One row for each way to build a method, and one step of each in naive form.

All runs in double precision. A naive step gets a method whose objective has seen
``on_epoch_start``, the toy graph and a batch, and returns the main phase's objective
by the formulas of ``reference.py`` over dense matrices. What the step draws at random,
it draws anew from the same seed; what the epoch's start drew, it reads from the terms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from pyg_advinfonce.registry import LOSSES
from tests import cases, reference

Naive = Callable[..., torch.Tensor]  # (method, graph, batch) -> []


@dataclass(frozen=True)
class MethodCase:
    """A model with a loss, and options of the model.

    Attributes:
        model: The name in the registry.
        loss: The name in the registry.
        naive: One step's objective by loops.
        options: Arguments of the model's builder.
        loss_options: Arguments of the loss.
        epoch: The epoch that the step belongs to.
    """

    model: str
    loss: str
    naive: Naive
    options: Mapping[str, Any] = field(default_factory=dict)
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0

    @property
    def id(self):
        options = {**self.options, **self.loss_options}
        words = [f"{key}={value}" for key, value in options.items()]
        words += [f"epoch={self.epoch}"] if self.epoch else []
        return "-".join([self.model, self.loss, *words])

    def build(self, graph):
        """Build the method."""
        options = dict(self.loss_options)
        case = cases.find(self.loss)
        return case.method(self.model, graph, options=options, **self.options)


def dense(graph):
    """Return the normalised adjacency of a graph over users, then items."""
    users, items = cases.num_nodes(graph)
    return reference.normalized_adjacency(
        cases.split_edges(graph, "train"), users, items
    )


def joint(encoder):
    """Return an encoder's tables one below the other ``[U + I, D]``."""
    return torch.cat([encoder.user, encoder.item])


def halves(graph, table):
    """Cut a joint table into users' and items' rows."""
    users = cases.num_nodes(graph)[0]
    return table[:users], table[users:]


def light_gcn(method, graph):
    """Return LightGCN's users and items by dense products."""
    encoder = method.encoder
    alpha = list(encoder.alpha)
    summed, _ = reference.light_gcn(dense(graph), joint(encoder), len(alpha) - 1, alpha)
    return halves(graph, summed)


def matrices(method, view):
    """Return the dense adjacency of each layer of one graph, or of one a layer."""
    views = view if isinstance(view, list) else [view] * len(method.encoder.convs)
    return [dense(view) for view in views]


def dropped(method, graph):
    """Draw each layer's dense adjacency without some messages: to users, to items."""
    p, users = method.encoder.message_drop, cases.num_nodes(graph)[0]
    found = []
    for matrix in matrices(method, graph):
        thinned = torch.zeros_like(matrix)
        pairs = cases.split_edges(graph, "train").t().tolist()
        for to_user in (True, False):
            draw = torch.rand(len(pairs))
            for (u, i), kept in zip(pairs, (draw >= p).tolist(), strict=True):
                place = (u, users + i) if to_user else (users + i, u)
                thinned[place] = matrix[place] / (1 - p) if kept else 0.0
        found.append(thinned)
    return found


def layers_of(method, graph, layer_matrices, *, noise=0.0):
    """Propagate by dense products; noise is drawn for users, then for items."""
    layers, shapes = [joint(method.encoder)], cases.num_nodes(graph)
    for matrix in layer_matrices:
        x = matrix @ layers[-1]
        if noise:
            draw = torch.cat([torch.rand(n, x.size(1)) for n in shapes])
            x = reference.noisy(x, noise, draw)
        layers.append(x)
    return layers


def mean_of(method, graph, layers):
    """Sum the layers by the encoder's weights, as users and items."""
    alpha = method.encoder.alpha
    summed = sum(a * x for a, x in zip(alpha, layers, strict=False))
    return halves(graph, summed)


def ranking(method, z, batch):
    """Return the ranking loss and the penalty."""
    case = cases.find(loss_name(method))
    return case.naive(method.criterion, *z, batch) + penalty(method, batch)


def contrast(method, name, first, second, batch):
    """Return a weighted contrast of users plus that of items."""
    term, weight = method.objective.terms[name], method.objective.weights[name]
    index = (batch.src_index, batch.dst_pos_index)
    return weight * sum(
        reference.contrast(x, y, nodes, term.tau, term.candidates)
        for x, y, nodes in zip(first, second, index, strict=True)
    )


def by_sgl(method, graph, batch):
    """3.1: BPR on the whole graph, the contrast between the two drawn ones."""
    first, second = (
        mean_of(method, graph, layers_of(method, graph, matrices(method, view)))
        for view in method.objective.terms["views"].views
    )
    loss = ranking(method, light_gcn(method, graph), batch)
    return loss + contrast(method, "views", first, second, batch)


def by_ncl(method, graph, batch):
    """3.2: BPR, layer k against layer 0, layer 0 against centroids."""
    layers = layers_of(method, graph, matrices(method, graph))
    loss = ranking(method, mean_of(method, graph, layers), batch)
    terms, weights = method.objective.terms, method.objective.weights
    near, proto = terms["neighbors"], terms["prototypes"]
    tables, others = halves(graph, layers[0]), halves(graph, layers[near.layer])
    index = (batch.src_index, batch.dst_pos_index)
    for x, y, nodes, w in zip(
        tables, others, index, (1, near.item_weight), strict=True
    ):
        part = reference.neighbor_contrast(y, x, nodes, near.tau)
        loss = loss + weights["neighbors"] * w * part
    if len(proto.user_centroids):
        for x, nodes, centroids, cluster in (
            (tables[0], index[0], proto.user_centroids, proto.user_cluster),
            (tables[1], index[1], proto.item_centroids, proto.item_cluster),
        ):
            keys = (centroids, cluster.tolist(), proto.tau, proto.prototypes)
            part = reference.prototype_contrast(x, nodes, *keys)
            loss = loss + weights["prototypes"] * part
    return loss


def by_simgcl(method, graph, batch):
    """3.3: BPR on the clean pass, the contrast between two noisy ones."""
    whole, eps = matrices(method, graph), method.encoder.noise.eps
    clean, first, second = (
        mean_of(method, graph, layers_of(method, graph, whole, noise=noise))
        for noise in (0.0, eps, eps)
    )
    loss = ranking(method, clean, batch)
    return loss + contrast(method, "passes", first, second, batch)


def by_xsimgcl(method, graph, batch):
    """3.4: BPR on the noisy pass, its mean against one of its layers."""
    whole, eps = matrices(method, graph), method.encoder.noise.eps
    layers = layers_of(method, graph, whole, noise=eps)
    z = mean_of(method, graph, layers)
    other = halves(graph, layers[method.objective.terms["layers"].layer])
    return ranking(method, z, batch) + contrast(method, "layers", z, other, batch)


def by_dcl(method, graph, batch):
    """3.5: the debiased loss on the first of two passes with dropped messages."""
    first, second = (
        mean_of(method, graph, layers_of(method, graph, dropped(method, graph)))
        for _ in range(2)
    )
    loss = ranking(method, first, batch)
    return loss + contrast(method, "passes", first, second, batch)


def penalty(method, batch):
    """Return the weighted L2 penalty of a batch's layer-0 rows."""
    encoder, term = method.encoder, method.objective.terms["l2"]
    return method.objective.weights["l2"] * reference.embedding_l2(
        encoder.user, encoder.item, batch, negatives=term.negatives
    )


def by_criterion(method, graph, batch):
    """LightGCN and MF: the criterion on the sum of layers, and the penalty."""
    case = cases.find(loss_name(method))
    loss = case.naive(method.criterion, *light_gcn(method, graph), batch)
    return loss + penalty(method, batch)


def loss_name(method):
    """Return the first name of a method's criterion in the registry."""
    kind = type(method.criterion)
    return next(name for name, entry in LOSSES.items() if entry.load() is kind)


NCL = {"neighbor_weight": 0.1, "prototype_weight": 0.2, "item_weight": 0.5}

METHOD_CASES = (
    MethodCase("lightgcn", "infonce", by_criterion),
    MethodCase("lightgcn", "adv", by_criterion, {"num_layers": 3, "l2": 0.1}),
    MethodCase("lightgcn", "bpr", by_criterion, {"alpha": [0.5, 0.2, 0.3], "l2": 0.1}),
    MethodCase("mf", "infonce", by_criterion, {"l2": 0.1}),
    MethodCase("sgl", "bpr", by_sgl, {"drop": 0.3}),
    MethodCase("sgl", "bpr", by_sgl, {"augmentation": "node", "drop": 0.3}),
    MethodCase("sgl", "adv", by_sgl, {"augmentation": "walk", "drop": 0.4, "l2": 0.1}),
    MethodCase("sgl", "bpr", by_sgl, {"candidates": "batch", "num_layers": 1}),
    MethodCase("ncl", "bpr", by_ncl, NCL),
    MethodCase("ncl", "bpr", by_ncl, NCL | {"first_epoch": 1}),
    MethodCase("ncl", "bpr", by_ncl, NCL | {"first_epoch": 1}, epoch=1),
    MethodCase("ncl", "infonce", by_ncl, NCL | {"prototypes": "batch", "layer": 4}),
    MethodCase("ncl", "bpr", by_ncl, NCL | {"num_layers": 1, "num_prototypes": 2}),
    MethodCase("simgcl", "bpr", by_simgcl),
    MethodCase("simgcl", "adv", by_simgcl, {"candidates": "all", "noise": 0.5}),
    MethodCase("xsimgcl", "bpr", by_xsimgcl),
    MethodCase("xsimgcl", "bpr", by_xsimgcl, {"layer": 2, "num_layers": 3, "l2": 0.1}),
    MethodCase("xsimgcl", "infonce", by_xsimgcl, {"candidates": "all"}),
    MethodCase("dcl", "dcl", by_dcl),
    MethodCase("dcl", "dcl", by_dcl, {"message_drop": 0.5, "candidates": "all"}),
)
