"""AdvInfoNCE over a HeteroConv of SAGEConv that reads node features and no ids.

Needs a neighbour sampler: pyg-lib or torch-sparse.
"""

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader
from torch_geometric.nn import HeteroConv, SAGEConv

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, message_graph
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness


class Sage(nn.Module):
    """Two layers; the features' widths are found at the first call."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            HeteroConv({t: SAGEConv((-1, -1), dim) for t in (INTERACTS, REV_INTERACTS)})
            for _ in range(2)
        )

    def forward(self, data: HeteroData) -> dict[str, Tensor]:
        x = self.convs[0](data.x_dict, data.edge_index_dict)
        x = {node: rows.relu() for node, rows in x.items()}
        return self.convs[1](x, data.edge_index_dict)


torch.manual_seed(0)
dataset = load_dataset("simulated")
data = message_graph(dataset.graph)
data["user"].x = torch.from_numpy(dataset.preference.user.T)  # in your data:
data["item"].x = torch.from_numpy(dataset.preference.item.T)  # age, price, ...
loader = LinkNeighborLoader(
    data,
    num_neighbors=[20, 10],
    batch_size=256,
    shuffle=True,
    edge_label_index=(INTERACTS, data[INTERACTS].edge_index),
    neg_sampling={"mode": "triplet", "amount": 32},
)
model = Sage()
model(data)  # the first call, to make the parameters
hardness = EmbeddingHardness(data["user"].num_nodes, data["item"].num_nodes, dim=32)
criterion = AdvInfoNCE(hardness, tau=0.2)
fit = torch.optim.Adam(model.parameters(), lr=1e-2)
attack = torch.optim.Adam(hardness.parameters(), lr=1e-2, maximize=True)

for epoch in range(6):
    optimizer = attack if epoch == 2 else fit
    total = 0.0
    for sample in loader:
        z = model(sample)
        batch = EdgeBatch.from_hetero(sample, exclude=data[INTERACTS].edge_index)
        loss = criterion(z["user"], z["item"], batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.3f}")
