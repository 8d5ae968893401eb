"""Naive formulas, one loop a sum; section numbers are those of the method notes.

Arguments are float64 tensors, so that autograd gives reference gradients as well.
Nothing here is numerically careful: exponentials are exponentiated and divided.
"""

import math

import torch


def norm(x):
    return sum(v * v for v in x) ** 0.5


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def cosine(x, y):
    """0.1: the inner product over the norms."""
    return dot(x, y) / (norm(x) * norm(y))


def scores(z_user, z_item, batch, *, cosines, tau=1.0):
    """0.1: ``s = c / tau`` of the positives ``[B]`` and of the negatives ``[B, K]``."""
    score = cosine if cosines else dot
    pos, neg = [], []
    for b in range(len(batch.src_index)):
        user = z_user[batch.src_index[b]]
        pos.append(score(user, z_item[batch.dst_pos_index[b]]) / tau)
        row = [score(user, z_item[j]) / tau for j in batch.dst_neg_index[b]]
        neg.append(torch.stack(row))
    return torch.stack(pos), torch.stack(neg)


def bpr(pos, neg):
    """2.1: ``-log sigmoid(y_ui - y_uj)``."""
    losses = [
        -torch.log(1 / (1 + torch.exp(-(s_i - s_j))))
        for s_i, row in zip(pos, neg, strict=True)
        for s_j in row
    ]
    return sum(losses) / len(losses)


def info_nce(pos, neg, delta=None, weight=1.0):
    """2.2 and 2.6: ``-log e^{s_i} / (e^{s_i} + K sum_j e^{delta_j} e^{s_j})``."""
    delta = torch.zeros_like(neg) if delta is None else delta
    losses = []
    for s_i, row, hard in zip(pos, neg, delta, strict=True):
        mass = sum(
            torch.exp(d) * torch.exp(s_j) for s_j, d in zip(row, hard, strict=True)
        )
        losses.append(-torch.log(torch.exp(s_i) / (torch.exp(s_i) + weight * mass)))
    return sum(losses) / len(losses)


def in_batch_info_nce(pos, all_scores, items, weight=1.0):
    """2.2: the other positives of the batch are the negatives, equal items aside."""
    losses = []
    for b, s_i in enumerate(pos):
        others = [c for c in range(len(items)) if items[c] != items[b]]
        mass = sum(torch.exp(all_scores[b, c]) for c in others)
        losses.append(-torch.log(torch.exp(s_i) / (torch.exp(s_i) + weight * mass)))
    return sum(losses) / len(losses)


def softmax(logits):
    """2.6: ``p_j`` of one row."""
    total = sum(torch.exp(g) for g in logits)
    return torch.stack([torch.exp(g) / total for g in logits])


def hardness(logits):
    """2.6: ``delta_j = log(N p_j)``, row by row."""
    return torch.stack([torch.log(len(row) * softmax(row)) for row in logits])


def embedding_logits(psi, phi, batch):
    """2.6a: ``G_uj = <psi_u, phi_j>`` by global ids."""
    rows = zip(batch.user_id, batch.neg_id, strict=True)
    return torch.stack([torch.stack([dot(psi[u], phi[j]) for j in r]) for u, r in rows])


def mlp_logits(user, item, x_user, x_item, batch, *, relu=True):
    """2.6b: ``G_uj = f(x_u) . g(x_j)`` with ``f(x) = max(W x + b, 0)``."""

    def apply(linear, x):
        weight, bias = linear.weight.double(), linear.bias.double()
        out = [dot(w, x) + c for w, c in zip(weight, bias, strict=True)]
        return [torch.clamp(v, min=0) if relu else v for v in out]

    rows = zip(batch.src_index, batch.dst_neg_index, strict=True)
    return torch.stack(
        [
            torch.stack(
                [dot(apply(user, x_user[u]), apply(item, x_item[j])) for j in r]
            )
            for u, r in rows
        ]
    )


def kl(p, q):
    return sum(a * torch.log(a / b) for a, b in zip(p, q, strict=True))


def kl_to_uniform(p):
    """4.3: ``KL(P0 || P)`` and ``KL(P || P0)`` of one row."""
    uniform = torch.full_like(p, 1 / len(p))
    return kl(uniform, p), kl(p, uniform)


def align(x, y):
    """2.14: the mean of ``|x_b - y_b|^2`` on the sphere."""
    gaps = [
        sum((u - v) ** 2 for u, v in zip(a / norm(a), b / norm(b), strict=True))
        for a, b in zip(x, y, strict=True)
    ]
    return sum(gaps) / len(gaps)


def uniform(x, t=2.0):
    """2.14: ``log mean_{k<l} exp(-t |x_k - x_l|^2)`` on the sphere."""
    rows = [row / norm(row) for row in x]
    parts = [
        torch.exp(-t * sum((a - b) ** 2 for a, b in zip(rows[k], rows[m], strict=True)))
        for k in range(len(rows))
        for m in range(k)
    ]
    return torch.log(sum(parts) / len(parts))


def pair_scores(x, y, tau):
    """0.1: the cosine over tau of each row with each row."""
    return [[cosine(a, b) / tau for b in y] for a in x]


def row_loss(pos, negatives):
    """2.2: ``-log e^{s_i} / (e^{s_i} + sum_j e^{s_j})`` of one row."""
    mass = sum(torch.exp(s) for s in negatives)
    return -torch.log(torch.exp(pos) / (torch.exp(pos) + mass))


def resample(row, q, draws, hits=()):
    """2.11: columns in proportion to ``e^s / q``, found by walking; hits are barred."""
    mass = [0.0 if c in hits else math.exp(s.item()) / q[c] for c, s in enumerate(row)]
    places = []
    for draw in draws if sum(mass) else ():
        seen, place = mass[0] / sum(mass), 0
        while draw >= seen:
            place += 1
            seen += mass[place] / sum(mass)
        places.append(place)
    return places


def popular_ratio(pairs, num_users, num_items):
    """2.12: the share of each user's items that are in the top 20 %."""
    items = [item for _, item in pairs]
    order = sorted(range(num_items), key=lambda j: -items.count(j))
    popular = set(order[: int(0.2 * num_items)])
    ratios = []
    for user in range(num_users):
        own = [item for u, item in pairs if u == user]
        ratios.append(sum(j in popular for j in own) / len(own) if own else 0.0)
    return ratios


def streaming_groups(losses, groups, state, *, lr, eta):
    """2.12: streaming losses and weights after a step, and the objective."""
    means = []
    for g in range(len(state)):
        own = [x for x, group in zip(losses, groups, strict=True) if group == g]
        means.append(sum(own) / len(own) if own else None)
    streams, masses = [], []
    for mean, (stream, weight) in zip(means, state, strict=True):
        if mean is not None:
            stream = (1 - lr) * stream + lr * mean.item()
        streams.append(stream)
        masses.append(weight * math.exp(eta * stream))
    weights = [mass / sum(masses) for mass in masses]
    objective = sum(w * m for w, m in zip(weights, means, strict=True) if m is not None)
    return streams, weights, objective


def debiased_mass(pos, negatives, omega, floor):
    """2.10: ``|S| max((mean e^f - omega e^{s_i}) / (1 - omega), floor)``."""
    if not negatives:
        return torch.zeros(())
    mean = sum(torch.exp(s) for s in negatives) / len(negatives)
    rest = (mean - omega * torch.exp(pos)) / (1 - omega)
    return len(negatives) * max(rest, torch.full_like(rest, floor))


def distance_correlation(x, y, eps=0.0):
    """2.13: ``dCov(x, y) / sqrt(dCov(x, x) dCov(y, y))``."""
    size = len(x)

    def centred(rows):
        d = [[(dot(a - b, a - b) + eps) ** 0.5 for b in rows] for a in rows]
        line = [sum(row) / size for row in d]
        total = sum(line) / size
        return [
            [d[k][m] - line[k] - line[m] + total for m in range(size)]
            for k in range(size)
        ]

    a, b = centred(x), centred(y)

    def covariance(first, second):
        cells = [first[k][m] * second[k][m] for k in range(size) for m in range(size)]
        return (sum(cells) / size**2 + eps) ** 0.5

    return covariance(a, b) / (covariance(a, a) * covariance(b, b)) ** 0.5


def view_info_nce(anchor, positive, tau):
    """3: row ``t`` of one view against all rows of the other."""
    losses = []
    for t, a in enumerate(anchor):
        row = [torch.exp(cosine(a, p) / tau) for p in positive]
        losses.append(-torch.log(row[t] / sum(row)))
    return sum(losses) / len(losses)


def embedding_l2(x_user, x_item, batch, *, negatives):
    """0.5: ``R = 1 / (2 B) (sum |e_u|^2 + sum |e_i|^2 + sum |e_j|^2)``."""
    total = 0.0
    for b in range(len(batch.src_index)):
        total += norm(x_user[batch.src_index[b]]) ** 2
        total += norm(x_item[batch.dst_pos_index[b]]) ** 2
        if negatives:
            total += sum(norm(x_item[j]) ** 2 for j in batch.dst_neg_index[b])
    return total / (2 * len(batch.src_index))


def normalized_adjacency(pairs, num_users, num_items):
    """0.4: ``A_hat = D^{-1/2} A D^{-1/2}`` over users, then items; dense."""
    size = num_users + num_items
    dense = torch.zeros(size, size, dtype=torch.float64)
    for user, item in pairs.t().tolist():
        dense[user, num_users + item] = dense[num_users + item, user] = 1.0
    degree = [sum(row) for row in dense.tolist()]
    for i in range(size):
        for j in range(size):
            if dense[i, j]:
                dense[i, j] /= math.sqrt(degree[i]) * math.sqrt(degree[j])
    return dense


def light_gcn(adjacency, table, num_layers, alpha=None):
    """1.2: ``Z = sum_k alpha_k A_hat^k E`` over the joint table; all layers too."""
    layers = [table]
    for _ in range(num_layers):
        layers.append(adjacency @ layers[-1])
    alpha = alpha or [1 / (num_layers + 1)] * (num_layers + 1)
    return sum(a * x for a, x in zip(alpha, layers, strict=True)), layers


def unseen(known, num_items):
    """0.3: the items that a user's negatives may be."""
    return [j for j in range(num_items) if j not in known]
