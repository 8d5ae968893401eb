from types import SimpleNamespace

import pytest
import torch

from pyg_advinfonce.evaluation import CandidateRanking
from pyg_advinfonce.scorer import EmbeddingScores


@pytest.mark.parametrize("chunk_size", [3, 64, 200])
@pytest.mark.parametrize("share", [0.5, 1])
def test_scores_of_embeddings_are_one_product_of_a_chunk_and_the_candidates(
    chunk_size, share
):
    generator = torch.Generator().manual_seed(0)
    z_user, z_item = (torch.randn(n, 64, generator=generator) for n in (200, 90))
    mask = torch.arange(90) < 90 * share
    nothing = torch.empty(0, dtype=torch.long)
    ranking = CandidateRanking(mask, nothing, 200, chunk_size=chunk_size)
    user = torch.randperm(200, generator=generator)
    found = ranking.rank(EmbeddingScores(z_user, z_item), 5, ranking.chunks(user))
    for part, (value, _) in zip(user.split(chunk_size), found, strict=True):
        expected = z_user[part] @ z_item[mask].T
        assert torch.equal(value, expected.topk(5).values)


def test_a_scorer_s_scores_keep_their_precision_and_leave_gradients_behind():
    table = 1 + torch.arange(40.0).expand(3, -1) * 2**-20
    scorer = SimpleNamespace(scores=table.requires_grad_().__getitem__)
    nothing, user = torch.empty(0, dtype=torch.long), torch.arange(3)
    ranking = CandidateRanking(torch.arange(40) > 1, nothing, 3, chunk_size=2)
    for value, item in ranking.rank(scorer, 2, ranking.chunks(user)):
        assert item.tolist() == [[39, 38]] * len(item)
        assert torch.equal(value, table[0, [39, 38]].expand_as(value))
        assert not value.requires_grad
