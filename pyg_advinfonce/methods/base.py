"""A method: an encoder, an objective and the phases of an epoch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import Embeddings, Encoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.objective import Objective, Phase, RankingTerm, Step, Term
from pyg_advinfonce.scorer import EmbeddingScores, Scorer


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

    A method without phases trains nothing. An encoder with a method ``scores`` is a
    :class:`~pyg_advinfonce.scorer.Scorer`, and its embeddings, if any, do not rank.

    Args:
        encoder: Turns the graph into embeddings, or scores items itself.
        objective: All terms, so that their state moves and is saved with the method.
        phases: The phases of an epoch, in order; exactly one has ``params=None`` and
            owns what no other phase owns. There may be none.
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
    def criterion(self) -> Criterion | RankingTerm | None:
        """The ranking loss, if there is one."""
        term: Any = dict(self.objective.terms.items()).get("rec")
        found: Criterion | RankingTerm | None = getattr(term, "criterion", term)
        return found

    @property
    def negatives(self) -> Literal["sampled", "in_batch", "none"]:
        """What the ranking loss wants of a sampler."""
        return "none" if self.criterion is None else self.criterion.negatives

    def encode(self, graph: HeteroData) -> Embeddings:
        """Return unperturbed embeddings without a gradient, in evaluation mode."""
        with _evaluating(self):
            z: Embeddings = self.encoder(graph, perturb=False)
        return z

    def embed(self, graph: HeteroData) -> tuple[Tensor, Tensor]:
        """Return unperturbed ``[U, D]`` and ``[I, D]`` whose dot products rank.

        Raises:
            ConfigError: If the encoder ranks by scores of its own.
        """
        self.check_embeddings()
        z = self.encode(graph)
        user, item = z.user.detach(), z.item.detach()
        return (unit_rows(user), unit_rows(item)) if self.cosine else (user, item)

    def scorer(self, graph: HeteroData) -> Scorer:
        """Return what ranks the graph's items: the encoder, or its embeddings."""
        if self._has_scores:
            return _OwnScores(self)
        return EmbeddingScores(*self.embed(graph))

    def check_embeddings(self) -> None:
        """Refuse what only embeddings whose dot products rank can do.

        Raises:
            ConfigError: If the encoder ranks by scores of its own.
        """
        if self._has_scores:
            raise ConfigError(
                f"model {type(self.encoder).__name__} ranks by scores and has no "
                "embeddings whose dot products rank, which are needed to export it, to "
                "fold in new users or to embed a graph: use another model"
            )

    @property
    def _has_scores(self) -> bool:
        return callable(getattr(self.encoder, "scores", None))

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


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Set the evaluation mode and take no gradients."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


class _OwnScores:
    """The scores of a method whose encoder is a scorer."""

    def __init__(self, method: Method) -> None:
        self.method = method

    def scores(self, user: Tensor) -> Tensor:
        encoder: Any = self.method.encoder
        with _evaluating(self.method):
            found: Tensor = encoder.scores(user)
        return found
