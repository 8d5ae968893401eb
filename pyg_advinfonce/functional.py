"""Formulas of the losses as functions of tensors.

Scores are already divided by the temperature. Log-sum-exps run in single precision or
better, and no single score is exponentiated.
"""

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, relu, softplus

from pyg_advinfonce.ops import (
    draw_table,
    log_pair_potential,
    sum_log_partitions,
    total,
    unit_columns,
)

EPS = 1e-12
MASKED = -1e30  # a score without effect on sums; finite, to keep gradients finite


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32; leave float32 and float64 unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def unit_rows(x: Tensor) -> Tensor:
    r"""Divide each row by :math:`\max(|x|, 10^{-12})`, in float32 or better."""
    return unit_tables(x)[0]


def unit_tables(*tables: Tensor) -> tuple[Tensor, ...]:
    """Return :func:`unit_rows` of several tables; processes exchange norms once."""
    return unit_columns(EPS, *map(at_least_float32, tables))


def bpr(
    pos: Tensor,
    neg: Tensor,
    importance: Tensor | float = 1.0,
    num_kept: Tensor | int | None = None,
) -> Tensor:
    r"""Bayesian personalised ranking, the mean :math:`\mathrm{softplus}(s_j - s_i)`.

    Args:
        pos: ``[B]`` scores of the positives.
        neg: ``[B, K]`` scores of the negatives.
        importance: ``[B, K]`` weight of each negative, the number of negatives that it
            represents.
        num_kept: ``[B]`` number of negatives that count; the others have score ``-inf``
            (default: K).
    """
    loss = softplus(at_least_float32(neg) - at_least_float32(pos).unsqueeze(-1))
    count = neg.size(-1) if num_kept is None else num_kept
    return ((loss * importance).sum(-1) / count).mean()


def info_nce(
    pos: Tensor, neg: Tensor, delta: Tensor | None = None, negative_weight: float = 1.0
) -> Tensor:
    r"""InfoNCE of each positive with its negatives and their hardness.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \mathrm{softplus}\Bigl(\log w + \log \sum_j
        e^{s_{bj} + \delta_{bj}} - s_{bi}\Bigr)
        = -\frac{1}{B} \sum_b \log \frac{e^{s_{bi}}}
        {e^{s_{bi}} + w \sum_j e^{\delta_{bj}} e^{s_{bj}}}

    Args:
        pos: ``[B]`` scores of the positives.
        neg: ``[B, K]`` scores of the negatives; ``-inf`` masks a negative.
        delta: ``[B, K]`` hardness of the negatives (default: 0).
        negative_weight: ``w``, the weight of the negatives.
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
    r"""Cosine contrastive loss with a margin for negatives.

    .. math::
        \frac{1}{B} \sum_b \Bigl(1 - c_{bi} + \frac{w}{K} \sum_j
        \max(0, c_{bj} - m)\Bigr)

    Args:
        pos: ``[B]`` cosines of the positives.
        neg: ``[B, K]`` cosines of the negatives.
        weight: ``w``.
        margin: ``m``.
        mask: ``[B, K]`` True keeps a negative; the mean is over the kept negatives.
        importance: ``[B, K]`` weight of each negative, the number of negatives that it
            represents.
    """
    excess = relu(at_least_float32(neg) - margin) * importance  # [B, K]
    if mask is None:
        mean = excess.mean(-1)
    else:
        mean = (excess * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    return (1 - at_least_float32(pos) + weight * mean).mean()


def angular_margin(cosine: Tensor, margin: Tensor, *, capped: bool = True) -> Tensor:
    r"""Add a margin to angles given by their cosines.

    .. math::
        \cos(\theta + M), \quad \theta = \arccos c

    Args:
        cosine: Cosines, of any shape. They are clamped to [-1 + 1e-6, 1 - 1e-6], since
            the gradient of the angle is infinite at -1 and 1.
        margin: Margins in radians, of the same shape.
        capped: Reduce margins so that :math:`\theta + M` is at most :math:`\pi`.
    """
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    if capped:
        margin = torch.minimum(margin, math.pi - angle)
    return (angle + margin).cos()


def view_info_nce(
    anchor: Tensor,
    candidate: Tensor,
    tau: float,
    index: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    r"""InfoNCE of two views by cosine: each anchor is compared with all candidates.

    .. math::
        \sum_t w_t \Bigl[\log \sum_k e^{c(a_t, y_k)/\tau}
        - c(a_t, y_{i(t)})/\tau\Bigr]

    The scores ``[T, N]`` are computed in chunks.

    Args:
        anchor: ``[T, D]`` rows of the first view.
        candidate: ``[N, D]`` rows of the second view.
        tau: Temperature.
        index: ``[T]`` row number of each anchor's positive in ``candidate`` (default:
            ``t``).
        weight: ``[T]`` weights of the anchors, without gradient (default: ``1 / T``).
    """
    source, target = unit_tables(anchor, candidate)
    source = source / tau
    own = target if index is None else target.index_select(0, index)  # [T, D]
    scores = total(torch.linalg.vecdot(source, own))  # [T]
    if weight is None:
        weight = torch.full_like(scores, 1 / max(1, len(scores)))
    weight = weight.to(scores)
    return sum_log_partitions(source, target, weight) - weight.dot(scores)


def kl_to_uniform(delta: Tensor) -> tuple[Tensor, Tensor]:
    r"""KL divergences between hardness :math:`\delta = \log(K p)` and uniform.

    For p = 0, :math:`p \log p` is zero and :math:`\delta = -\infty` is clamped to
    :math:`-10^{30}`, so that both divergences are finite.

    Args:
        delta: ``[B, K]`` with :math:`\sum_j e^{\delta_j} = K` per row, or the unmasked
            entries of such rows.

    Returns:
        :math:`KL(P_0 \| P) = -\overline{\delta}` (the paper's Theorem 3.1) and
        :math:`KL(P \| P_0) = \overline{e^{\delta} \delta}`, each averaged over rows.
    """
    delta = delta.clamp(min=MASKED)
    return -delta.mean(), (delta.exp() * delta).mean()


def align(z_user: Tensor, z_item: Tensor) -> Tensor:
    r"""Mean squared distance of positive pairs on the unit sphere.

    Args:
        z_user: ``[B, D]``, normalised by the function.
        z_item: ``[B, D]`` positives of the users, normalised by the function.
    """
    user, item = unit_tables(z_user, z_item)
    return total((user - item).square().sum(-1)).mean()


def uniform(z: Tensor, t: float = 2.0) -> Tensor:
    r"""Log mean Gaussian potential of all pairs, :math:`\log \overline{e^{-t d^2}}`.

    Args:
        z: ``[B, D]`` with at least two rows, normalised by the function.
        t: Inverse width of the potential.

    Raises:
        ValueError: If ``z`` has fewer than two rows.
    """
    if z.size(0) < 2:
        raise ValueError(f"uniform needs at least two rows (got {z.size(0)})")
    num_pairs = z.size(0) * (z.size(0) - 1) / 2
    return log_pair_potential(unit_rows(z), t) - math.log(num_pairs)


def debiased_mass(
    pos: Tensor, log_sum: Tensor, number: Tensor, prior: float, floor: float
) -> Tensor:
    r"""Log mass of negatives, corrected for false negatives among them.

    .. math::
        \log Z_b = \log\Bigl(N \max\Bigl(\frac{\frac{1}{N} \sum_j e^{s_{bj}}
        - \rho e^{s_{bi}}}{1 - \rho}, e^{f}\Bigr)\Bigr)

    The gradient is zero if the floor applies.

    Args:
        pos: ``[B]`` scores of the positives.
        log_sum: ``[B]`` log-sum-exps of the negatives' scores.
        number: ``[B]`` numbers ``N`` of negatives.
        prior: :math:`\rho`, the share of false negatives.
        floor: ``f``, the smallest possible score.

    Returns:
        ``[B]``; ``MASKED`` for rows without negatives.
    """
    shift = torch.maximum(pos, log_sum).detach()  # [B]
    mean = (log_sum - shift).exp() / number.clamp(min=1)
    rest = (mean - prior * (pos - shift).exp()) / (1 - prior)
    is_above = rest > (floor - shift).exp()
    log_mean = torch.where(is_above, rest.where(is_above, 1.0).log() + shift, floor)
    return (log_mean + number.to(log_mean.dtype).log()).where(number > 0, MASKED)


def distance_correlation(x: Tensor, y: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Distance correlation: 0 for independent rows, 1 for proportional rows.

    .. math::
        \frac{\mathrm{dCov}(x, y)}
        {\sqrt{\mathrm{dCov}(x, x)\, \mathrm{dCov}(y, y)}},
        \quad \mathrm{dCov}^2(x, y) = \frac{1}{B^2} \sum_{kl} A_{kl} B_{kl}

    where ``A`` and ``B`` are the doubly centred distances between the rows of ``x`` and
    between those of ``y``.

    Args:
        x: ``[B, D]``.
        y: ``[B, D']``, paired with the rows of ``x``.
        eps: Added under the square roots of distances and of dCov.
    """
    a, b = (_centred_distances(at_least_float32(z), eps) for z in (x, y))

    def covariance(first: Tensor, second: Tensor) -> Tensor:
        return ((first * second).mean().clamp(min=0) + eps).sqrt()

    return covariance(a, b) / (covariance(a, a) * covariance(b, b)).sqrt()


def _centred_distances(z: Tensor, eps: float) -> Tensor:
    square = z.square().sum(-1)  # [B]
    squares = torch.addmm(square, z, z.t(), alpha=-2) + square.unsqueeze(-1)  # [B, B]
    distance = (total(squares).clamp(min=0) + eps).sqrt()
    mean = distance.mean(0)
    return distance - mean - mean.unsqueeze(-1) + mean.mean()


def reset_tables(
    dim: int, *tables: Tensor, init: Literal["normal", "uniform"] = "normal"
) -> None:
    """Draw each table from Xavier's normal or uniform distribution.

    Args:
        dim: Number of columns, over all processes.
        *tables: ``[N, dim]``, on the CPU.
        init: The distribution.
    """
    for table in tables:
        std = math.sqrt(2 / (table.size(0) + dim))
        bound = math.sqrt(3) * std
        normal, uniform = partial(_normal, std), partial(_uniform, bound)
        draw_table(table, dim, normal if init == "normal" else uniform)


def _normal(std: float, x: Tensor) -> None:
    x.normal_(0, std)


def _uniform(bound: float, x: Tensor) -> None:
    x.uniform_(-bound, bound)


def own_shapes(module: nn.Module) -> str:
    """Return the names and shapes of a module's own parameters, for its text."""
    own = module.named_parameters(recurse=False)
    return ", ".join(f"{name}={list(p.shape)}" for name, p in own)


def check_positive(**values: float) -> None:
    """Check that arguments, given by name, are positive and finite.

    Raises:
        ValueError: If an argument is not.
    """
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive (got {value})")


def check_not_negative(**values: float) -> None:
    """Check that arguments, given by name, are finite and not negative.

    Raises:
        ValueError: If an argument is not.
    """
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must not be negative (got {value})")


MOST_LAYERS = 1000


def check_num_layers(**values: int) -> None:
    """Check numbers of layers, given by name: every layer takes time and memory.

    Raises:
        ValueError: If a number is negative or above 1000.
    """
    check_not_negative(**values)
    for name, value in values.items():
        if value > MOST_LAYERS:
            raise ValueError(f"{name} must be at most {MOST_LAYERS} (got {value})")


def check_choice(*choices: str, **values: str) -> None:
    """Check that arguments, given by name, are among the choices.

    Raises:
        ValueError: If an argument is not.
    """
    for name, value in values.items():
        if value not in choices:
            known = " or ".join(map(repr, choices))
            raise ValueError(f"{name} must be {known} (got {value!r})")


def check_counts(name: str, count: Tensor) -> Tensor:
    """Check counts of pairs and return them.

    Raises:
        ValueError: If a count is negative or not finite.
    """
    wrong = count[~((count >= 0) & count.isfinite())]
    if len(wrong) > 0:
        raise ValueError(
            f"{name} must hold non-negative counts of pairs (got {wrong[0].item()})"
        )
    return count


def squares(table: Tensor, index: Tensor) -> Tensor:
    """Sum the squares of chosen rows of a table, over the columns of this process."""
    # A sparse gradient avoids a pass over the whole table. It is used only if the table
    # is a parameter, or rows selected from one: few operations accept such a gradient.
    made_by = "" if table.grad_fn is None else table.grad_fn.name()
    is_ego = made_by == "_LayerSumBackward" and table.output_nr > 1  # layer_sum_rows
    sparse = is_ego or made_by in ("", "IndexSelectBackward0")
    return embedding(index, table, sparse=sparse).square().sum()
