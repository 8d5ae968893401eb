"""AdvInfoNCE inside a LightningModule, whose two optimisers take turns.

Needs lightning, which this library does not install (``pip install lightning``), and a
neighbour sampler: pyg-lib or torch-sparse.
"""

import lightning
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import INTERACTS, message_graph
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness
from pyg_advinfonce.transforms import BipartiteNorm


class Recommender(lightning.LightningModule):
    """LightGCN against an adversary."""

    def __init__(self, num_users: int, num_items: int, known: Tensor) -> None:
        super().__init__()
        self.automatic_optimization = False  # one optimiser an epoch, not both
        self.encoder = LightGCN(num_users, num_items, dim=64, num_layers=2)
        hardness = EmbeddingHardness(num_users, num_items, dim=64)
        self.criterion = AdvInfoNCE(hardness, tau=0.2)
        self.register_buffer("known", known)
        self.losses: list[Tensor] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        adversary = self.criterion.hardness.parameters()
        return [
            torch.optim.Adam(self.encoder.parameters(), lr=1e-2),
            torch.optim.Adam(adversary, lr=1e-2, maximize=True),
        ]

    def training_step(self, sample: HeteroData, index: int) -> None:
        fit, attack = self.optimizers()
        optimizer = attack if self.current_epoch == 2 else fit
        z = self.encoder(sample)
        batch = EdgeBatch.from_hetero(sample, exclude=self.known)
        loss = self.criterion(z.user, z.item, batch)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.losses.append(loss.detach())

    def on_train_epoch_end(self) -> None:
        print(f"epoch {self.current_epoch}: loss {torch.stack(self.losses).mean():.3f}")
        self.losses.clear()


lightning.seed_everything(0)
data = message_graph(BipartiteNorm()(load_dataset("simulated").graph))
train = data[INTERACTS].edge_index
loader = LinkNeighborLoader(
    data,
    num_neighbors=[20, 10],
    batch_size=256,
    shuffle=True,
    edge_label_index=(INTERACTS, train),
    neg_sampling={"mode": "triplet", "amount": 64},
)
model = Recommender(data["user"].num_nodes, data["item"].num_nodes, train)
trainer = lightning.Trainer(
    max_epochs=6,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, loader)
