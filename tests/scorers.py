"""Models without embeddings, and methods of them that train nothing."""

import torch

from pyg_advinfonce.encoders import Encoder
from pyg_advinfonce.graph import num_nodes, split_edges, train_degrees
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Objective


class Popularity(Encoder):
    """Scores an item by its train pairs: integers, a view of one row, many ties."""

    def __init__(self, graph):
        super().__init__()
        self.register_buffer("count", train_degrees(graph)[1])

    def scores(self, user):
        return self.count.expand(len(user), -1)


class Ease(Encoder):
    """A linear autoencoder in closed form, its weights rounded so that sums are exact.

    ``B = I - P / diag(P)`` with ``P`` the inverse of ``X^T X + l2 I``.
    """

    def __init__(self, graph, l2=1.0):
        super().__init__()
        self.register_buffer("seen", torch.zeros(num_nodes(graph)))
        self.seen[tuple(split_edges(graph, "train"))] = 1.0
        seen = self.seen.double()
        inverse = (seen.T @ seen + l2 * torch.eye(seen.size(1))).inverse()
        weight = torch.eye(seen.size(1)) - inverse / inverse.diagonal()
        self.register_buffer("weight", (weight * 16).round().float() / 16)

    def scores(self, user):
        return self.seen[user] @ self.weight


SCORERS = [Popularity, Ease]


def untrained(encoder):
    """Return a method that has nothing to train."""
    return Method(encoder, Objective({}), (), cosine=False)


def naive_scores(scorer, num_users):
    """Return all scores in double precision, as lists."""
    return [
        scorer.scores(torch.tensor([user]))[0].double().tolist()
        for user in range(num_users)
    ]
