"""The README's code runs as it is printed."""

import re
from itertools import product
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv
from torch_geometric.transforms import ToUndirected
from torch_geometric.typing import WITH_PYG_LIB, WITH_TORCH_SPARSE

import pyg_advinfonce
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import INTERACTS, num_nodes
from pyg_advinfonce.registry import MODELS

README = Path(__file__).parents[1] / "README.md"


class Model(torch.nn.Module):
    """An encoder over features, as anyone may have one."""

    def __init__(self, num_users, num_items):
        super().__init__()
        self.user = torch.nn.Embedding(num_users, 16)
        self.item = torch.nn.Embedding(num_items, 16)
        self.conv = HeteroConv(
            {
                ("user", "interacts", "item"): SAGEConv((16, 16), 16),
                ("item", "rev_interacts", "user"): SAGEConv((16, 16), 16),
            }
        )

    def forward(self, batch):
        x = {
            "user": self.user(batch["user"].n_id),
            "item": self.item(batch["item"].n_id),
        }
        return self.conv(x, batch.edge_index_dict)


class WholeGraphLoader:
    """Yields hand-made triplet batches whose rows are all nodes, shuffled."""

    def __init__(self, data, num_neighbors, batch_size, neg_sampling, **_):
        self.data, self.batch_size = data, batch_size
        self.amount = neg_sampling["amount"]

    def __iter__(self):
        num_users, num_items = num_nodes(self.data)
        edges = self.data[INTERACTS].edge_index
        order = torch.randperm(edges.size(1))[: 2 * self.batch_size]
        for chosen in order.split(self.batch_size):
            yield self.batch(num_users, num_items, edges, edges[:, chosen])

    def batch(self, num_users, num_items, edges, positives):
        user, item = torch.randperm(num_users), torch.randperm(num_items)
        local_user, local_item = user.argsort(), item.argsort()
        local = torch.stack([local_user[edges[0]], local_item[edges[1]]])
        batch = HeteroData()
        batch["user"].n_id, batch["item"].n_id = user, item
        batch[INTERACTS].edge_index = local
        batch["item", "rev_interacts", "user"].edge_index = local.flip(0)
        batch["user"].src_index = local_user[positives[0]]
        batch["item"].dst_pos_index = local_item[positives[1]]
        size = (positives.size(1), self.amount)
        batch["item"].dst_neg_index = torch.randint(num_items, size)
        return batch


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def namespace():
    torch.manual_seed(0)
    data = ToUndirected()(Simulated("coat").graph)
    num_users, num_items = num_nodes(data)
    return {
        "data": data,
        "model": Model(num_users, num_items),
        "num_users": num_users,
        "num_items": num_items,
        "device": torch.device("cpu"),
    }


def test_pyg_loop_learns_and_attacks(namespace):
    code = next(block for block in blocks() if "LinkNeighborLoader" in block)
    code = code.replace("range(100)", "range(4)")
    if not (WITH_PYG_LIB or WITH_TORCH_SPARSE):
        namespace["LinkNeighborLoader"] = WholeGraphLoader
        code = code.replace(
            "from torch_geometric.loader import LinkNeighborLoader\n", ""
        )
    before = [p.clone() for p in namespace["model"].parameters()]
    exec(compile(code, str(README), "exec"), namespace)
    after = list(namespace["model"].parameters())
    assert torch.isfinite(namespace["loss"])
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert namespace["attack"].state, "no adversarial epoch ran"
    assert namespace["fit"].state, "no epoch of the recommender ran"


def test_pyg_loop_is_ten_lines_of_code_or_so():
    code = next(block for block in blocks() if "LinkNeighborLoader" in block)
    lines = [x for x in code.splitlines() if x.strip() and "import" not in x]
    assert len(lines) <= 20


def test_python_example_trains(namespace, monkeypatch, tmp_path):
    code = next(block for block in blocks() if "load_dataset" in block)
    monkeypatch.chdir(tmp_path)
    code = code.replace('"epochs": 300', '"epochs": 2')
    exec(compile(code, str(README), "exec"), namespace)
    assert 0 <= namespace["result"].metrics["test/recall@20"] <= 1


def test_the_example_of_use_recommends(monkeypatch, tmp_path, capsys):
    names, items = ["ann", "bob", "cem"], ["tea", "jam", "nut", "oat", "pea"]
    rows = [f"{n},{i}" for n, i in product(names, items) if n[0] != i[0]]
    tmp_path.joinpath("likes.csv").write_text("\n".join(["user,item", *rows]))
    monkeypatch.chdir(tmp_path)
    settings = {"model": {"dim": 2}, "train": {"epochs": 1, "batch_size": 2}}
    layers = [settings, {"data": {"split": "random"}}]
    config = Config.resolve("mf", "bpr", "likes.csv", layers=layers)
    dataset = load_dataset("likes.csv", **config.data.options)
    train(config, dataset, out=Path("runs/mine"))
    capsys.readouterr()
    exec(next(block for block in blocks() if "load_run" in block), {})
    printed = capsys.readouterr().out
    assert "ann" in printed
    assert "visitor" in printed


@pytest.mark.parametrize("name", pyg_advinfonce.__all__)
def test_public_name_is_there(name):
    assert getattr(pyg_advinfonce, name) is not None
    assert name in dir(pyg_advinfonce)


def test_unknown_public_name():
    with pytest.raises(AttributeError, match="has no attribute 'AdvInfoNCF'"):
        _ = pyg_advinfonce.AdvInfoNCF


def test_the_table_of_models_and_losses_is_the_registry():
    text = README.read_text(encoding="utf-8")
    table = text.split("## Models and losses")[1].split("\n\n")[1]
    found = {}
    for row in table.splitlines()[2:]:
        models, losses = (
            re.findall(r"`([\w-]+)`", cell) for cell in row.split("|")[1:3]
        )
        found |= {model: losses or [model] for model in models}
    assert found == {name: list(entry.losses) for name, entry in MODELS.items()}


def test_pictures_are_there_and_small():
    found = re.findall(r"!\[\]\((.+?)\)", README.read_text("utf-8"))
    assert found
    for name in found:
        picture = README.parent / name
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 60_000
