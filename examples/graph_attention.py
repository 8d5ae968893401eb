"""InfoNCE over GATConv, with negatives drawn by popularity and corrected for it.

Needs a neighbour sampler: pyg-lib or torch-sparse.
"""

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader
from torch_geometric.nn import GATConv, HeteroConv
from torch_geometric.utils import degree

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, message_graph
from pyg_advinfonce.losses import InfoNCE


class Attention(nn.Module):
    """One layer of attention over embeddings of ids."""

    def __init__(self, data: HeteroData, dim: int = 32) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(
            {node: nn.Embedding(data[node].num_nodes, dim) for node in data.node_types}
        )
        conv = {
            edge_type: GATConv(dim, dim // 4, heads=4, add_self_loops=False)
            for edge_type in (INTERACTS, REV_INTERACTS)
        }
        self.conv = HeteroConv(conv)

    def forward(self, sample: HeteroData) -> dict[str, Tensor]:
        x = {node: table(sample[node].n_id) for node, table in self.tables.items()}
        found = self.conv(x, sample.edge_index_dict)
        return {node: x[node] + rows for node, rows in found.items()}


torch.manual_seed(0)
data = message_graph(load_dataset("simulated").graph)
train = data[INTERACTS].edge_index
popularity = degree(train[1], data["item"].num_nodes) ** 0.75
loader = LinkNeighborLoader(
    data,
    num_neighbors=[20],
    batch_size=256,
    shuffle=True,
    edge_label_index=(INTERACTS, train),
    neg_sampling={"mode": "triplet", "amount": 32, "dst_weight": popularity},
)
model, criterion = Attention(data), InfoNCE(tau=0.2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(5):
    total = 0.0
    for sample in loader:
        z = model(sample)
        batch = EdgeBatch.from_hetero(sample, exclude=train, dst_weight=popularity)
        loss = criterion(z["user"], z["item"], batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.3f}")
