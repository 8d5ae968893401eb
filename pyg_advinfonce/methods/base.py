"""A method: an encoder, an objective and the phases of an epoch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import Embeddings, Encoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.objective import Objective, Phase, RankingTerm, Step, Term


class Supervised(Term):
    """Apply a criterion to the step's embeddings and edges.

    Args:
        criterion: Any :class:`~pyg_advinfonce.losses.Criterion`.
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


class Method(nn.Module):
    """What a trainer trains.

    The encoder and the objective hold all state; phases refer to it. Each trainable
    parameter belongs to exactly one phase. A frozen one (``requires_grad`` is False)
    is trained by none, and may be frozen or released at any time between epochs.

    Args:
        encoder: Turns the graph into embeddings.
        objective: All terms, so that their state moves and is saved with the method.
        phases: The phases of an epoch, in order; exactly one has ``params=None`` and
            owns what no other phase owns.
        cosine: Whether nodes are ranked by cosine instead of by inner product.

    Raises:
        ConfigError: If a parameter has two owners, or a trainable one has none.
    """

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        phases: Sequence[Phase],
        *,
        cosine: bool,
    ) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective
        self.phases, self.cosine = tuple(phases), cosine
        self._check_owners()

    def params_of(self, phase: Phase) -> list[nn.Parameter]:
        """Return the parameters that a phase trains: of its own, those not frozen."""
        return [p for p in self.owned_by(phase) if p.requires_grad]

    def owned_by(self, phase: Phase) -> list[nn.Parameter]:
        """Return the parameters that belong to a phase, frozen ones among them."""
        if phase.params is not None:
            return list(phase.params)
        others = {id(p) for other in self.phases for p in other.params or ()}
        return [p for p in self.parameters() if id(p) not in others]

    @property
    def criterion(self) -> Criterion | RankingTerm:
        """The ranking loss."""
        term: Any = self.objective.terms["rec"]
        found: Criterion | RankingTerm = getattr(term, "criterion", term)
        return found

    def encode(self, graph: HeteroData) -> Embeddings:
        """Return unperturbed embeddings without a gradient, in evaluation mode."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            z: Embeddings = self.encoder(graph, perturb=False)
        self.train(was_training)
        return z

    def embed(self, graph: HeteroData) -> tuple[Tensor, Tensor]:
        """Return unperturbed ``[U, D]`` and ``[I, D]`` whose dot products rank."""
        z = self.encode(graph)
        user, item = z.user.detach(), z.item.detach()
        return (unit_rows(user), unit_rows(item)) if self.cosine else (user, item)

    def _check_owners(self) -> None:
        params = {id(p): (name, p) for name, p in self.named_parameters()}
        owned = [id(p) for phase in self.phases for p in self.owned_by(phase)]
        for key, (name, p) in params.items():
            owners = owned.count(key)
            if owners > 1 or (owners == 0 and p.requires_grad):
                raise ConfigError(
                    f"parameter '{name}' must belong to exactly one phase "
                    f"(it belongs to {owners})"
                )
        if set(owned) - set(params):
            raise ConfigError("a phase trains parameters that the method does not hold")
