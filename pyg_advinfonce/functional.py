"""The formulas, over tensors only.

Scores are already divided by the temperature. Log-sum-exps run in single precision or
better, and no score is ever exponentiated on its own.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import embedding, normalize, relu, softplus

from pyg_advinfonce.ops import log_partition

EPS = 1e-12
MASKED = -1e30  # a score that no sum notices; finite, so that gradients stay finite


def at_least_float32(x: Tensor) -> Tensor:
    """Widen half precision; leave single and double as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def unit_rows(x: Tensor) -> Tensor:
    r"""Divide each row by :math:`\max(|x|, 10^{-12})`, in float32 or better."""
    return normalize(at_least_float32(x), dim=-1, eps=EPS)


def bpr(
    pos: Tensor,
    neg: Tensor,
    importance: Tensor | float = 1.0,
    num_kept: Tensor | int | None = None,
) -> Tensor:
    r"""Bayesian personalised ranking, :math:`\mathrm{softplus}(s_j - s_i)`, averaged.

    Args:
        pos: ``[B]`` scores of the positives.
        neg: ``[B, K]`` scores of the negatives.
        importance: ``[B, K]`` how many negatives each stands for.
        num_kept: ``[B]`` how many negatives count, the others' scores being ``-inf``
            (default: K).
    """
    loss = softplus(at_least_float32(neg) - at_least_float32(pos).unsqueeze(-1))
    count = neg.size(-1) if num_kept is None else num_kept
    return ((loss * importance).sum(-1) / count).mean()


def info_nce(
    pos: Tensor, neg: Tensor, delta: Tensor | None = None, negative_weight: float = 1.0
) -> Tensor:
    r"""Contrast each positive with its negatives, each of its own hardness.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \mathrm{softplus}\Bigl(\log w + \log \sum_j
        e^{s_{bj} + \delta_{bj}} - s_{bi}\Bigr)
        = -\frac{1}{B} \sum_b \log \frac{e^{s_{bi}}}
        {e^{s_{bi}} + w \sum_j e^{\delta_{bj}} e^{s_{bj}}}

    Args:
        pos: ``[B]`` scores of the positives.
        neg: ``[B, K]`` scores of the negatives; ``-inf`` leaves one out.
        delta: ``[B, K]`` hardness of the negatives (default: 0).
        negative_weight: ``w``, the weight of all negatives.
    """
    logits = at_least_float32(neg) if delta is None else at_least_float32(neg) + delta
    mass = math.log(negative_weight) + logits.logsumexp(-1)  # [B]
    return softplus(mass - at_least_float32(pos)).mean()


def cosine_contrastive(
    pos: Tensor,
    neg: Tensor,
    weight: float,
    margin: float,
    mask: Tensor | None = None,
    importance: Tensor | float = 1.0,
) -> Tensor:
    r"""Pull positives, push negatives above a margin.

    .. math::
        \frac{1}{B} \sum_b \Bigl(1 - c_{bi} + \frac{w}{K} \sum_j
        \max(0, c_{bj} - m)\Bigr)

    Args:
        pos: ``[B]`` cosines of the positives.
        neg: ``[B, K]`` cosines of the negatives.
        weight: ``w``.
        margin: ``m``.
        mask: ``[B, K]`` True keeps a negative; the mean is over those kept.
        importance: ``[B, K]`` how many negatives each stands for.
    """
    excess = relu(at_least_float32(neg) - margin) * importance  # [B, K]
    if mask is None:
        mean = excess.mean(-1)
    else:
        mean = (excess * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    return (1 - at_least_float32(pos) + weight * mean).mean()


def angular_margin(cosine: Tensor, margin: Tensor, *, capped: bool = True) -> Tensor:
    r"""Turn cosines of angles into cosines of angles wider by a margin.

    .. math::
        \cos(\theta + M), \quad \theta = \arccos c

    Args:
        cosine: Any shape; kept a millionth away from -1 and 1, where the angle's
            gradient is infinite.
        margin: Of the same shape, in radians.
        capped: Let no angle pass :math:`\pi`, where the cosine turns.
    """
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    if capped:
        margin = torch.minimum(margin, math.pi - angle)
    return (angle + margin).cos()


def view_info_nce(
    anchor: Tensor, candidate: Tensor, tau: float, index: Tensor | None = None
) -> Tensor:
    r"""Contrast two views by cosine: an anchor with all rows of the other view.

    .. math::
        \frac{1}{T} \sum_t \Bigl[\log \sum_k e^{c(a_t, y_k)/\tau}
        - c(a_t, y_{i(t)})/\tau\Bigr]

    The scores ``[T, N]`` are never held all at once.

    Args:
        anchor: ``[T, D]`` rows of the first view.
        candidate: ``[N, D]`` rows of the second view.
        tau: The temperature.
        index: ``[T]`` the anchors' own rows of ``candidate`` (default: row ``t``).
    """
    source, target = unit_rows(anchor) / tau, unit_rows(candidate)
    own = target if index is None else target.index_select(0, index)  # [T, D]
    return (log_partition(source, target) - (source * own).sum(-1)).mean()


def kl_to_uniform(delta: Tensor) -> tuple[Tensor, Tensor]:
    r"""Measure how far hardness :math:`\delta = \log(K p)` is from uniform, both ways.

    Where p is zero, :math:`p \log p` is zero, and :math:`\delta = -\infty` counts as
    :math:`-10^{30}`, so that both are finite.

    Args:
        delta: ``[B, K]`` with :math:`\sum_j e^{\delta_j} = K` in every row, or the
            entries of such rows that a mask keeps.

    Returns:
        :math:`KL(P_0 \| P) = -\overline{\delta}` (the paper's Theorem 3.1) and
        :math:`KL(P \| P_0) = \overline{e^{\delta} \delta}`, each averaged over rows.
    """
    delta = delta.clamp(min=MASKED)
    return -delta.mean(), (delta.exp() * delta).mean()


def align(z_user: Tensor, z_item: Tensor) -> Tensor:
    r"""Mean squared distance of positive pairs on the unit sphere.

    Args:
        z_user: ``[B, D]``, normalised here.
        z_item: ``[B, D]`` the positives of the users, normalised here.
    """
    return (unit_rows(z_user) - unit_rows(z_item)).square().sum(-1).mean()


def uniform(z: Tensor, t: float = 2.0) -> Tensor:
    r"""Log mean Gaussian potential of all pairs, :math:`\log \overline{e^{-t d^2}}`.

    Args:
        z: ``[B, D]`` with at least two rows, normalised here.
        t: The width of the potential.

    Raises:
        ValueError: If there are fewer than two rows.
    """
    if z.size(0) < 2:
        raise ValueError(f"uniform needs at least two rows (got {z.size(0)})")
    z, number = unit_rows(z), z.size(0)
    square = t * z.square().sum(-1)  # [B]
    # Not pdist, whose backward pass on a GPU holds B times the input.
    logits = torch.addmm(-square, z, z.t(), alpha=2 * t)  # [B, B]
    rows = logits.fill_diagonal_(MASKED).logsumexp(-1) - square
    return rows.logsumexp(0) - math.log(number * (number - 1))


def debiased_mass(
    pos: Tensor,
    neg: Tensor,
    prior: float,
    floor: float,
    keep: Tensor | None = None,
) -> Tensor:
    r"""Correct the mass of negatives for the positives that are among them.

    .. math::
        \log Z_b = \log\Bigl(N \max\Bigl(\frac{\frac{1}{N} \sum_j e^{s_{bj}}
        - \rho e^{s_{bi}}}{1 - \rho}, e^{f}\Bigr)\Bigr)

    Where the floor acts the gradient is zero.

    Args:
        pos: ``[B]`` scores of the positives.
        neg: ``[B, N]`` scores of the negatives.
        prior: :math:`\rho`, which share of the negatives are positives in truth.
        floor: ``f``, the least score that there is.
        keep: ``[B, N]`` True keeps a negative, False leaves it out.

    Returns:
        ``[B]``, ``MASKED`` where there is no negative.
    """
    if keep is None:
        keep = torch.ones_like(neg, dtype=torch.bool)
    pos = at_least_float32(pos)
    neg = at_least_float32(neg).masked_fill(~keep, MASKED)
    number = keep.sum(-1)
    shift = torch.maximum(pos, neg.amax(-1)).detach()  # [B]
    mean = (neg - shift.unsqueeze(-1)).exp().sum(-1) / number.clamp(min=1)
    rest = (mean - prior * (pos - shift).exp()) / (1 - prior)
    is_above = rest > (floor - shift).exp()
    log_mean = torch.where(is_above, rest.where(is_above, 1.0).log() + shift, floor)
    return (log_mean + number.to(log_mean.dtype).log()).where(number > 0, MASKED)


def distance_correlation(x: Tensor, y: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Measure dependence of any kind: 0 for independent rows, 1 for scaled ones.

    .. math::
        \frac{\mathrm{dCov}(x, y)}
        {\sqrt{\mathrm{dCov}(x, x)\, \mathrm{dCov}(y, y)}},
        \quad \mathrm{dCov}^2(x, y) = \frac{1}{B^2} \sum_{kl} A_{kl} B_{kl}

    with the doubly centred distances ``A`` of the rows of x and ``B`` of y.

    Args:
        x: ``[B, D]``.
        y: ``[B, D']`` the other view of the same rows.
        eps: Added under the roots of distances and of dCov.
    """
    a, b = (_centred_distances(at_least_float32(z), eps) for z in (x, y))

    def covariance(first: Tensor, second: Tensor) -> Tensor:
        return ((first * second).mean().clamp(min=0) + eps).sqrt()

    return covariance(a, b) / (covariance(a, a) * covariance(b, b)).sqrt()


def _centred_distances(z: Tensor, eps: float) -> Tensor:
    square = z.square().sum(-1)  # [B]
    squares = torch.addmm(square, z, z.t(), alpha=-2) + square.unsqueeze(-1)  # [B, B]
    distance = (squares.clamp(min=0) + eps).sqrt()
    columns = distance.mean(0)
    return distance - columns - columns.unsqueeze(-1) + columns.mean()


def check_positive(**values: float) -> None:
    """Check arguments by name.

    Raises:
        ValueError: If one is not positive and finite.
    """
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive (got {value})")


def check_not_negative(**values: float) -> None:
    """Check arguments by name.

    Raises:
        ValueError: If one is negative or not finite.
    """
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must not be negative (got {value})")


def check_choice(*choices: str, **values: str) -> None:
    """Check arguments by name.

    Raises:
        ValueError: If one is none of the choices.
    """
    for name, value in values.items():
        if value not in choices:
            known = " or ".join(map(repr, choices))
            raise ValueError(f"{name} must be {known} (got {value!r})")


def check_counts(name: str, count: Tensor) -> Tensor:
    """Return counts of pairs, which weights are made of.

    Raises:
        ValueError: If one is negative or not a number.
    """
    wrong = count[~((count >= 0) & count.isfinite())]
    if len(wrong) > 0:
        raise ValueError(
            f"{name} must hold numbers of pairs, zero or more (got {wrong[0].item()})"
        )
    return count


def squares(table: Tensor, index: Tensor) -> Tensor:
    """Sum the squared norms of chosen rows of a parameter."""
    # A sparse gradient spares a pass over the whole table; it is added to a dense one.
    return embedding(index, table, sparse=True).square().sum()
