"""Naive formulas, one loop a sum; section numbers are those of the method notes.

Arguments are float64 tensors, so that autograd gives reference gradients as well.
Nothing here is numerically careful: exponentials are exponentiated and divided.
"""

import math

import torch


def norm(x):
    total = sum(v * v for v in x)
    return total**0.5 if total > 0 else 0 * total


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def cosine(x, y):
    """0.1: the inner product over the norms, at least ``eps`` each."""
    return dot(x, y) / (max(norm(x), 1e-12) * max(norm(y), 1e-12))


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


def nce_row(anchor, candidates, own, tau):
    """3: one row of one view against rows of the other, of which one is its own."""
    row = [torch.exp(cosine(anchor, c) / tau) for c in candidates]
    return -torch.log(row[own] / sum(row))


def view_info_nce(anchor, candidates, tau, index=None):
    """3: rows of one view, row ``t`` against all rows of the other, on average."""
    own = range(len(anchor)) if index is None else index
    rows = [nce_row(a, candidates, i, tau) for a, i in zip(anchor, own, strict=True)]
    return sum(rows) / len(rows)


def contrast(first, second, index, tau, candidates):
    """3: NCE over the different nodes of a batch, with all nodes or the batch's."""
    nodes = sorted(set(index.tolist()))
    if candidates == "all":
        return view_info_nce(first[nodes], second, tau, nodes)
    return view_info_nce(first[nodes], second[nodes], tau)


def neighbor_contrast(layer, table, index, tau):
    """3.2: ``L_S`` of one kind of nodes, a sum over the batch with repeats."""
    return sum(nce_row(layer[t], table, t, tau) for t in index.tolist())


def prototype_contrast(table, index, centroids, cluster, tau, candidates):
    """3.2: ``L_P`` of one kind of nodes, a sum over the batch with repeats."""
    total = 0.0
    for b, t in enumerate(index.tolist()):
        if candidates == "all":
            total += nce_row(table[t], centroids, cluster[t], tau)
        else:  # D10: the centroids that the batch's elements are assigned to
            others = [centroids[cluster[t]] for t in index.tolist()]
            total += nce_row(table[t], others, b, tau)
    return total


def debiased_info_nce(pos, neg, prior, tau):
    """3.5: ``-log e^{s_i} / (e^{s_i} + N g)``, ``g`` free of expected positives."""
    losses = []
    for s_i, row in zip(pos, neg, strict=True):
        mean = sum(torch.exp(s_j) for s_j in row) / len(row)
        g = (mean - prior * torch.exp(s_i)) / (1 - prior)
        g = torch.clamp(g, min=math.exp(-1 / tau))
        losses.append(-torch.log(torch.exp(s_i) / (torch.exp(s_i) + len(row) * g)))
    return sum(losses) / len(losses)


def noisy(x, eps, draw):
    """3.3: ``x + eps sign(x) r / |r|``, row by row."""
    return torch.stack(
        [
            row + eps * torch.sign(row.detach()) * r / norm(r)
            for row, r in zip(x, draw, strict=True)
        ]
    )


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
