"""AdvInfoNCE instead of BPR for PyG's own LightGCN, which numbers items after users."""

import torch
from torch_geometric.nn import LightGCN
from torch_geometric.utils import to_undirected

from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.graph import INTERACTS
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness

torch.manual_seed(0)
data = load_dataset("simulated").graph
num_users, num_items = data["user"].num_nodes, data["item"].num_nodes
user, item = data[INTERACTS].edge_index
edge_index = to_undirected(torch.stack([user, item + num_users]))
sampler = EdgeSampler(data, batch_size=256, num_negatives=64)
model = LightGCN(num_users + num_items, embedding_dim=64, num_layers=2)
criterion = AdvInfoNCE(EmbeddingHardness(num_users, num_items, dim=64), tau=0.2)
fit = torch.optim.Adam(model.parameters(), lr=1e-2)
attack = torch.optim.Adam(criterion.hardness.parameters(), lr=1e-2, maximize=True)

for epoch in range(6):
    optimizer = attack if epoch == 2 else fit
    total = 0.0
    for _, batch in sampler:
        z_user, z_item = model.get_embedding(edge_index).split([num_users, num_items])
        loss = criterion(z_user, z_item, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(sampler)
    print(f"epoch {epoch}: loss {total:.3f}")

users, items = torch.arange(num_users + num_items).split([num_users, num_items])
best = model.recommend(edge_index, src_index=users[:1], dst_index=items, k=5)
print(f"items for user 0: {(best - num_users).tolist()[0]}")
