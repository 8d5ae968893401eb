"""AdvInfoNCE over a graph whose edges ToSparseTensor has turned into matrices.

With torch-sparse these are its SparseTensor, without it torch's own CSR. Encoders and
samplers read either.
"""

import torch
from torch_geometric.transforms import Compose, ToSparseTensor

from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import INTERACTS, message_graph
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness
from pyg_advinfonce.transforms import BipartiteNorm

torch.manual_seed(0)
graph = message_graph(load_dataset("simulated").graph)
data = Compose([BipartiteNorm(), ToSparseTensor()])(graph)  # weights come first
print(f"edges are a {type(data[INTERACTS].adj_t).__name__}")
num_users, num_items = data["user"].num_nodes, data["item"].num_nodes
sampler = EdgeSampler(data, batch_size=256, num_negatives=64)
model = LightGCN(num_users, num_items, dim=64, num_layers=2)
criterion = AdvInfoNCE(EmbeddingHardness(num_users, num_items, dim=64), tau=0.2)
fit = torch.optim.Adam(model.parameters(), lr=1e-2)
attack = torch.optim.Adam(criterion.hardness.parameters(), lr=1e-2, maximize=True)

for epoch in range(6):
    optimizer = attack if epoch == 2 else fit
    total = 0.0
    for _, batch in sampler:
        z = model(data)
        loss = criterion(z.user, z.item, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(sampler)
    print(f"epoch {epoch}: loss {total:.3f}")
