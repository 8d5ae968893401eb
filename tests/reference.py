"""Naive formulas, one loop a sum; section numbers are those of docs/methods.md.

Arguments are float64 tensors, so that autograd gives reference gradients as well.
Nothing here is numerically careful: exponentials are exponentiated and divided.
"""

import math
from fractions import Fraction

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


def other_rows(items, b, *, mask_hits=True):
    """2.2: the rows of the batch that are negatives of row ``b``."""
    others = [c for c in range(len(items)) if c != b]
    return [c for c in others if items[c] != items[b]] if mask_hits else others


def in_batch_info_nce(pos, all_scores, items, weight=1.0, *, mask_hits=True):
    """2.2: the other positives of the batch are the negatives."""
    losses = []
    for b, s_i in enumerate(pos):
        others = other_rows(items, b, mask_hits=mask_hits)
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


def hardness_l2(psi, phi, batch):
    """2.6: ``1 / (2 B) (|psi_u|^2 + |phi_J|^2)``, once for each occurrence."""
    total = 0.0
    for u, row in zip(batch.user_id, batch.neg_id, strict=True):
        total += norm(psi[u]) ** 2 + sum(norm(phi[j]) ** 2 for j in row)
    return total / (2 * len(batch.src_index))


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


def cosine_contrastive(pos, neg, weight, margin):
    """2.3: ``(1 - c_ui) + w / N sum_j max(0, c_uj - m)``."""
    losses = []
    for c_i, row in zip(pos, neg, strict=True):
        excess = [torch.clamp(c_j - margin, min=0) for c_j in row]
        losses.append(1 - c_i + weight * sum(excess) / len(excess))
    return sum(losses) / len(losses)


def bc_margin(p_user, p_item):
    """2.4: ``M = 1 - sigmoid(<p_u, p_i>)``."""
    return 1 - 1 / (1 + torch.exp(-dot(p_user, p_item)))


def widened(c, margin, *, capped):
    """2.4: ``cos(theta + M)``, in the capped form ``theta + M <= pi``."""
    theta = torch.acos(c)
    if capped and theta + margin > math.pi:
        margin = math.pi - theta
    return torch.cos(theta + margin)


def adap_tau(pos, neg, scales, base, *, with_positive=True):
    """2.5: ``log sum_k e^{w_u c_uk} - w_0 c_ui``."""
    losses = []
    for c_i, row, w in zip(pos, neg, scales, strict=True):
        mass = sum(torch.exp(w * c_j) for c_j in row)
        mass = mass + torch.exp(w * c_i) if with_positive else mass
        losses.append(torch.log(mass) - base * c_i)
    return sum(losses) / len(losses)


def lambert_w(x):
    """2.5: the root ``w >= -1`` of ``w e^w = x``, by bisection."""
    low, high = -1.0, 20.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * math.exp(middle) < x else (low, middle)
    return low


def adap_tau_scale(losses, beta):
    """2.5: ``e^{-W(max(-1/e, (l_u - mean) / beta))}`` of each user."""
    mean = sum(losses) / len(losses)
    excess = [max(-math.exp(-1), (loss - mean) / beta) for loss in losses]
    return [math.exp(-lambert_w(x)) for x in excess]


def pair_scores(x, y, tau, score=cosine):
    """0.1: the cosine over tau, or another score, of each row with each row."""
    return [[score(a, b) / tau for b in y] for a in x]


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


def nce_row(anchor, candidates, own, tau):
    """3: one row of one view against rows of the other, of which one is its own."""
    row = [torch.exp(cosine(anchor, c) / tau) for c in candidates]
    return -torch.log(row[own] / sum(row))


def view_info_nce(anchor, candidates, tau, index=None):
    """3: rows of one view, row ``t`` against all rows of the other, on average."""
    own = range(len(anchor)) if index is None else index
    rows = [nce_row(a, candidates, i, tau) for a, i in zip(anchor, own, strict=True)]
    return sum(rows) / len(rows)


def contrast(first, second, index, tau, candidates, anchors="nodes"):
    """3: NCE over the different nodes of a batch, with all nodes or the batch's."""
    nodes = sorted(set(index.tolist())) if anchors == "nodes" else index.tolist()
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


def embedding_l2(x_user, x_item, batch, *, negatives, norm_kind="squared", mean=True):
    """0.5: ``R = 1 / (2 B) (sum |e_u|^2 + sum |e_i|^2 + sum |e_j|^2)``.

    A table may be a list of tables, of layers. ``plain`` norms are those of all rows.
    """
    tables = x_user if isinstance(x_user, list) else [x_user]
    others = x_item if isinstance(x_item, list) else [x_item]
    number = len(batch.src_index)
    users = [x[u] for x in tables for u in batch.src_index]
    items = [x[i] for x in others for i in batch.dst_pos_index]
    drawn = [x[j] for x in others for row in batch.dst_neg_index for j in row]
    roles = [users, items, drawn] if negatives and drawn else [users, items]
    if norm_kind == "squared":
        total = sum(norm(row) ** 2 for role in roles for row in role) / 2
    else:
        total = sum(norm(torch.cat(role)) for role in roles)
    return total / number if mean else total


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


def degrees(pairs, num_users, num_items):
    """1.3: ``d_u`` and ``d_i``, the numbers of train pairs."""
    edges = pairs.t().tolist()
    return (
        [sum(u == user for u, _ in edges) for user in range(num_users)],
        [sum(i == item for _, i in edges) for item in range(num_items)],
    )


def beta(pairs, num_users, num_items):
    """1.3: ``beta_ui = (1 / d_u) sqrt((d_u + 1) / (d_i + 1))``; dense."""
    users, items = degrees(pairs, num_users, num_items)
    return [
        [math.sqrt((d + 1) / (e + 1)) / d if d else 0.0 for e in items] for d in users
    ]


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def bce(pos, neg, batch, weight, w1, w2, w3, w4, negative_weight, reduction):
    """1.3: ``L_O + L_C`` by the weights ``beta``."""
    total = 0.0
    for b, (s_i, row) in enumerate(zip(pos, neg, strict=True)):
        mine = weight[batch.user_id[b]]
        total -= (w1 + w2 * mine[batch.pos_id[b]]) * torch.log(sigmoid(s_i))
        losses = [
            -(w3 + w4 * mine[j]) * torch.log(1 - sigmoid(s_j))
            for s_j, j in zip(row, batch.neg_id[b], strict=True)
        ]
        total += negative_weight * sum(losses) / len(losses)
    return total if reduction == "sum" else total / len(pos)


def co_occurrence(pairs, num_users, num_items):
    """1.3: ``G = R^T R``, the diagonal kept; integers."""
    known = set(map(tuple, pairs.t().tolist()))
    return [
        [
            sum((u, i) in known and (u, j) in known for u in range(num_users))
            for j in range(num_items)
        ]
        for i in range(num_items)
    ]


def item_neighbors(together, number, form):
    """1.3: ``S(i)`` with ``omega_ij``, the largest first and of equal ones the first.

    Equal weights are found out over fractions, without a square root.
    """
    total = [sum(row) for row in together]
    plus = 1 if form == "code" else 0
    found = []
    for i, row in enumerate(together):
        items = [j for j in range(len(row)) if row[j]]
        items.sort(key=lambda j: (-Fraction(row[j] ** 2, total[j] + plus), j))
        scale = total[i] if form == "code" else total[i] - row[i]
        found.append(
            {
                j: row[j] / scale * math.sqrt((total[i] + plus) / (total[j] + plus))
                if scale
                else 0.0
                for j in items[:number]
            }
        )
    return found


def item_graph(z_user, z_item, batch, neighbors, reduction):
    """1.3: ``L_I = -sum_b sum_{j in S(i_b)} omega_{i_b j} log sigmoid(<e_u, e_j>)``."""
    total = 0.0
    for user, item in zip(batch.src_index, batch.dst_pos_index, strict=True):
        for j, omega in neighbors[item].items():
            total -= omega * torch.log(sigmoid(dot(z_user[user], z_item[j])))
    return total if reduction == "sum" else total / len(batch.src_index)


def vgae(adjacency, table, w_mu, w_logstd, offset, *, relu=True, residual=False):
    """1.4: ``mu = A H W`` and ``logstd`` over the joint table, ``H = relu(A X)``."""
    hidden = adjacency @ table
    if relu:
        hidden = torch.where(hidden > 0, hidden, torch.zeros_like(hidden))
    if residual:
        hidden = hidden + table
    logstd = adjacency @ hidden @ w_logstd + offset
    capped = torch.where(logstd < 10, logstd, torch.full_like(logstd, 10))
    return adjacency @ hidden @ w_mu, capped


def kl_prior(mu, logstd):
    """1.4: ``-(1/2) mean_nodes sum_dims (1 + 2 logstd - mu^2 - exp(2 logstd))``."""
    total = 0.0
    for means, logs in zip(mu, logstd, strict=True):
        for m, s in zip(means, logs, strict=True):
            total -= (1 + 2 * s - m * m - torch.exp(2 * s)) / 2
    return total / len(mu)


def unseen(known, num_items):
    """0.3: the items that a user's negatives may be."""
    return [j for j in range(num_items) if j not in known]


def attention(query, key, value, pairs, num_heads, clamp=10.0):
    """3.6, item 4: every row's average over its pairs ``(row, column)``, by head.

    Also returns the weights ``{(head, row, column): a}``.
    """
    width = query.shape[1] // num_heads
    columns = [range(h * width, (h + 1) * width) for h in range(num_heads)]
    rows, weights = [], {}
    for i in range(len(query)):
        near = sorted(j for row, j in pairs if row == i)
        out = []
        for h, mine in enumerate(columns):
            scores = [sum(query[i, c] * key[j, c] for c in mine) for j in near]
            parts = [torch.exp(s.clamp(-clamp, clamp)) for s in scores]
            for j, part in zip(near, parts, strict=True):
                weights[h, i, j] = part / (sum(parts) + 1e-8)
            zero = value.new_zeros(())
            out += [
                sum((weights[h, i, j] * value[j, c] for j in near), zero) for c in mine
            ]
        rows.append(torch.stack(out))
    return torch.stack(rows), weights


def joint_links(pairs, num_users, num_items):
    """3.6: the entries of ``A1``, users then items, both directions and loops."""
    links = {(i, i) for i in range(num_users + num_items)}
    for user, item in pairs.t().tolist():
        links |= {(user, num_users + item), (num_users + item, user)}
    return links


def ones(links, size):
    """3.6: a graph's binary adjacency; dense."""
    dense = torch.zeros(size, size, dtype=torch.float64)
    for i, j in links:
        dense[i, j] = 1.0
    return dense


def centrality(links, table):
    """3.6, item 1: ``< norm(sub), norm(E0) >`` of every node."""
    a_1, count = ones(links, len(table)), torch.ones(len(table), 1).double()
    o = a_1 @ count
    f, n_1 = a_1 @ table - table, o
    g, n_2 = (a_1 @ f - f) - o * table, (a_1 @ o - o) - o
    sub = (f + g) / (n_1 + n_2 + 1e-8)
    return torch.stack([cosine(a, b) for a, b in zip(sub, table, strict=True)])


def mask_around(links, seeds, depth):
    """3.6, item 2: the links that stay, and the seeds of all depths."""
    pool = set()
    for _ in range(depth):
        pool |= seeds
        gone = {(i, j) for i, j in links if i in seeds or j in seeds}
        links, seeds = links - gone, {i for pair in gone for i in pair}
    return links, pool


def link_at_random(links, pool, size, num_pairs, keep):
    """3.6, item 3: the decoder's graph, drawn from torch's generator."""
    drawn = torch.randint(size, (int(size * keep),), device="cpu")
    pool = sorted(pool | set(drawn.tolist()))
    drawn = torch.randint(len(pool), (2, num_pairs), device="cpu")
    pairs = {(pool[a], pool[b]) for a, b in drawn.t().tolist()}
    loops = {(i, i) for i in range(size)}
    return links | pairs | {(j, i) for i, j in pairs} | loops


def autocf(encoder, table, masked, rebuilt):
    """3.6, item 4: ``Z = E0 + E1 + ... + E_T``."""
    a_n = ones(masked, len(table))
    degree = [sum(row) for row in a_n.tolist()]
    for i, j in masked:
        a_n[i, j] /= math.sqrt(degree[i] * degree[j])
    layers = [table]
    for _ in encoder.convs:
        layers.append(a_n @ layers[-1])
    part = encoder.transformer
    parts = (layers[-1] @ m.weight.t() for m in (part.query, part.key, part.value))
    return sum(layers) + attention(*parts, rebuilt, part.num_heads)[0]


def autocf_contrast(z_user, z_item, batch, ssl):
    """3.6, item 5, without its last two terms."""

    def partition(x, table):
        return torch.log(sum(torch.exp(dot(x, y)) for y in table))

    size, loss = len(batch.src_index), 0.0
    for u, i in zip(batch.src_index, batch.dst_pos_index, strict=True):
        rank = partition(z_user[u], z_item) - dot(z_user[u], z_item[i])
        loss = loss + rank / size
    for index, table in ((batch.src_index, z_user), (batch.dst_pos_index, z_item)):
        rows = set(index.tolist())
        loss = loss + ssl * sum(partition(table[r], table) for r in rows) / len(rows)
    return loss
