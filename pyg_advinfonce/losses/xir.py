"""XIR and BIR losses: in-batch negatives, resampled by importance."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import (
    MASKED,
    at_least_float32,
    check_choice,
    check_counts,
    check_not_negative,
    check_positive,
    info_nce,
    unit_rows,
)
from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.losses.base import (
    Criterion,
    positive_rows,
    refuse_neg_rows,
    sum_over_ranks,
)
from pyg_advinfonce.ops import draw_columns, product, total, totals
from pyg_advinfonce.ranks import agreed

# Popularity of an item, a stand-in for its frequency in batches.
POPULARITY: Mapping[str, Callable[[Tensor], Tensor]] = {
    "count": lambda count: count,
    "log": torch.log1p,
    "power": lambda count: count**0.75,
}


class XIR(Criterion):
    r"""Sampled softmax over in-batch negatives that are resampled by importance from
    the batch and from a cache, as in `"Cache-Augmented Inbatch Importance Resampling
    for Training Recommender Retriever" <https://arxiv.org/abs/2205.14859>`_.

    .. math::
        \mathcal{L} = \lambda\, \ell(K_u) + (1 - \lambda)\, \ell(R_u), \quad
        \ell(S) = -\frac{1}{B} \sum_b \log
        \frac{e^{s_{ui}}}{e^{s_{ui}} + \sum_{j \in S} e^{s_{uj}}}

    Row ``u`` draws :math:`R_u` from the items of the batch and :math:`K_u` from the
    items of the cache, each of half the cache size, with probability proportional to
    :math:`e^{s_{uj}} / q_j`. The next cache is drawn from the items drawn in this step,
    in proportion to how often each has been drawn so far. Without a cache the loss is
    BIR, which is :math:`\ell(R_u)` with as many draws as the batch has items.

    ``q`` is the frequency of an item in batches if train pairs are sampled
    (``train.sampling = "interaction"``). Items without train pairs get the
    smallest ``q`` of all items, and are not in the first cache. If ``z_item`` holds a
    sample of the items, cached items outside it are not drawn.

    If a process group of several ranks is initialised, the draws of all ranks are
    counted together in every training call, and each rank draws its cache from them;
    inside ``DistributedDataParallel`` all ranks then take rank 0's cache. The batch's
    negatives are those of the rank.

    Args:
        count: ``[I]`` number of train pairs per item.
        tau: Temperature.
        lam: :math:`\lambda`, weight of the cache, in [0, 1].
        cache_size: Number of cached items, with repetition; :math:`R_u` and :math:`K_u`
            have half as many each. The authors use the batch size. 0 gives BIR.
        popularity: ``q`` is proportional to ``count``, ``log(1 + count)`` or
            ``count**0.75`` (``power``).
        cache_q: ``q`` for draws from the cache: ``popularity`` as for the batch, or
            ``occurrence``, the number of times that an item has been drawn
            (docs/methods.md 2.11).
        mask_hits: Never draw a user's own positive as its negative.
        cosine: Score by cosine. The authors score by inner product, at ``tau`` 1
            (docs/methods.md 2.11).

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    negatives = "in_batch"
    occurrence: Tensor
    cache: Tensor
    log_q: Tensor

    def __init__(
        self,
        count: Tensor,
        tau: float = 0.2,
        *,
        lam: float = 0.5,
        cache_size: int = 1024,
        popularity: Literal["count", "log", "power"] = "count",
        cache_q: Literal["popularity", "occurrence"] = "popularity",
        mask_hits: bool = False,
        cosine: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= lam <= 1:
            raise ValueError(f"lam must be in [0, 1] (got {lam})")
        check_not_negative(cache_size=cache_size)
        if popularity not in POPULARITY:
            raise ValueError(
                f"popularity must be one of {list(POPULARITY)} (got '{popularity}')"
            )
        check_choice("popularity", "occurrence", cache_q=cache_q)
        check_positive(tau=tau)
        self.tau, self.lam, self.cache_q = tau, lam, cache_q
        self.cache_size, self.mask_hits = cache_size, mask_hits
        self.cosine = cosine
        weight = POPULARITY[popularity](check_counts("count", count).double())
        log_q = _log_frequency(weight)  # [I]
        self.register_buffer("log_q", log_q, persistent=False)
        occurrence = torch.ones_like(count, dtype=torch.long)  # [I]
        self.register_buffer("occurrence", occurrence)
        self.register_buffer("cache", _first_cache(count, cache_size))  # [C]

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from the number of train pairs per item."""
        return cls(train_degrees(graph)[1], **options)

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        refuse_neg_rows(batch)
        user, item = positive_rows(z_user, z_item, batch)
        user, item = self._scaled(user) / self.tau, self._scaled(item)  # [B, D]
        parts = product(user, item), torch.linalg.vecdot(user, item)
        (scores, pos), own = totals(*parts), batch.pos_id  # [B, B], [B]
        half = max(1, self.cache_size // 2)
        number = half if self.cache_size else own.numel()
        drawn, neg = self._resample(scores, own, own, self.log_q[own], number)
        loss = info_nce(pos, neg)
        if self.cache_size == 0:
            return loss
        scores = self._cache_scores(user, z_item, batch)  # [B, C]
        log_q = self._cache_log_q()
        more, neg = self._resample(scores, own, self.cache, log_q, number)
        if self.training:
            self._remember((own, drawn), (self.cache, more))
        return self.lam * info_nce(pos, neg) + (1 - self.lam) * loss

    def _resample(
        self, scores: Tensor, own: Tensor, ids: Tensor, log_q: Tensor, number: int
    ) -> tuple[Tensor, Tensor]:
        """Draw columns per row: return them and their scores, ``[B, number]``.

        Args:
            scores: ``[B, N]`` scores of the candidates.
            own: ``[B]`` positive of each row.
            ids: ``[N]`` item of each column.
            log_q: ``[N]`` log frequency of each column's item.
            number: Number of draws per row.
        """
        if self.mask_hits:
            scores = scores.masked_fill(ids == own.unsqueeze(-1), MASKED)
        place = agreed(draw_columns(scores.detach() - log_q, number))
        return place, scores.gather(1, place)

    def _cache_scores(self, user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        """Score users ``[B, D]`` against the cache ``[B, C]``; mask unsampled items."""
        row, is_absent = self.cache.clone(), None  # the gradient needs it unchanged
        if batch.dst_n_id is not None:  # z_item holds a sample of the items
            row_of = torch.full_like(self.occurrence, -1)  # [I]
            row_of[batch.dst_n_id] = torch.arange(z_item.size(0), device=row.device)
            is_absent = row_of[row] < 0
            row = row_of[row].clamp(min=0)
        scores = total(product(user, self._scaled(z_item.index_select(0, row))))
        return scores if is_absent is None else scores.masked_fill(is_absent, MASKED)

    def _scaled(self, rows: Tensor) -> Tensor:
        return unit_rows(rows) if self.cosine else at_least_float32(rows)

    def _cache_log_q(self) -> Tensor:
        if self.cache_q == "popularity":
            return self.log_q[self.cache]
        return self.occurrence[self.cache].log()

    @torch.no_grad()
    def _remember(self, *drawn: tuple[Tensor, Tensor]) -> None:
        """Count the drawn items, and draw the next cache from them.

        Args:
            *drawn: Items ``[N]`` of columns, and the columns drawn ``[B, number]``.
        """
        count = torch.zeros_like(self.occurrence)
        for ids, place in drawn:
            one, times = place.new_ones(()), torch.zeros_like(ids)  # [N]
            times.index_add_(0, place.view(-1), one.expand(place.numel()))
            count.index_add_(0, ids, times)
        count = sum_over_ranks(count)
        self.occurrence += count  # in place, as a CUDA graph needs it
        weight = self.occurrence.where(count > 0, 0).log()  # [I]
        self.cache.copy_(draw_columns(weight.unsqueeze(0), self.cache_size).view(-1))


def _log_frequency(weight: Tensor) -> Tensor:
    """Normalise weights; a zero weight counts as the smallest positive one."""
    known = weight[weight > 0]
    floor = known.min() if known.numel() else weight.new_ones(())
    weight = weight.where(weight > 0, floor)
    return (weight / weight.sum()).log().float()


def _first_cache(count: Tensor, size: int) -> Tensor:
    known = (count > 0).nonzero().view(-1)
    if known.numel() == 0:
        known = torch.arange(count.numel(), device=count.device)
    place = torch.randint(known.numel(), (size,), device="cpu").to(count.device)
    return known[place]
