"""A method: an encoder, an objective and the phases of an epoch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Encoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.schedule import Phase
from pyg_advinfonce.terms.base import Objective, RankingTerm


class Method(nn.Module):
    """What a trainer trains.

    The encoder and the objective hold all state; phases refer to it. Each trainable
    parameter belongs to exactly one phase.

    Args:
        encoder: Turns the graph into embeddings.
        objective: All terms, so that their state moves and is saved with the method.
        phases: The phases of an epoch, in order; exactly one has ``params=None`` and
            owns what no other phase owns.
        cosine: Whether nodes are ranked by cosine instead of by inner product.

    Raises:
        ConfigError: If a parameter has two owners or none.
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
        """Return the parameters that a phase trains."""
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

    def embed(self, graph: HeteroData) -> tuple[Tensor, Tensor]:
        """Return unperturbed ``[U, D]`` and ``[I, D]`` whose dot products rank."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            z = self.encoder(graph, perturb=False)
        self.train(was_training)
        user, item = z.user.detach(), z.item.detach()
        return (unit_rows(user), unit_rows(item)) if self.cosine else (user, item)

    def _check_owners(self) -> None:
        names = {id(p): name for name, p in self.named_parameters()}
        owned = [id(p) for phase in self.phases for p in self.params_of(phase)]
        for key, name in names.items():
            if owned.count(key) != 1:
                raise ConfigError(
                    f"parameter '{name}' must belong to exactly one phase "
                    f"(it belongs to {owned.count(key)})"
                )
        if set(owned) - set(names):
            raise ConfigError("a phase trains parameters that the method does not hold")
