"""A method: an encoder, an objective and the phases of an epoch."""

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
from pyg_advinfonce.scorer import EmbeddingScores, Scorer
from pyg_advinfonce.terms import EmbeddingL2


class Method(nn.Module):
    """What a trainer trains.

    The encoder and the objective hold all state; phases refer to it. Each trainable
    parameter belongs to exactly one phase. A frozen one (``requires_grad`` is False)
    is trained by none, and may be frozen or released at any time between epochs.

    A method without phases trains nothing. An encoder with a method ``scores`` is a
    :class:`~pyg_advinfonce.scorer.Scorer`, and its embeddings, if any, do not rank.

    Args:
        encoder: Turns the graph into embeddings, or scores items itself; one that is no
            :class:`~pyg_advinfonce.encoders.Encoder` becomes a
            :class:`~pyg_advinfonce.encoders.CustomEncoder`.
        objective: All terms, so that their state moves and is saved with the method.
        phases: The phases of an epoch, in order; exactly one has ``params=None`` and
            owns what no other phase owns. There are none where nothing is trained.
        cosine: Whether nodes are ranked by cosine instead of by inner product.

    Raises:
        ConfigError: If a parameter has two owners, or a trainable one has none; or if
            two phases have the same name.
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
        l2_negatives: bool = False,
        perturb: bool = True,
    ) -> Self:
        """Put a method together whose terms are one sum, trained as its loss says.

        Args:
            encoder: The encoder, or any module that
                :class:`~pyg_advinfonce.encoders.CustomEncoder` makes one of.
            loss: The ranking loss; its term is ``rec``. None is for an encoder that is
                not trained: it is frozen, ranks by inner product, and has no terms.
            terms: Further terms with their weights, by name. One named ``l2`` takes the
                place of the penalty below.
            lr: The learning rate of the main phase.
            l2: The weight of the L2 penalty on the batch's layer-0 rows.
            l2_negatives: Whether this counts the negatives' rows as well.
            perturb: Whether the loss sees the encoder's noise; otherwise it gets a pass
                of its own.
        """
        encoder = as_encoder(encoder)
        if loss is None:
            frozen = encoder.requires_grad_(False)
            return cls(frozen, Objective({}), (), cosine=False)
        terms = {"l2": (l2, EmbeddingL2(l2_negatives)), **(terms or {})}
        parts = {name: term for name, (_, term) in terms.items()}
        objective = Objective(
            {"rec": Supervised(loss, perturb=perturb), **parts},
            {name: weight for name, (weight, _) in terms.items()},
        )
        phases = loss.phases(Phase("main", objective, optimizer=adam(lr)))
        return cls(encoder, objective, phases, cosine=loss.cosine)

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
    def loss(self) -> RankingLoss | None:
        """The ranking loss; None where no term ``rec`` holds one."""
        term = dict(self.objective.terms.items()).get("rec")
        return term.loss if isinstance(term, Supervised) else None

    @property
    def negatives(self) -> Literal["sampled", "in_batch", "none"]:
        """What the ranking loss wants of a sampler."""
        return "none" if self.loss is None else self.loss.negatives

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
        if not self.has_embeddings:
            return _OwnScores(self)
        return EmbeddingScores(*self.embed(graph))

    def check_embeddings(self) -> None:
        """Refuse what only embeddings whose dot products rank can do.

        Raises:
            ConfigError: If the encoder ranks by scores of its own.
        """
        if not self.has_embeddings:
            module = getattr(self.encoder, "module", self.encoder)  # a custom model's
            raise ConfigError(
                f"model {type(module).__name__} ranks by scores and has no "
                "embeddings whose dot products rank, which are needed to export it, to "
                "fold in new users or to embed a graph: use another model"
            )

    @property
    def has_embeddings(self) -> bool:
        """Whether dot products of embeddings rank, not the encoder's own scores."""
        return not callable(getattr(self.encoder, "scores", None))

    def _check_names(self) -> None:
        names = Counter(phase.name for phase in self.phases)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ConfigError(f"phases must differ in name (several are {twice})")

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
