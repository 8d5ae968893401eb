import math

import pytest
import torch

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.neighbor_contrast import NeighborContrast
from pyg_advinfonce.transforms import BipartiteNorm
from tests import cases, reference
from tests.terms.test_contrast import step_of


def test_is_a_sum_over_the_batch_repeated_nodes_included(graph):
    once, step = step_of(graph), step_of(graph)
    batch = step.batch
    step.batch = cases.EdgeBatch(
        *(
            torch.cat([x, x])
            for x in (batch.src_index, batch.dst_pos_index, batch.dst_neg_index)
        )
    )
    term = NeighborContrast()
    torch.testing.assert_close(term(step), 2 * term(once))


def test_items_have_a_weight_of_their_own(graph):
    step = step_of(graph)
    layers, batch = step.embeddings.layers, step.batch
    parts = [
        reference.neighbor_contrast(layers[2][n], layers[0][n], index, 0.3)
        for n, index in enumerate((batch.src_index, batch.dst_pos_index))
    ]
    found = NeighborContrast(2, 0.3, item_weight=0.25)(step)
    torch.testing.assert_close(found, parts[0] + 0.25 * parts[1])
    found = NeighborContrast(2, 0.3, item_weight=0.0)(step)
    torch.testing.assert_close(found, parts[0])


def test_where_propagation_changes_nothing_a_positive_has_cosine_one():
    """Every user has one item and every item one user: two layers are the identity."""
    pairs = torch.arange(6).expand(2, -1)
    graph = BipartiteNorm()(build_graph(pairs, num_users=6, num_items=6))
    encoder = LightGCN(6, 6, dim=3)
    batch = cases.EdgeBatch(pairs[0], pairs[1], torch.zeros(6, 1).long())
    step = Step(encoder, graph, batch, 0, 0)
    tables = [torch.nn.functional.normalize(x) for x in (encoder.user, encoder.item)]
    tau = 0.3
    expected = sum(((x @ x.t() / tau).logsumexp(1) - 1 / tau).sum() for x in tables)
    torch.testing.assert_close(NeighborContrast(2, tau)(step), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 0}, r"layer must be at least 1 \(got 0\)"),
        ({"tau": math.inf}, r"tau must be positive \(got inf\)"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        NeighborContrast(**options)
