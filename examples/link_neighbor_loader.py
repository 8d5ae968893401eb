"""AdvInfoNCE in a plain PyG loop over sampled neighbourhoods, evaluated on all items.

Needs a neighbour sampler: pyg-lib or torch-sparse.
"""

import torch
from torch_geometric.loader import LinkNeighborLoader

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import INTERACTS, message_graph
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness
from pyg_advinfonce.transforms import BipartiteNorm

torch.manual_seed(0)
data = BipartiteNorm()(load_dataset("simulated").graph)
train = data[INTERACTS].edge_index
num_users, num_items = data["user"].num_nodes, data["item"].num_nodes
loader = LinkNeighborLoader(
    message_graph(data),
    num_neighbors=[20, 10],
    batch_size=256,
    shuffle=True,
    edge_label_index=(INTERACTS, train),
    neg_sampling={"mode": "triplet", "amount": 64},
)
model = LightGCN(num_users, num_items, dim=64, num_layers=2)
criterion = AdvInfoNCE(EmbeddingHardness(num_users, num_items, dim=64), tau=0.2)
fit = torch.optim.Adam(model.parameters(), lr=1e-2)
attack = torch.optim.Adam(criterion.hardness.parameters(), lr=1e-2, maximize=True)

for epoch in range(6):
    optimizer = attack if epoch == 2 else fit  # the adversary raises what we lower
    total = 0.0
    for sample in loader:
        batch = EdgeBatch.from_hetero(sample, exclude=train)
        z = model(sample)
        loss = criterion(z.user, z.item, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.3f}")

with torch.no_grad():
    z = model(data)  # the whole graph at once
    user, item = (torch.nn.functional.normalize(x) for x in (z.user, z.item))
print(f"recall@20 on test: {Evaluator(data)(user, item, 'test')['test/recall@20']:.3f}")
