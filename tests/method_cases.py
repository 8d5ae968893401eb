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
    return case.naive(method.loss, *z, batch) + penalty(method, batch, z)


def contrast(method, name, first, second, batch):
    """Return a weighted contrast of users plus that of items."""
    term, weight = method.objective.terms[name], method.objective.weights[name]
    index = (batch.src_index, batch.dst_pos_index)
    return weight * sum(
        reference.contrast(x, y, nodes, term.tau, term.candidates, term.anchors)
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


def low_rank(graph, rank):
    """Return the best approximation of rank ``q`` of the normalised adjacency."""
    matrix = dense(graph)
    users = cases.num_nodes(graph)[0]
    left, scale, right = torch.linalg.svd(matrix[:users, users:])
    assert scale[rank - 1] - 1e-3 > (scale[rank] if rank < len(scale) else 0)
    found = torch.zeros_like(matrix)
    for k in range(rank):
        found[:users, users:] += scale[k] * torch.outer(left[:, k], right[k])
    return found + found.t()


def by_lightgcl(method, graph, batch):
    """3.8: BPR on a sum of layers, a sum over a low-rank graph, L2 of all tables."""
    term, weights = method.objective.terms["svd"], method.objective.weights
    thinned = dropped if method.encoder.message_drop else matrices
    layers, alpha = layers_of(method, graph, thinned(method, graph)), term.alpha
    z, view = mean_of(method, graph, layers), low_rank(graph, len(term.scale))
    low = sum(a * view @ x for a, x in zip(alpha[1:], layers, strict=False))
    low = halves(graph, alpha[0] * layers[0] + low)
    loss = cases.find(loss_name(method)).naive(method.loss, *z, batch)
    items = batch.dst_pos_index.tolist()
    if term.with_negatives:
        items += batch.dst_neg_index.flatten().tolist()
    for g, e, nodes in zip(low, z, (batch.src_index.tolist(), items), strict=True):
        for node in nodes:
            scores = torch.stack([reference.dot(g[node], row) / term.tau for row in e])
            part = torch.log(torch.exp(scores).sum()) - scores[node].clamp(-5, 5)
            loss = loss + weights["svd"] * part / len(nodes)
    squares = sum((p**2).sum() for p in method.encoder.parameters())
    return loss + weights["l2"] / 2 * squares


def penalty(method, batch, z=None, layers=()):
    """Return the weighted L2 penalty of a batch's rows, by default of layer 0."""
    encoder, term = method.encoder, method.objective.terms["l2"]
    rows = {
        "ego": (encoder.user, encoder.item),
        "final": z,
        "layers": tuple(map(list, zip(*layers, strict=True))),
    }[term.rows]
    return method.objective.weights["l2"] * reference.embedding_l2(
        *rows,
        batch,
        negatives=term.negatives,
        norm_kind=term.norm,
        mean=term.reduction == "mean",
    )


def by_criterion(method, graph, batch):
    """LightGCN and MF: the criterion on the sum of layers, and the penalty."""
    case = cases.find(loss_name(method))
    z = light_gcn(method, graph)
    layers = layers_of(method, graph, matrices(method, graph))
    layers = [halves(graph, layer) for layer in layers]
    return case.naive(method.loss, *z, batch) + penalty(method, batch, z, layers)


def loss_name(method):
    """Return the first name of a method's criterion in the registry."""
    kind = type(method.loss)
    return next(name for name, entry in LOSSES.items() if entry.load() is kind)


def by_autocf(method, graph, batch):
    """AutoCF: what is masked is drawn anew, in the order in which the step draws."""
    encoder, loss = method.encoder, method.loss
    links = reference.joint_links(
        cases.split_edges(graph, "train"), *cases.num_nodes(graph)
    )
    table = joint(encoder)
    score = reference.centrality(links, table)
    draw = torch.rand(len(table), device="cpu")
    noisy = torch.log(1 / (1 + torch.exp(-score))) - torch.log(-torch.log(draw))
    seeds = set(noisy.argsort(descending=True)[: loss.num_seeds].tolist())
    masked, pool = reference.mask_around(links, seeds, loss.mask.depth)
    rebuilt = reference.link_at_random(
        masked, pool, len(table), len(links), loss.keep_rate
    )
    z = reference.autocf(encoder, table, masked, rebuilt)
    z_user, z_item = halves(graph, z)
    value = reference.autocf_contrast(z_user, z_item, batch, loss.ssl_weight)
    l2 = method.objective.weights["l2"] / 2
    squares = sum((p**2).sum() for p in encoder.parameters())
    return value - noisy.sum() / len(noisy) + l2 * squares


def ultra_gcn(method, graph, batch):
    """UltraGCN: the criterion on the tables, its constraints and the item graph."""
    users, items = cases.num_nodes(graph)
    train = cases.split_edges(graph, "train")
    tables = method.encoder.user, method.encoder.item
    weights = method.objective.weights
    case = cases.find(loss_name(method))
    loss = case.naive(method.loss, *tables, batch)
    reduction = "mean"
    if loss_name(method) == "bce":
        reduction = method.loss.reduction
        squares = sum(reference.norm(row) ** 2 for table in tables for row in table)
        loss = loss + weights["l2"] * squares / 2
    else:
        loss = loss + penalty(method, batch)
    if "constraint" in method.objective.terms:
        beta = reference.beta(train, users, items)
        pos, neg = reference.scores(*tables, batch, cosines=False)
        part = reference.bce(pos, neg, batch, beta, 0, 1, 0, 1, CONSTRAINT, "mean")
        loss = loss + weights["constraint"] * part
    if "item_graph" in method.objective.terms:
        together = reference.co_occurrence(train, users, items)
        neighbors = reference.item_neighbors(together, NEIGHBORS, "code")
        part = reference.item_graph(*tables, batch, neighbors, reduction)
        loss = loss + weights["item_graph"] * part
    return loss


def vgae(method, graph, batch):
    """VGAE: the criterion on what is drawn, users first; the prior and the penalty."""
    encoder = method.encoder
    mu, logstd = reference.vgae(
        dense(graph),
        joint(encoder),
        encoder.mu.weight.t(),
        encoder.logstd.weight.t(),
        encoder.logstd_offset,
        relu=isinstance(encoder.activation, torch.nn.ReLU),
        residual=encoder.residual,
    )
    users = cases.num_nodes(graph)[0]
    noise = torch.cat([torch.randn_like(rows) for rows in (mu[:users], mu[users:])])
    z = halves(graph, mu + torch.exp(logstd) * noise)
    loss = cases.find(loss_name(method)).naive(method.loss, *z, batch)
    prior = method.objective.weights["kl"] * reference.kl_prior(mu, logstd)
    return loss + prior + penalty(method, batch)


NEIGHBORS, CONSTRAINT = 4, 5.0
ULTRA = {"num_neighbors": NEIGHBORS, "item_weight": 0.5, "l2": 0.1, "std": 1.0}
CONSTRAINED = {"constraint_weight": 2.0, "constraint_negative_weight": CONSTRAINT}
ALONE = {"constraint_weight": 0.0, "item_weight": 0.0, "l2": 0.1, "std": 1.0}


def degree_numbers(graph):
    """2.4: the dense rank of each user's and each item's degree; none is the least."""
    train = cases.split_edges(graph, "train").tolist()
    for nodes, number in zip(train, cases.num_nodes(graph), strict=True):
        counts = [nodes.count(k) for k in range(number)]
        values = sorted(set(counts) - {0})
        yield [values.index(max(count, values[0])) for count in counts]


def by_invcf(method, graph, batch):
    """2.13: preference, popularity, both joined, joined and permuted; dCor; L2."""
    term, encoder = method.loss, method.encoder
    user_rank, item_rank = degree_numbers(graph)
    tables = torch.cat([term.user[user_rank], term.item[item_rank]])
    alpha = list(encoder.alpha)
    pop, _ = reference.light_gcn(dense(graph), tables, len(alpha) - 1, alpha)
    m, z = light_gcn(method, graph), halves(graph, pop)
    users, items = batch.src_index, batch.dst_pos_index
    order = torch.randperm(len(users))

    def contrast(user, item, negatives):
        losses = []
        for b in range(len(users)):
            pos = reference.cosine(user[b], item[b]) / term.tau
            if term.negatives == "in_batch":
                others = reference.other_rows(items, b, mask_hits=term.mask_hits)
                rows = [item[c] for c in others]
            else:
                rows = [negatives[j] for j in batch.dst_neg_index[b]]
            scores = [reference.cosine(user[b], row) / term.tau for row in rows]
            losses.append(reference.row_loss(pos, scores))
        return sum(losses) / len(losses)

    def join(x, y):
        return torch.cat([x, y], -1)

    (mu, mi), (zu, zi) = ((x[0][users], x[1][items]) for x in (m, z))
    table = join(m[1], z[1]) if term.reverse_negatives else join(z[1], m[1])
    joined = contrast(join(zu, mu), join(zi, mi), table)
    joined = joined + contrast(join(zu[order], mu), join(zi[order], mi), table)
    distance = reference.distance_correlation(mu, zu, 1e-8)
    distance = distance + reference.distance_correlation(mi, zi, 1e-8)
    by_rank = (x[rank] for x, rank in ((term.user, user_rank), (term.item, item_rank)))
    keys = {"negatives": False, "mean": term.l2_reduction == "mean"}
    own = reference.embedding_l2(encoder.user, encoder.item, batch, **keys)
    squares = reference.embedding_l2(*by_rank, batch, **keys)
    return (
        contrast(mu, mi, m[1])
        + term.lam1 * (contrast(zu, zi, z[1]) + term.l2 * squares)
        + term.lam2 * distance
        + term.lam3 * (joined + 2 * term.l2 * (squares + own))
        + penalty(method, batch)
    )


INVCF = {"dim": 3, "lam1": 0.3, "lam2": 0.2, "lam3": 0.4, "l2": 0.1}
INVCF_CODE = {**INVCF, "mask_hits": False, "l2_reduction": "sum"}
FINAL = {"norm": "plain", "rows": "final"}
NCL = {"neighbor_weight": 0.1, "prototype_weight": 0.2, "item_weight": 0.5}

METHOD_CASES = (
    MethodCase("lightgcn", "infonce", by_criterion),
    MethodCase("lightgcn", "adv", by_criterion, {"num_layers": 3, "l2": 0.1}),
    MethodCase("lightgcn", "bpr", by_criterion, {"alpha": [0.5, 0.2, 0.3], "l2": 0.1}),
    MethodCase("mf", "infonce", by_criterion, {"l2": 0.1}),
    *(
        MethodCase("lightgcn", loss, by_criterion, {"l2": 0.1, "l2_options": options})
        for loss, options in (
            ("bpr", {"negatives": True, "norm": "plain"}),
            ("bpr", {"norm": "plain", "reduction": "sum", "rows": "final"}),
            ("adap-tau", {"negatives": True, "rows": "layers"}),
            ("infonce", {"norm": "plain", "rows": "layers"}),
            ("infonce", {"reduction": "sum"}),
        )
    ),
    MethodCase("autocf", "autocf", by_autocf, {"l2": 0.1}),
    MethodCase(
        "autocf",
        "autocf",
        by_autocf,
        {"num_heads": 3, "num_layers": 1},
        {"num_seeds": 2, "mask_depth": 1, "ssl_weight": 0.5, "keep_rate": 0.5},
    ),
    MethodCase("ultragcn", "bce", ultra_gcn, ULTRA),
    MethodCase("ultragcn", "bce", ultra_gcn, ULTRA, {"reduction": "mean"}),
    MethodCase("ultragcn", "infonce", ultra_gcn, ULTRA | CONSTRAINED),
    MethodCase("ultragcn", "infonce", ultra_gcn, ALONE),
    MethodCase("ultragcn", "adv", ultra_gcn, ULTRA | CONSTRAINED),
    MethodCase("vgae", "bce", vgae, {"beta_kl": 0.5, "l2": 0.1}),
    MethodCase("vgae", "infonce", vgae, {"activation": "none", "residual": True}),
    MethodCase("vgae", "adv", vgae, {"beta_kl": 0.5, "logstd_offset": -1.0}),
    MethodCase("lightgcn", "invcf", by_invcf, {"l2": 0.2}, INVCF),
    MethodCase("lightgcn", "invcf", by_invcf, {"l2": 0.2}, {"lam2": 3.0}),
    MethodCase("mf", "invcf", by_invcf, {"l2": 0.2}, INVCF),
    MethodCase("lightgcn", "invcf", by_invcf, {"l2": 0.2}, INVCF_CODE),
    MethodCase(
        *("mf", "invcf", by_invcf, {"l2": 0.2}),
        {"negatives": "sampled", "lam3": 0.7, "reverse_negatives": True},
    ),
    MethodCase("sgl", "bpr", by_sgl, {"drop": 0.3}),
    MethodCase("sgl", "bpr", by_sgl, {"drop": 0.3, "anchors": "edges"}),
    MethodCase("sgl", "bpr", by_sgl, {"candidates": "batch", "anchors": "edges"}),
    MethodCase("sgl", "bpr", by_sgl, {"augmentation": "node", "drop": 0.3}),
    MethodCase("sgl", "adv", by_sgl, {"augmentation": "walk", "drop": 0.4, "l2": 0.1}),
    MethodCase("sgl", "bpr", by_sgl, {"candidates": "batch", "num_layers": 1}),
    MethodCase("ncl", "bpr", by_ncl, NCL),
    MethodCase("ncl", "bpr", by_ncl, NCL | {"first_epoch": 1}),
    MethodCase("ncl", "bpr", by_ncl, NCL | {"first_epoch": 1}, epoch=1),
    MethodCase("ncl", "infonce", by_ncl, NCL | {"prototypes": "batch", "layer": 4}),
    MethodCase("ncl", "bpr", by_ncl, NCL | {"num_layers": 1, "num_prototypes": 2}),
    MethodCase("simgcl", "bpr", by_simgcl),
    MethodCase("simgcl", "bpr", by_simgcl, {"l2": 0.1, "l2_options": FINAL}),
    MethodCase("simgcl", "adv", by_simgcl, {"candidates": "all", "noise": 0.5}),
    MethodCase("xsimgcl", "bpr", by_xsimgcl),
    MethodCase("xsimgcl", "bpr", by_xsimgcl, {"l2": 0.1, "l2_options": FINAL}),
    MethodCase("xsimgcl", "bpr", by_xsimgcl, {"layer": 2, "num_layers": 3, "l2": 0.1}),
    MethodCase("xsimgcl", "infonce", by_xsimgcl, {"candidates": "all"}),
    MethodCase("lightgcl", "bpr", by_lightgcl, {"rank": 2, "l2": 0.1}),
    MethodCase("lightgcl", "adv", by_lightgcl, {"rank": 3, "message_drop": 0.4}),
    MethodCase("lightgcl", "bpr", by_lightgcl, {"rank": 3, "tau": 0.02}),
    MethodCase("lightgcl", "bpr", by_lightgcl, {"rank": 4, "first_layer": 1}),
    MethodCase(
        "lightgcl",
        "infonce",
        by_lightgcl,
        {"rank": 2, "num_layers": 3, "with_negatives": True, "weight": 1.5},
    ),
    MethodCase("dcl", "dcl", by_dcl),
    MethodCase("dcl", "dcl", by_dcl, {"message_drop": 0.5, "candidates": "all"}),
)
