import pytest
import torch
from torch_geometric import nn as pyg

from pyg_advinfonce.encoders import VGAE, Embeddings, UltraGCN
from pyg_advinfonce.objective import Step
from pyg_advinfonce.terms import KLPrior, TableL2
from tests import reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, toy_batch


def divergence(mu, logstd, users=2):
    """Return the term of joint tables of which the first rows are users."""
    aux = {
        "mu_user": mu[:users],
        "mu_item": mu[users:],
        "logstd_user": logstd[:users],
        "logstd_item": logstd[users:],
    }
    z = Embeddings(mu[:users], mu[users:], ((mu[:users], mu[users:]),), aux)
    return KLPrior()(Step(None, None, toy_batch(), 0, 0, embeddings=z))


def tables(seed=0):
    torch.manual_seed(seed)
    return torch.randn(5, 3).double(), torch.randn(5, 3).double()


def test_it_is_pygs_and_the_naive_formula():
    mu, logstd = tables()
    found = divergence(mu, logstd)
    expected = pyg.VGAE(torch.nn.Identity()).kl_loss(mu, logstd)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found, reference.kl_prior(mu, logstd))


def test_it_is_the_mean_of_torch_s_divergences():
    mu, logstd = tables()
    prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    each = torch.distributions.kl_divergence(
        torch.distributions.Normal(mu, logstd.exp()), prior
    )
    torch.testing.assert_close(divergence(mu, logstd), each.sum(1).mean())


def test_it_is_zero_for_the_prior_alone():
    """The divergence of docs/methods.md 1.4."""
    zero = torch.zeros(5, 3).double()
    assert divergence(zero, zero).item() == 0
    for place in range(15):
        for mu, logstd in ((0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)):
            tables = zero.clone(), zero.clone()
            tables[0].view(-1)[place], tables[1].view(-1)[place] = mu, logstd
            assert divergence(*tables).item() > 1e-4


def test_the_largest_spread_stays_finite():
    mu, logstd = torch.zeros(5, 3), torch.full((5, 3), 10.0)
    assert divergence(mu, logstd).isfinite()


@pytest.mark.parametrize("perturb", [None, False])
def test_it_reads_what_the_encoder_leaves(graph, perturb):
    torch.manual_seed(0)
    encoder = VGAE(NUM_USERS, NUM_ITEMS, DIM)
    z = encoder(graph, perturb=perturb)
    loss = KLPrior()(Step(encoder, graph, toy_batch(), 0, 0, embeddings=z))
    mu, logstd = (
        torch.cat([z.aux[f"{name}_user"], z.aux[f"{name}_item"]])
        for name in ("mu", "logstd")
    )
    torch.testing.assert_close(loss, reference.kl_prior(mu, logstd))


def test_it_is_half_the_squared_norm_of_whole_tables_and_the_gradient_the_tables(graph):
    encoder = UltraGCN(NUM_USERS, NUM_ITEMS, DIM, std=1.0).double()
    penalty = TableL2()(Step(encoder, graph, toy_batch(1), 0, 0))
    penalty.backward()
    values = [v for table in (encoder.user, encoder.item) for v in table.view(-1)]
    torch.testing.assert_close(penalty, sum(v * v for v in values) / 2)
    assert torch.equal(encoder.user.grad, encoder.user)
    assert torch.equal(encoder.item.grad, encoder.item)
