"""One row for each way to build a loss; the rows drive the contract tests.

The rows of whole methods, one step of each in naive form, are in ``method_cases.py``.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch_geometric.typing import WITH_PYG_LIB, WITH_TORCH_SPARSE

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.graph import build_graph, num_nodes, split_edges
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.registry import LOSSES, MODELS, NO_LOSS
from pyg_advinfonce.transforms import BipartiteNorm
from tests import reference

HAS_SAMPLER = WITH_PYG_LIB or WITH_TORCH_SPARSE  # of neighbours

DIM = 6
NUM_USERS, NUM_ITEMS = 9, 12  # the last user and the last item are isolated
TRAIN = (
    *((0, 0), (0, 3), (0, 4), (1, 0), (1, 1), (1, 5), (2, 2), (2, 6)),
    *((3, 0), (3, 2), (3, 7), (3, 8), (4, 1), (4, 9), (5, 4), (5, 5), (5, 10)),
    *((6, 3), (6, 6), (7, 0), (7, 7), (7, 9), (7, 10), (7, 1)),
)
VALID = ((0, 1), (1, 2), (2, 0), (3, 5), (4, 3), (5, 8), (6, 0), (7, 2))
TEST = ((0, 9), (1, 3), (2, 4), (3, 10), (5, 0), (7, 11))


def pairs(*edges):
    """Return ``[2, E]`` from pairs."""
    return torch.tensor(edges, dtype=torch.long).view(-1, 2).t()


def toy_graph():
    """Return a new small graph with both splits and normalised weights."""
    graph = build_graph(
        pairs(*TRAIN),
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
        splits={"valid": pairs(*VALID), "test": pairs(*TEST)},
    )
    return BipartiteNorm()(graph)


def toy_batch(size=5, num_negatives=4, seed=0):
    """Return a batch of toy train pairs; negatives are any items, also twice."""
    generator = torch.Generator().manual_seed(seed)
    train = pairs(*TRAIN)
    chosen = torch.randperm(train.size(1), generator=generator)[:size]
    user, item = train[:, chosen]
    shape = (size, num_negatives)
    negatives = torch.randint(NUM_ITEMS, shape, generator=generator)
    return EdgeBatch(user, item, negatives)


def toy_tables(dtype=torch.float64, seed=0, *, users=NUM_USERS, items=NUM_ITEMS):
    """Return embeddings of the toy graph's nodes that want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(n, DIM, generator=generator, dtype=torch.float64)
        .to(dtype)
        .requires_grad_()
        for n in (users, items)
    )


Naive = Callable[..., torch.Tensor]  # (criterion, z_user, z_item, batch) -> []


@dataclass(frozen=True)
class Case:
    """A loss of the registry and options of it.

    Attributes:
        loss: The name in the registry.
        naive: The formula by loops; what is drawn, it draws from the same seed. None
            for a loss that is a term: then ``method_cases.py`` has its formula.
        options: Arguments of the criterion.
        hardness: Arguments of its hardness.
        draws: Whether the loss draws random numbers.
        sums: Whether a masked negative counts as if it were not there.
        model: A model that takes the loss.
    """

    loss: str
    naive: Naive | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    hardness: Mapping[str, Any] = field(default_factory=dict)
    draws: bool = False
    sums: bool = True
    model: str = "lightgcn"

    @property
    def id(self):
        options = {**self.options, **self.hardness}
        words = [f"{k}={v}" for k, v in options.items() if k != "dim"]
        return "-".join([self.loss, *words])

    @property
    def has_adversary(self):
        return self.loss in ("adv", "adv-mlp", "adv-reverse")

    @property
    def is_criterion(self):
        return issubclass(LOSSES[self.loss].load(), Criterion)

    def takes(self, key):
        """Whether the loss has an argument of this name."""
        return key in inspect.signature(LOSSES[self.loss].load()).parameters

    def build(self, graph=None, **options):
        """Build the criterion for a graph (default: the toy graph)."""
        entry = LOSSES[self.loss]
        keys = {**entry.options.get("loss", {}), **self.options, **options}
        hardness = {**entry.options.get("hardness", {}), **self.hardness}
        if hardness:
            keys["hardness"] = hardness
        torch.manual_seed(7)
        return entry.load().from_graph(graph or toy_graph(), **keys)

    def method(self, model=None, graph=None, *, lr=0.01, options=None, **builder):
        """Build a model with this loss."""
        graph = toy_graph() if graph is None else graph
        pair = MODELS[model or self.model].losses[self.loss]
        criterion = self.build(graph, **{**pair.get("loss", {}), **(options or {})})
        counts = LOSSES[self.loss].options.get("train", {}).get("l2_negatives", False)
        small = {"dim": DIM, **SMALL.get(model or self.model, {})}
        builder = {"l2_options": {"negatives": counts}, **small, **builder}
        torch.manual_seed(11)
        return MODELS[model or self.model].load()(graph, criterion, lr=lr, **builder)


def by_bpr(criterion, z_user, z_item, batch):
    return reference.bpr(
        *reference.scores(z_user, z_item, batch, cosines=criterion.cosine)
    )


def by_info_nce(criterion, z_user, z_item, batch, delta=None):
    pos, neg = reference.scores(z_user, z_item, batch, cosines=True, tau=criterion.tau)
    return reference.info_nce(pos, neg, delta, criterion.negative_weight)


def by_in_batch(criterion, z_user, z_item, batch):
    items = batch.dst_pos_index
    others = replace(batch, dst_neg_index=items.expand(len(items), -1))
    pos, rows = reference.scores(
        z_user, z_item, others, cosines=True, tau=criterion.tau
    )
    weight, mask_hits = criterion.negative_weight, criterion.mask_hits
    return reference.in_batch_info_nce(pos, rows, items, weight, mask_hits=mask_hits)


def by_embedding(criterion, z_user, z_item, batch):
    psi, phi = criterion.hardness.user.double(), criterion.hardness.item.double()
    delta = reference.hardness(reference.embedding_logits(psi, phi, batch))
    return by_info_nce(criterion, z_user, z_item, batch, delta)


def by_mlp(criterion, z_user, z_item, batch):
    hardness = criterion.hardness
    logits = reference.mlp_logits(
        hardness.user,
        hardness.item,
        z_user.detach(),
        z_item.detach(),
        batch,
        relu=isinstance(hardness.activation, torch.nn.ReLU),
    )
    return by_info_nce(criterion, z_user, z_item, batch, reference.hardness(logits))


def by_chance(criterion, z_user, z_item, batch):
    shape = batch.dst_neg_index.shape
    draw = torch.rand(shape, device="cpu", dtype=torch.float32).double()
    if criterion.hardness.normalized:  # 2.7, option: delta = log(N r / sum r)
        delta = (draw.size(1) * draw / draw.sum(1, keepdim=True)).log()
    else:  # 2.7: delta = log(2 r)
        delta = (2 * draw).log()
    return by_info_nce(criterion, z_user, z_item, batch, delta)


def by_ccl(criterion, z_user, z_item, batch):
    pos, neg = reference.scores(z_user, z_item, batch, cosines=True)
    return reference.cosine_contrastive(pos, neg, criterion.weight, criterion.margin)


def by_bc(criterion, z_user, z_item, batch):
    users = [criterion.user[criterion.user_rank[u]] for u in batch.user_id]
    ranks = criterion.item_rank
    items = [criterion.item[ranks[i]] for i in batch.pos_id]
    others = [[criterion.item[ranks[j]] for j in row] for row in batch.neg_id]
    pos, neg = reference.scores(z_user, z_item, batch, cosines=True)
    wide = [
        reference.widened(
            c, reference.bc_margin(u, i).detach(), capped=criterion.capped
        )
        for c, u, i in zip(pos, users, items, strict=True)
    ]
    tau, share = criterion.tau, criterion.popularity_weight
    main = reference.info_nce(torch.stack(wide) / tau, neg / tau)
    cosines = [
        torch.stack([reference.cosine(u, j) for j in (i, *row)])
        for u, i, row in zip(users, items, others, strict=True)
    ]
    table = torch.stack(cosines) / criterion.popularity_tau
    return (1 - share) * main + share * reference.info_nce(table[:, 0], table[:, 1:])


def by_adap_tau(criterion, z_user, z_item, batch):
    pos, neg = reference.scores(z_user, z_item, batch, cosines=True)
    scales = criterion.inverse_tau[batch.user_id]
    with_positive = criterion.positive_in_denominator
    return reference.adap_tau(
        pos, neg, scales, criterion.base, with_positive=with_positive
    )


def by_bce(criterion, z_user, z_item, batch):
    c = criterion
    pos, neg = reference.scores(z_user, z_item, batch, cosines=False)
    beta = reference.beta(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    weights = c.w1, c.w2, c.w3, c.w4, c.negative_weight
    return reference.bce(pos, neg, batch, beta, *weights, c.reduction)


WEIGHTED = {"w1": 0.5, "w2": 2.0, "w3": 0.25, "w4": 3.0, "negative_weight": 4.0}


def item_weights(weigh):
    """Weigh each toy item by its number of train pairs; unknown ones as the least."""
    counts = [sum(item == j for _, item in TRAIN) for j in range(NUM_ITEMS)]
    least = min(weigh(count) for count in counts if count)
    return [weigh(count) if count else least for count in counts]


def by_resampling(criterion, z_user, z_item, batch, weigh=float):
    items, weights = batch.dst_pos_index.tolist(), item_weights(weigh)
    user = z_user[batch.src_index]
    score = reference.cosine if criterion.cosine else reference.dot
    own = reference.pair_scores(user, z_item[items], criterion.tau, score)

    def part(ids, q, number):
        scores = reference.pair_scores(user, z_item[ids], criterion.tau, score)
        draws = torch.rand(len(items), number, device="cpu", dtype=torch.float32)
        losses = []
        for b, row in enumerate(scores):
            hits = [c for c, j in enumerate(ids) if j == items[b]]
            hits = hits if criterion.mask_hits else []
            places = reference.resample(row, q, draws[b].tolist(), hits)
            losses.append(reference.row_loss(own[b][b], [row[c] for c in places]))
        return sum(losses) / len(losses)

    cache = criterion.cache.tolist()
    number = len(cache) // 2 if cache else len(items)
    loss = part(items, [weights[j] for j in items], number)
    if not cache:
        return loss
    if criterion.cache_q == "occurrence":
        weights = criterion.occurrence.tolist()
    cached = part(cache, [weights[j] for j in cache], number)
    return criterion.lam * cached + (1 - criterion.lam) * loss


def by_groups(criterion, z_user, z_item, batch, thresholds=(0.6, 0.8)):
    if criterion.negatives == "in_batch":
        rows = in_batch_rows(criterion, z_user, z_item, batch)
    else:
        rows = zip(
            *reference.scores(z_user, z_item, batch, cosines=True, tau=criterion.tau),
            strict=True,
        )
    losses = [reference.row_loss(pos, negatives) for pos, negatives in rows]
    ratios = reference.popular_ratio(TRAIN, NUM_USERS, NUM_ITEMS)
    groups = [sum(ratios[u] >= t for t in thresholds) for u in batch.user_id.tolist()]
    weights = criterion.log_weight.exp().tolist()
    state = list(zip(criterion.group_loss.tolist(), weights, strict=True))
    *_, objective = reference.streaming_groups(
        losses, groups, state, lr=criterion.group_lr, eta=criterion.eta
    )
    return objective * (len(losses) if criterion.scale_by_batch else 1)


def in_batch_rows(criterion, z_user, z_item, batch):
    """Return each row's positive score and those of the other items of the batch."""
    items, keep = batch.dst_pos_index, criterion.mask_hits
    scores = reference.pair_scores(
        z_user[batch.src_index], z_item[items], criterion.tau
    )
    return [
        (row[b], [row[c] for c in reference.other_rows(items, b, mask_hits=keep)])
        for b, row in enumerate(scores)
    ]


def by_debiasing(criterion, z_user, z_item, batch):
    users, items = batch.src_index.tolist(), batch.dst_pos_index.tolist()
    tau, losses = criterion.tau, []
    for b, (u, i) in enumerate(zip(users, items, strict=True)):
        others_j = [z_item[j] for j in items if j != i]
        others_v = [z_user[v] for v in users if v != u]
        anchors = [(z_user[u], others_j)]
        if criterion.users:
            anchors.append((z_item[i], others_v))
        if criterion.same_type:
            anchors.append((z_item[i], others_j))
        if criterion.same_type and criterion.users:
            anchors.append((z_user[u], others_v))
        pos = reference.cosine(z_user[u], z_item[items[b]]) / tau
        mass = 0.0
        for anchor, others in anchors:
            negatives = [reference.cosine(anchor, x) / tau for x in others]
            floor = math.exp(-1 / tau)
            mass += reference.debiased_mass(pos, negatives, criterion.omega, floor)
        losses.append(-torch.log(torch.exp(pos) / (torch.exp(pos) + mass)))
    return sum(losses) / len(losses)


def by_alignment(criterion, z_user, z_item, batch):
    user, item = z_user[batch.src_index], z_item[batch.dst_pos_index]
    loss = reference.align(user, item)
    if len(user) == 1:
        return loss
    spread = reference.uniform(user) + reference.uniform(item)
    return loss + criterion.gamma * spread / 2


def by_dcl(criterion, z_user, z_item, batch):
    pos, neg = reference.scores(z_user, z_item, batch, cosines=True, tau=criterion.tau)
    return reference.debiased_info_nce(pos, neg, criterion.prior, criterion.tau)


# Arguments of builders that the toy graph is too small for, or that a test needs small.
SMALL: Mapping[str, Mapping[str, Any]] = {
    "autocf": {"num_heads": 2},
    "ncl": {"first_epoch": 0, "neighbor_weight": 1e-3, "prototype_weight": 1e-3},
}

# Models that draw numbers besides the sampler's.
DRAWING = {"vgae", "sgl", "ncl", "simgcl", "xsimgcl", "dcl"}

CASES = (
    Case("bpr", by_bpr),
    Case("bpr", by_bpr, {"cosine": True}),
    Case("infonce", by_info_nce),
    Case("infonce", by_info_nce, {"tau": 0.75, "negative_weight": 64.0}),
    Case("infonce", by_in_batch, {"negatives": "in_batch"}),
    Case("infonce", by_in_batch, {"negatives": "in_batch", "mask_hits": False}),
    Case("ccl", by_ccl),
    Case("ccl", by_ccl, {"weight": 2.0, "margin": -0.5}),
    Case("bc", by_bc, {"dim": 3}),
    Case("bc", by_bc, {"tau": 0.4, "popularity_weight": 0.2, "capped": False}),
    Case("adap-tau", by_adap_tau),
    Case("adap-tau", by_adap_tau, {"tau": 0.5, "positive_in_denominator": False}),
    Case("adv", by_embedding, hardness={"dim": 3}),
    Case("adv", by_embedding, {"tau": 0.5, "negative_weight": 1.0}, {"dim": 3}),
    Case("adv", by_info_nce, hardness={"kind": "uniform"}),
    Case("adv", by_embedding, {"hardness_l2": 0.1}, {"dim": 3}),
    Case("adv-mlp", by_mlp, hardness={"dim": DIM}),
    Case(
        "adv-mlp",
        by_mlp,
        {"tau": 0.5},
        {"dim": DIM, "input": "final", "activation": "none", "hidden": 2},
    ),
    Case("rand", by_chance, draws=True, sums=False),
    Case("rand", by_chance, hardness={"normalized": True}, draws=True, sums=False),
    Case("adv-reverse", by_embedding, hardness={"dim": 3}),
    Case("autocf", None, {"num_seeds": 1}, draws=True, model="autocf"),
    Case("bce", by_bce, model="vgae"),
    Case("bce", by_bce, WEIGHTED, model="vgae"),
    Case("bce", by_bce, {"w2": 1.0, "reduction": "sum"}, model="vgae"),
    Case("xir", by_resampling, {"cache_size": 20}, draws=True),
    Case(
        "xir",
        partial(by_resampling, weigh=lambda count: count**0.75),
        {"cache_size": 7, "lam": 0.2, "popularity": "power", "mask_hits": True},
        draws=True,
    ),
    Case(
        "xir",
        by_resampling,
        {"cache_size": 8, "tau": 0.5, "cache_q": "occurrence"},
        draws=True,
    ),
    Case(
        "xir", by_resampling, {"cosine": False, "tau": 4.0, "cache_size": 6}, draws=True
    ),
    Case("bir", by_resampling, draws=True),
    Case(
        "bir",
        partial(by_resampling, weigh=math.log1p),
        {"popularity": "log", "mask_hits": True},
        draws=True,
    ),
    Case("sdro", by_groups),
    Case(
        "sdro",
        partial(by_groups, thresholds=(0.3, 0.5)),
        {"thresholds": [0.3, 0.5], "eta": 3.0, "group_lr": 0.5, "scale_by_batch": True},
    ),
    Case("sdro", by_groups, {"negatives": "in_batch", "eta": 3.0}),
    Case("sdro", by_groups, {"negatives": "in_batch", "mask_hits": False}),
    Case("hdccf", by_debiasing),
    Case("hdccf", by_debiasing, {"omega": 0.4, "tau": 0.5, "same_type": False}),
    Case("hdccf", by_debiasing, {"omega": 0.3, "tau": 0.1, "users": False}),
    Case("directau", by_alignment),
    Case("directau", by_alignment, {"gamma": 5.0, "cosine": True}),
    Case("invcf", options={"dim": 3}, draws=True),
    Case("invcf", options={"dim": 3, "lam2": 0.5, "negatives": "sampled"}, draws=True),
    Case("dcl", by_dcl, model="dcl"),
    Case("dcl", by_dcl, {"tau": 0.5, "prior": 0.1}, model="dcl"),
)
FIRST = tuple({case.loss: case for case in reversed(CASES)}.values())[::-1]
CRITERIA = tuple(case for case in CASES if case.is_criterion)
ADVERSARIAL = tuple(case for case in FIRST if case.has_adversary)


def find(loss):
    """Return the first row of a loss."""
    return next(case for case in CASES if case.loss == loss)


# Every model that has a loss, and every such model with every loss that it takes.
TRAINED = {m: entry for m, entry in MODELS.items() if NO_LOSS not in entry.losses}
PAIRS = tuple((m, find(loss)) for m, entry in TRAINED.items() for loss in entry.losses)


def width(model, dim):
    """Return the options that give a model this width; none without embeddings."""
    if model not in MODELS:
        return {"dim": dim}
    takes = inspect.signature(MODELS[model].load_encoder()).parameters
    return {"dim": dim} if "dim" in takes else {}


def pair_name(value):
    """Name a member of :data:`PAIRS` in a test's id."""
    return getattr(value, "loss", value)


def train_pairs(graph):
    """Return each user's set of train items."""
    known = {u: set() for u in range(num_nodes(graph)[0])}
    for user, item in split_edges(graph, "train").t().tolist():
        known[user].add(item)
    return known
