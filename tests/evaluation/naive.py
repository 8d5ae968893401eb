"""Metrics in float64 with loops, on plain lists, independent of the library."""

import math
import random

import torch

from pyg_advinfonce.graph import build_graph


class World:
    """A small random graph; some users run out of candidates before ``k``."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.num_users, self.num_items = rng.randint(1, 8), rng.randint(2, 14)
        density = rng.choice([0.0, 0.3, 0.8])
        self.train = self._pairs(rng, density)
        self.test = self._pairs(rng, 0.3)
        self.candidates = [i for i in range(self.num_items) if rng.random() < 0.8]
        self.candidates = self.candidates or [0]
        self.test.add((rng.randrange(self.num_users), self.candidates[0]))
        self.k = rng.choice([1, 2, 3, 5, 20])
        size = self.num_users, self.num_items
        levels = [[rng.randint(0, 6) for _ in range(size[1])] for _ in range(size[0])]
        self.scores = torch.tensor(levels, dtype=torch.float)  # [U, I], often equal
        mask = torch.zeros(self.num_items, dtype=torch.bool)
        mask[self.candidates] = True
        self.graph = build_graph(
            tensor(self.train),
            num_users=self.num_users,
            num_items=self.num_items,
            splits={"test": tensor(self.test)},
            candidate_mask=mask,
        )
        self.degree = [sum(i == j for _, j in self.train) for i in range(size[1])]
        self.activity = [sum(u == v for v, _ in self.train) for u in range(size[0])]
        self.labels = {}
        for u, i in sorted(self.test):
            if i in self.candidates:
                self.labels.setdefault(u, set()).add(i)
        self.lists = {u: self._list(u) for u in self.labels}

    def _pairs(self, rng, density):
        return {
            (u, i)
            for u in range(self.num_users)
            for i in range(self.num_items)
            if rng.random() < density
        }

    def _list(self, user):
        hidden = {i for u, i in self.train - self.test if u == user}
        kept = [i for i in self.candidates if i not in hidden]
        scores = self.scores[user].tolist()
        return sorted(kept, key=lambda i: (-scores[i], i))[: self.k]


def tensor(pairs):
    return torch.tensor(sorted(pairs), dtype=torch.long).view(-1, 2).t()


def map_(world, user):
    labels, hits, total = world.labels[user], 0, 0.0
    for rank, item in enumerate(world.lists[user], 1):
        if item in labels:
            hits += 1
            total += hits / rank
    return total / min(len(labels), world.k)


def weights(world, power=0.5, clip=0.1):
    top = max([1, *world.degree])
    return [1 / max((d / top) ** power, clip) for d in world.degree]


def snips_recall(world, user, **options):
    weight, labels = weights(world, **options), world.labels[user]
    found = sum(weight[i] for i in world.lists[user] if i in labels)
    return found / sum(weight[i] for i in labels)


def snips_ndcg(world, user, **options):
    weight, labels = weights(world, **options), world.labels[user]
    gain = 0.0
    for rank, item in enumerate(world.lists[user], 1):
        if item in labels:
            gain += weight[item] / math.log2(rank + 1)
    heaviest = sorted((weight[i] for i in labels), reverse=True)[: world.k]
    best = sum(w / math.log2(rank + 1) for rank, w in enumerate(heaviest, 1))
    return gain / best


def arp(world, user):
    listed = world.lists[user]
    return sum(world.degree[i] for i in listed) / len(listed)


def tail(world, user):
    by_popularity = sorted(world.candidates, key=lambda i: (-world.degree[i], i))
    head = by_popularity[: round(len(world.candidates) / 5)]
    listed = world.lists[user]
    return sum(i not in head for i in listed) / len(listed)


def novelty(world, user):
    listed, number = world.lists[user], world.num_users
    share = [max(world.degree[i], 1) / number for i in listed]
    return sum(-math.log2(p) for p in share) / len(listed)


def exposure(world):
    every = [i for listed in world.lists.values() for i in listed]
    return [every.count(i) for i in world.candidates]


def coverage(world):
    return sum(count > 0 for count in exposure(world)) / len(world.candidates)


def gini(world):
    """The mean absolute difference of all pairs, relative to twice the mean."""
    counts = exposure(world)
    differences = sum(abs(a - b) for a in counts for b in counts)
    return differences / (2 * len(counts) * sum(counts))


OF_USER = {
    "map": map_,
    "snips-recall": snips_recall,
    "snips-ndcg": snips_ndcg,
    "arp": arp,
    "tail": tail,
    "novelty": novelty,
}
IN_TOTAL = {"coverage": coverage, "gini": gini}
