"""AdvInfoNCE under DistributedDataParallel, each process with edges of its own.

Start it with ``torchrun --nproc-per-node 2 examples/data_parallel.py``. Needs a
neighbour sampler: pyg-lib or torch-sparse.
"""

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import INTERACTS, message_graph
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness
from pyg_advinfonce.transforms import BipartiteNorm


class Training(nn.Module):
    """Encoder and loss in one module, whose gradients the processes average."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.encoder = LightGCN(num_users, num_items, dim=64, num_layers=2)
        self.loss = AdvInfoNCE(EmbeddingHardness(num_users, num_items, dim=64), tau=0.2)

    def forward(self, sample: HeteroData, train: Tensor) -> Tensor:
        batch = EdgeBatch.from_hetero(sample, exclude=train)
        z = self.encoder(sample)
        return self.loss(z.user, z.item, batch)


def main() -> None:
    torch.manual_seed(0)  # the same tables in all processes
    data = BipartiteNorm()(load_dataset("simulated").graph)
    train = data[INTERACTS].edge_index
    model = Training(data["user"].num_nodes, data["item"].num_nodes)
    parallel = DistributedDataParallel(model)
    fit = torch.optim.Adam(model.encoder.parameters(), lr=1e-2)
    attack = torch.optim.Adam(model.loss.parameters(), lr=1e-2, maximize=True)

    rank, size = distributed.get_rank(), distributed.get_world_size()
    torch.manual_seed(1 + rank)  # other batches in each process
    own = train[:, rank::size][:, : train.size(1) // size]  # equally many
    loader = LinkNeighborLoader(
        message_graph(data),
        num_neighbors=[20, 10],
        batch_size=128,
        shuffle=True,
        edge_label_index=(INTERACTS, own),
        neg_sampling={"mode": "triplet", "amount": 64},
    )
    for epoch in range(6):
        optimizer = attack if epoch == 2 else fit  # the adversary raises what we lower
        total = torch.zeros(())
        for sample in loader:
            loss = parallel(sample, train)
            parallel.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() / len(loader) / size
        distributed.all_reduce(total)
        if rank == 0:
            print(f"epoch {epoch}: loss {total:.3f}")

    if rank == 0:
        with torch.no_grad():
            z = model.encoder(data)  # the whole graph at once
        user, item = (nn.functional.normalize(x) for x in (z.user, z.item))
        found = Evaluator(data)(user, item, "test")["test/recall@20"]
        print(f"recall@20 on test: {found:.3f}")


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    main()
    distributed.destroy_process_group()
