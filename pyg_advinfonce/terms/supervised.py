"""The ranking loss as a term."""

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.base import RankingTerm, Term


class Supervised(Term):
    """Apply a criterion to the step's embeddings and edges.

    Args:
        criterion: Any :class:`~pyg_advinfonce.losses.base.Criterion`.
        perturb: ``False`` takes the clean embeddings, another pass of the encoder.
    """

    def __init__(self, criterion: Criterion, *, perturb: bool = True) -> None:
        super().__init__()
        self.criterion, self.perturb = criterion, perturb

    def forward(self, step: Step) -> Tensor:
        z = step.embeddings if self.perturb else step.clean
        x_user, x_item = z.layers[0]
        loss: Tensor = self.criterion(
            z.user, z.item, step.batch, x_user=x_user, x_item=x_item
        )
        return loss

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        self.criterion.on_epoch_start(encoder, graph, epoch)


def ranking_term(loss: Criterion | RankingTerm) -> Term:
    """Return a ranking loss as a term."""
    return loss if isinstance(loss, RankingTerm) else Supervised(loss)
