"""The paper's theorems that can be checked, T7 to T13 of docs/methods.md 5.

T1 to T6 concern the loss alone and are in ``test_functional.py``. Where a printed
statement fails, the test holds what is true and an example of what is not.
"""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.published import CATALOGUE
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.functional import info_nce, kl_to_uniform
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import AdvInfoNCE, EmbeddingHardness, InfoNCE

TINY = 1e-9


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def everything(num_items, positives):
    """Return a user's batch: each positive against all other items ``[P, I - 1]``."""
    items = [[j for j in range(num_items) if j != i] for i in positives]
    user = torch.zeros(len(positives), dtype=torch.long)
    return EdgeBatch(user, torch.tensor(positives), torch.tensor(items))


def table_hardness(logits):
    """Return a hardness whose logits of users and items are these ``[U, I]``."""
    num_users, num_items = logits.shape
    hardness = EmbeddingHardness(num_users, num_items, dim=num_items).double()
    with torch.no_grad():
        hardness.user.copy_(logits)
        hardness.item.copy_(torch.eye(num_items))
    return hardness


def deltas(logits, batch):
    """Return the hardness ``[B, K]`` that logits ``[I]`` or ``[U, I]`` make."""
    z = torch.zeros(1, 1)
    return table_hardness(logits.view(-1, logits.size(-1)))(z, z, batch).detach()


def contrast(scores, delta, batch):
    """Return the loss of each positive ``[P]``, of weight 1."""
    pos, neg = scores[batch.dst_pos_index], scores[batch.dst_neg_index]
    rows = zip(pos.split(1), neg.split(1), delta.split(1), strict=True)
    return [info_nce(*row).item() for row in rows]


def ranked(scores, positives):
    """Return the evaluator's metrics of one user over the whole list."""
    num_items = len(scores)
    labels = torch.tensor([[0] * len(positives), positives])
    graph = build_graph(
        torch.tensor([[1], [0]]),  # another user's, so that nothing is hidden
        num_users=2,
        num_items=num_items,
        splits={"test": labels},
    )
    z_user, z_item = torch.eye(2, 1), scores.float().unsqueeze(-1)
    found = Evaluator(graph, k=num_items)(z_user, z_item, "test")
    return {name.split("/")[1].split("@")[0]: value for name, value in found.items()}


def ideal(num_positives):
    """The DCG of a list that starts with all positives."""
    return sum(1 / math.log2(1 + r) for r in range(1, num_positives + 1))


def dcg(scores, positives):
    return ranked(scores, positives)["ndcg"] * ideal(len(positives))


@st.composite
def users(draw):
    """Draw a user's scores ``[I]``, logits ``[I]`` of hardness, and positives."""
    num_items = draw(st.integers(2, 12))
    some = st.lists(
        st.integers(0, num_items - 1), min_size=1, max_size=num_items - 1, unique=True
    )
    positives = draw(some)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    scores, logits = 2 * torch.randn(2, num_items, generator=generator)
    return scores.double(), logits.double(), positives


# T7: for one pair, the loss and the mean exponential have the same maximiser.


@given(users(), users())
@settings(max_examples=50)
def test_t7_the_loss_orders_distributions_as_the_mean_exponential_does(user, other):
    scores, positives = user[0], user[2][:1]
    batch = everything(len(scores), positives)
    gap = scores[batch.dst_neg_index] - scores[positives]
    size = gap.size(1)
    candidates = [user[1], other[1].repeat(12)[: len(scores)], -user[1], scores]
    hard = [deltas(logits, batch) for logits in candidates]
    vertex = torch.full_like(gap, -torch.inf)  # all weight on the best negative
    vertex[0, gap.argmax()] = math.log(size)
    hard.append(vertex)
    losses = [contrast(scores, delta, batch)[0] for delta in hard]
    means = [(delta.exp() * gap.exp()).mean().item() for delta in hard]
    for loss, mean in zip(losses, means, strict=True):
        assert loss == pytest.approx(math.log1p(size * mean))
        assert loss <= losses[-1] + TINY
        assert mean <= means[-1] * (1 + TINY)
    by_loss = sorted(range(5), key=losses.__getitem__)
    in_order = [means[k] for k in by_loss]
    assert all(b >= a * (1 - TINY) for a, b in pairwise(in_order))


# T8: how far from uniform a distribution in the box |p_j - 1/N| <= eps can be.


def largest_divergence(size, eps):
    """The tight bound of KL(P0 || P) for an even size."""
    return -math.log1p(-((size * eps) ** 2)) / 2


def printed_eta(size, eps):
    """The paper's eta, which is too small to be a bound."""
    return -math.log1p(-(eps**2) / size)


def divergence(p):
    """KL(P0 || P) of one row, by the library's hardness."""
    batch = everything(len(p) + 1, [len(p)])
    logits = torch.cat([p.log(), f64([0.0])])
    return kl_to_uniform(deltas(logits, batch))[0].item()


def corner(size, eps):
    """The box's corner: half above, half below, the odd one in the middle."""
    half = size // 2
    shift = [eps] * half + [-eps] * half + [0.0] * (size % 2)
    return 1 / size + f64(shift)


@given(st.integers(2, 20), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_t8_no_distribution_in_the_box_diverges_more(size, part, seed):
    eps = part / size
    generator = torch.Generator().manual_seed(seed)
    shift = torch.rand(size, generator=generator, dtype=torch.float64) - 0.5
    shift -= shift.mean()
    p = 1 / size + shift * (eps / shift.abs().max())
    assert ((p - 1 / size).abs() <= eps + TINY).all()
    assert divergence(p) <= divergence(corner(size, eps)) + TINY
    assert divergence(p) <= largest_divergence(size, eps) + TINY


@given(st.integers(2, 21), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_t8_a_corner_attains_the_bound_and_exceeds_the_printed_one(size, part):
    eps = part / size
    attained = divergence(corner(size, eps))
    paired = size // 2 * 2 / size  # an odd one out adds nothing
    bound = largest_divergence(size, eps)
    assert attained == pytest.approx(paired * bound, rel=1e-6)
    assert attained > printed_eta(size, eps)


def test_t8_the_notes_example():
    assert divergence(corner(64, 0.01)) == pytest.approx(0.2635, abs=5e-5)
    assert largest_divergence(64, 0.01) == pytest.approx(0.2635, abs=5e-5)
    assert printed_eta(64, 0.01) == pytest.approx(1.6e-6, abs=5e-8)


# T9: the loss bounds the rank by hardness-adjusted scores, not the true rank.


def adjusted(scores, delta, batch, row):
    """Return all scores, those of a row's negatives with their hardness added."""
    moved = scores.clone()
    moved[batch.dst_neg_index[row]] += delta[row]
    return moved


def rank(scores, item):
    return 1 + int((scores > scores[item]).sum())


@given(users())
@settings(max_examples=50)
def test_t9_the_adjusted_rank_is_at_most_the_exponential_of_the_loss(user):
    scores, logits, positives = user
    batch = everything(len(scores), positives)
    delta = deltas(logits, batch)
    for row, loss in enumerate(contrast(scores, delta, batch)):
        moved = adjusted(scores, delta, batch, row)
        assert rank(moved, positives[row]) <= math.exp(loss) + TINY


def test_t9_the_true_rank_may_be_larger_where_hardness_is_negative():
    scores, p = f64([0.0, 0.1, -5.0]), f64([0.5, 0.01, 0.99])
    batch = everything(3, [0])
    delta = deltas(p.log(), batch)
    assert delta[0, 0] < 0
    (loss,) = contrast(scores, delta, batch)
    assert rank(scores, 0) == 2 > math.exp(loss)
    assert rank(adjusted(scores, delta, batch, 0), 0) == 1 < math.exp(loss)


def test_t9_the_true_rank_fails_in_about_one_of_a_hundred_trials():
    generator = torch.Generator().manual_seed(0)
    trials, size = 2000, 8
    scores, logits = torch.randn(2, trials, 1 + size, generator=generator).double()
    negatives = torch.arange(1, 1 + size).expand(trials, size)
    user = torch.arange(trials)
    delta = deltas(logits, EdgeBatch(user, torch.zeros_like(user), negatives))
    fails = 0
    for row, hard in zip(2 * scores, delta, strict=True):
        loss = info_nce(row[:1], row[None, 1:], hard[None]).item()
        fails += rank(row, 0) > math.exp(loss) + TINY
    assert 0.005 < fails / trials < 0.02


# T10: DCG is at least the exponential of minus the loss, over all items.


@given(users())
@settings(max_examples=40)
def test_t10_the_chain_of_bounds_holds_for_adjusted_ranks(user):
    scores, logits, positives = user
    batch = everything(len(scores), positives)
    delta = deltas(logits, batch)
    losses = contrast(scores, delta, batch)
    gains = []
    for row, (item, loss) in enumerate(zip(positives, losses, strict=True)):
        found = ranked(adjusted(scores, delta, batch, row), [item])
        assert found["ndcg"] >= found["mrr"] - 1e-6  # 1 / log2(1 + rank) >= 1 / rank
        assert found["mrr"] >= math.exp(-loss) - 1e-6
        gains.append(found["ndcg"])
    assert sum(gains) >= math.exp(-min(losses)) - 1e-6


@given(users())
@settings(max_examples=40)
def test_t10_without_hardness_the_ranks_are_the_true_ones(user):
    scores, _, positives = user
    batch = everything(len(scores), positives)
    losses = contrast(scores, torch.zeros(batch.dst_neg_index.shape), batch)
    assert dcg(scores, positives) >= math.exp(-min(losses)) - 1e-6


def test_t10_sampled_negatives_promise_nothing():
    scores = torch.arange(12.0).double()
    sampled = EdgeBatch(*torch.tensor([[0], [1]]), torch.tensor([[0, 0]]))
    (loss,) = contrast(3 * scores, torch.zeros(1, 2), sampled)
    assert dcg(scores, [1]) < math.exp(-loss) / 2


# T11: DCG is at most that of a list which starts with all positives.


@given(users())
@settings(max_examples=50)
def test_t11_only_positives_on_top_reach_the_largest_dcg(user):
    scores, _, positives = user
    others = [j for j in range(len(scores)) if j not in positives]
    on_top = bool(scores[positives].min() > scores[others].max())
    gain = ranked(scores, positives)["ndcg"]
    assert gain <= 1 + 1e-6
    assert (gain > 1 - 1e-6) == on_top
    best = scores.clone()
    best[positives] += 100
    assert dcg(best, positives) == pytest.approx(ideal(len(positives)))
    by_hand = sum(1 / math.log2(1 + rank(scores, item)) for item in positives)
    assert dcg(scores, positives) == pytest.approx(by_hand)


# T12: the loss is at least DCG where there are enough items for the temperature.


@given(users())
@settings(max_examples=50)
def test_t12_scores_from_0_to_1_bound_the_loss_whatever_the_hardness(user):
    scores, logits, positives = user
    batch = everything(len(scores), positives)
    least = math.log1p((len(scores) - 1) / math.e)
    losses = contrast(scores.sigmoid(), deltas(logits, batch), batch)
    assert min(losses) >= least - TINY
    extreme = torch.zeros_like(scores)
    extreme[positives[0]] = 1.0
    tight = contrast(extreme, deltas(logits, batch), batch)[0]
    assert tight == pytest.approx(least)


def test_t12_six_items_suffice_five_do_not():
    def least(num_items):
        scores = f64([1.0] + [0.0] * (num_items - 1))
        batch = everything(num_items, [0])
        return contrast(scores, torch.zeros(1, num_items - 1), batch)[0]

    assert least(5) == pytest.approx(0.905, abs=5e-4)
    assert least(6) == pytest.approx(1.044, abs=5e-4)
    assert least(5) < dcg(f64([1.0, 0.0, 0.0, 0.0, 0.0]), [0]) == 1 <= least(6)
    # With two positives, which cannot both be first, five are enough.
    assert 2 * least(5) > ideal(2)


@given(users(), st.floats(0.05, 3.0))
@settings(max_examples=50)
def test_t12_cosines_reach_further_down_than_scores_from_0_to_1(user, tau):
    scores, logits, positives = user
    generator = torch.Generator().manual_seed(len(scores))
    z_user, z_item = torch.randn(len(scores) + 1, 3, generator=generator).split(
        [1, len(scores)]
    )
    batch = everything(len(scores), positives)
    criterion = AdvInfoNCE(table_hardness(logits[None]), tau, negative_weight=1.0)
    least = math.log1p((len(scores) - 1) * math.exp(-2 / tau))
    assert criterion(z_user, z_item, batch).item() >= least * (1 - 1e-6)


def least_items(tau):
    """How many items there must be so that no embedding has a loss below one."""
    return 1 + (math.e - 1) * math.exp(2 / tau)


@pytest.mark.parametrize(
    ("data", "least", "holds"),
    [
        ("kuairec", 6, True),
        ("coat", 26, True),
        ("yahoo", 2175, False),
        ("tencent", 7.7e9, False),
    ],
)
def test_t12_the_condition_on_the_paper_s_data(data, least, holds):
    tau = Config.resolve("lightgcn", "adv", data).loss.options["tau"]
    num_items = CATALOGUE[data].num_items
    needed = math.ceil(least_items(tau))
    assert needed == (least if least < 1e6 else pytest.approx(least, rel=0.01))
    assert (num_items >= needed) is holds
    # The embedding of the smallest loss: the positive ahead, all others opposite.
    z_item = -torch.ones(num_items, 1)
    z_item[0] = 1.0
    batch = everything(num_items, [0])
    loss = InfoNCE(tau)(torch.ones(1, 1), z_item, batch).item()
    gain = dcg(z_item[:, 0], [0])
    assert gain == pytest.approx(1)
    assert (loss >= gain) is holds


def test_t12_a_perfect_ranking_at_a_low_temperature_has_a_loss_below_dcg():
    z_user, z_item = torch.eye(1, 6), torch.eye(6)  # the others are orthogonal
    loss = InfoNCE(tau=0.09)(z_user, z_item, everything(6, [0])).item()
    assert loss == pytest.approx(7e-5, rel=0.1)
    assert dcg(z_item[:, 0], [0]) == pytest.approx(1)


# T13: minimising the loss maximises a lower bound of DCG, and no more than that.


def test_t13_training_raises_the_bound_and_dcg_stays_above():
    positives, num_items = [2, 5, 9], 12
    generator = torch.Generator().manual_seed(3)
    tables = [torch.randn(n, 4, generator=generator) for n in (1, num_items)]
    tables = [table.requires_grad_() for table in tables]
    optimizer = torch.optim.Adam(tables, lr=0.05)
    criterion, batch = InfoNCE(tau=0.5), everything(num_items, positives)
    bounds, gains = [], []
    for _ in range(40):
        loss = criterion(*tables, batch)
        user, item = (torch.nn.functional.normalize(t.detach()) for t in tables)
        bounds.append(math.exp(-loss.item()))
        gains.append(dcg(item @ user[0], positives))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(b <= g + 1e-6 for b, g in zip(bounds, gains, strict=True))
    assert all(b > a for a, b in pairwise(bounds))
    assert gains[0] < gains[-1] == pytest.approx(ideal(3))  # raised, not lowered


def test_t13_a_smaller_loss_may_come_with_a_smaller_dcg():
    second = f64([0.0, 0.1] + [-10.0] * 10)  # one item just ahead of the positive
    first = f64([0.0] + [-0.1] * 11)  # all items just behind it
    batch, none = everything(12, [0]), torch.zeros(1, 11)
    losses = [contrast(scores, none, batch)[0] for scores in (second, first)]
    assert losses[0] < losses[1]
    assert dcg(second, [0]) < dcg(first, [0])
