"""AdvInfoNCE over a GNN for one node type that PyG's to_hetero turns into one for two.

Needs a neighbour sampler: pyg-lib or torch-sparse.
"""

import torch
from torch_geometric.loader import LinkNeighborLoader
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.graph import INTERACTS, message_graph
from pyg_advinfonce.losses import AdvInfoNCE, MLPHardness

torch.manual_seed(0)
data = message_graph(load_dataset("simulated").graph)  # to_hetero wants messages only
for node in ("user", "item"):
    data[node].x = torch.randn(data[node].num_nodes, 16)
loader = LinkNeighborLoader(
    data,
    num_neighbors=[20, 10],
    batch_size=256,
    shuffle=True,
    edge_label_index=(INTERACTS, data[INTERACTS].edge_index),
    neg_sampling={"mode": "triplet", "amount": 32},
)
model = to_hetero(GraphSAGE((-1, -1), 32, num_layers=2), data.metadata())
model(data.x_dict, data.edge_index_dict)  # makes the parameters
criterion = AdvInfoNCE(MLPHardness(dim=32), tau=0.2)  # hardness of what was embedded
fit = torch.optim.Adam(model.parameters(), lr=1e-2)
attack = torch.optim.Adam(criterion.hardness.parameters(), lr=1e-2, maximize=True)

for epoch in range(6):
    optimizer = attack if epoch == 2 else fit
    total = 0.0
    for sample in loader:
        z = model(sample.x_dict, sample.edge_index_dict)
        batch = EdgeBatch.from_hetero(sample, exclude=data[INTERACTS].edge_index)
        loss = criterion(z["user"], z["item"], batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.3f}")
