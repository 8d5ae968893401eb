"""Users of a few tastes, some of whom training may leave out."""

from types import SimpleNamespace

import torch

from pyg_advinfonce.build import prepare
from pyg_advinfonce.config import Config
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import build_graph, split_edges, train_degrees
from pyg_advinfonce.serving import fold_in

GROUPS, USERS, ITEMS = 5, 100, 100
TRAIN, HELD_OUT = 6, 4
SETTINGS = {
    "model": {"dim": 16},
    "train": {"epochs": 20, "batch_size": 128, "num_negatives": 16, "lr": 0.02},
}


class Tastes:
    """Each user likes the items of a group of twenty, and a tenth of her pairs is any.

    Every fifth user is held out.

    Args:
        seed: Decides about the pairs.
    """

    def __init__(self, seed):
        generator = torch.Generator().manual_seed(seed)
        size = ITEMS // GROUPS
        train, test = [], []
        for user in range(USERS):
            own = torch.randperm(size, generator=generator) + size * (user % GROUPS)
            noise = torch.randint(ITEMS, (1,), generator=generator)
            items = torch.cat([own[: TRAIN - 1], noise])
            train += [(user, int(i)) for i in items]
            test += [(user, int(i)) for i in own[TRAIN : TRAIN + HELD_OUT]]
        self.train, test = (torch.tensor(x).T for x in (train, test))
        self.is_new = torch.arange(USERS) // GROUPS % 5 == 0
        self.whole = self.graph(self.train, test)
        self.part = self.graph(self.train[:, ~self.is_new[self.train[0]]], test)
        self.judge = Evaluator(
            self.graph(self.train, test[:, self.is_new[test[0]]]), k=20
        )

    def graph(self, train, test):
        sizes = {"num_users": USERS, "num_items": ITEMS}
        return build_graph(train, splits={"valid": test, "test": test}, **sizes)

    def fit(self, model, graph):
        config = Config.resolve(model, "infonce", "none", layers=[SETTINGS])
        data = SimpleNamespace(graph=graph, fingerprint="tastes", summary=dict)
        return train(config, data, device="cpu").method, prepare(data, "cpu")

    def recall(self, z_user, z_item):
        return self.judge(z_user, z_item, "test")["test/recall@20"]

    def recall_of_trained(self, model):
        method, graph = self.fit(model, self.whole)
        return self.recall(*method.embed(graph))

    def recall_of_folded_in(self, model):
        method, graph = self.fit(model, self.part)
        z_user = fold_in(method, graph, self.train, num_users=USERS)
        return self.recall(z_user, method.embed(graph)[1])

    def recall_of_popularity(self):
        popularity = train_degrees(self.part)[1].float().unsqueeze(1)
        assert split_edges(self.part, "train").size(1) < self.train.size(1)
        return self.recall(torch.ones(USERS, 1), popularity)
