"""Method: an encoder, an objective and the phases of an epoch."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import Embeddings, as_encoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.objective import (
    Objective,
    Phase,
    RankingLoss,
    Supervised,
    Term,
    adam,
)
from pyg_advinfonce.ranks import dividing
from pyg_advinfonce.scorer import EmbeddingScores, Scorer
from pyg_advinfonce.terms import EmbeddingL2


class Method(nn.Module):
    """An encoder, an objective and the phases of an epoch, trained by a trainer.

    The encoder and the objective hold all state; phases refer to it. Each trainable
    parameter belongs to exactly one phase. A frozen parameter (``requires_grad`` is
    False) is not trained; parameters may be frozen or unfrozen between epochs.

    A method without phases trains nothing. An encoder with a method ``scores`` is a
    :class:`~pyg_advinfonce.scorer.Scorer`; its embeddings, if any, do not rank items.

    Args:
        encoder: Encoder of the graph, or a scorer of items; any other module becomes a
            :class:`~pyg_advinfonce.encoders.CustomEncoder`.
        objective: All terms. Their state is part of the method's state.
        phases: Phases of an epoch, in order. Exactly one has ``params=None`` and owns
            the parameters that no other phase owns. Empty if nothing is trained.
        cosine: Rank by cosine instead of by inner product.

    Raises:
        ConfigError: If a trainable parameter does not belong to exactly one phase, or
            if two phases have the same name.
    """

    def __init__(
        self,
        encoder: nn.Module,
        objective: Objective,
        phases: Sequence[Phase],
        *,
        cosine: bool,
    ) -> None:
        super().__init__()
        self.encoder, self.objective = as_encoder(encoder), objective
        self.phases, self.cosine = tuple(phases), cosine
        self._check_names()
        self._check_owners()

    @classmethod
    def compose(
        cls,
        encoder: nn.Module,
        loss: RankingLoss | None,
        *,
        terms: Mapping[str, tuple[float, Term]] | None = None,
        lr: float = 1e-3,
        l2: float = 1e-5,
        l2_options: Mapping[str, Any] | None = None,
        perturb: bool = True,
    ) -> Self:
        """Build a method from an encoder, a loss and further terms.

        The loss defines the phases (:meth:`RankingLoss.phases
        <pyg_advinfonce.objective.RankingLoss.phases>`).

        Args:
            encoder: Encoder, or any module that
                :class:`~pyg_advinfonce.encoders.CustomEncoder` takes.
            loss: Ranking loss, the term ``rec``. With None the encoder is frozen, ranks
                by inner product, and the objective has no terms.
            terms: Further terms as ``{name: (weight, term)}``. A term named ``l2``
                replaces the L2 penalty below.
            lr: Learning rate of the main phase.
            l2: Weight of the L2 penalty on the batch's rows.
            l2_options: Further arguments of that penalty, an
                :class:`~pyg_advinfonce.terms.EmbeddingL2`.
            perturb: Apply the loss to the perturbed embeddings; False runs a separate
                pass without noise for the loss.
        """
        encoder = as_encoder(encoder)
        if loss is None:
            frozen = encoder.requires_grad_(False)
            return cls(frozen, Objective({}), (), cosine=False)
        penalty = EmbeddingL2(**(l2_options or {}), perturb=perturb)
        terms = {"l2": (l2, penalty), **(terms or {})}
        parts = {name: term for name, (_, term) in terms.items()}
        objective = Objective(
            {"rec": Supervised(loss, perturb=perturb), **parts},
            {name: weight for name, (weight, _) in terms.items()},
        )
        phases = loss.phases(Phase("main", objective, optimizer=adam(lr)))
        return cls(encoder, objective, phases, cosine=loss.cosine)

    def params_of(self, phase: Phase) -> list[nn.Parameter]:
        """Return the parameters that a phase trains: its own, unless frozen."""
        return [p for p in self.owned_by(phase) if p.requires_grad]

    def owned_by(self, phase: Phase) -> list[nn.Parameter]:
        """Return the parameters that belong to a phase, including frozen ones."""
        if phase.params is not None:
            return list(phase.params)
        others = {id(p) for other in self.phases for p in other.params or ()}
        return [p for p in self.parameters() if id(p) not in others]

    @property
    def loss(self) -> RankingLoss | None:
        """The ranking loss; None if no term ``rec`` has one."""
        term = dict(self.objective.terms.items()).get("rec")
        return term.loss if isinstance(term, Supervised) else None

    @property
    def negatives(self) -> Literal["sampled", "in_batch", "none"]:
        """Negatives that the ranking loss needs; ``none`` without a loss."""
        return "none" if self.loss is None else self.loss.negatives

    def encode(self, graph: HeteroData) -> Embeddings:
        """Return embeddings without noise or gradient, in evaluation mode."""
        with _evaluating(self):
            z: Embeddings = self.encoder(graph, perturb=False)
        return z

    def embed(self, graph: HeteroData) -> tuple[Tensor, Tensor]:
        """Return embeddings ``[U, D]`` and ``[I, D]`` whose dot products rank items.

        Raises:
            ConfigError: If the encoder scores items itself.
        """
        self.check_embeddings()
        z = self.encode(graph)
        user, item = z.user.detach(), z.item.detach()
        return (unit_rows(user), unit_rows(item)) if self.cosine else (user, item)

    def scorer(self, graph: HeteroData) -> Scorer:
        """Return the scorer of the graph's items: the encoder or its embeddings.

        If tables are divided by columns, it scores this process's share of the users.
        """
        if not self.has_embeddings:
            return _EncoderScores(self)
        user, item = self.embed(graph)
        ranks = dividing()
        if ranks is None:
            return EmbeddingScores(user, item)
        first = ranks.share(len(user)).start
        return EmbeddingScores(ranks.rows(user), ranks.cat(item, 1), first=first)

    def check_embeddings(self) -> None:
        """Check that dot products of embeddings rank the items.

        Raises:
            ConfigError: If the encoder scores items itself.
        """
        if not self.has_embeddings:
            module = getattr(self.encoder, "module", self.encoder)  # the custom model
            raise ConfigError(
                "export, new users, similar items and embedding a graph need "
                f"embeddings whose dot products rank; model {type(module).__name__} "
                "ranks by scores: use another model"
            )

    @property
    def has_embeddings(self) -> bool:
        """Whether dot products of embeddings rank items, not the encoder's scores."""
        return not callable(getattr(self.encoder, "scores", None))

    def _check_names(self) -> None:
        names = Counter(phase.name for phase in self.phases)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ConfigError(f"phases must have different names (repeated: {twice})")

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
            raise ConfigError(
                "a phase trains parameters outside the method: make them part of the "
                "encoder or of a term"
            )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Set evaluation mode without gradients, and restore the mode on exit."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


class _EncoderScores:
    """Scores of a method whose encoder is a scorer."""

    def __init__(self, method: Method) -> None:
        self.method = method

    def scores(self, user: Tensor) -> Tensor:
        encoder: Any = self.method.encoder
        with _evaluating(self.method):
            found: Tensor = encoder.scores(user)
        return found
