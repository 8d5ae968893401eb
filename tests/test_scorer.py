import pytest
import torch

from pyg_advinfonce.scorer import EmbeddingScores

USER = torch.tensor([3, 0, 3])


def tables(dtype=torch.float):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 8, generator=generator).to(dtype) for n in (5, 40)]


@pytest.mark.parametrize("dtype", [torch.float, torch.double, torch.bfloat16])
def test_scores_are_dot_products_in_single_precision(dtype):
    z_user, z_item = tables(dtype)
    found = EmbeddingScores(z_user.requires_grad_(), z_item).scores(USER)
    expected = z_user[USER].double() @ z_item.double().T
    assert found.dtype == torch.float
    assert not found.requires_grad
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_scores_stay_in_single_precision_under_autocast():
    scorer = EmbeddingScores(*tables())
    expected = scorer.scores(USER)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(scorer.scores(USER), expected)


def test_scores_are_written_where_one_asks():
    scorer, place = EmbeddingScores(*tables()), torch.empty(3, 40)
    found = scorer.scores(USER, out=place)
    assert found.data_ptr() == place.data_ptr()
    assert torch.equal(place, scorer.scores(USER))


def test_some_items_have_their_own_columns():
    z_user, z_item = tables()
    item = torch.tensor([7, 2])
    found = EmbeddingScores(z_user, z_item).among(item).scores(USER)
    torch.testing.assert_close(found, z_user[USER] @ z_item[item].T)


@pytest.mark.parametrize(
    ("user", "item"), [((5, 8), (40, 7)), ((5,), (40,)), ((5, 8), (8,)), ((), ())]
)
def test_other_shapes_are_refused(user, item):
    said = rf"expected embeddings .* \(got \[{str(list(user))[1:-1]}\] and \["
    with pytest.raises(ValueError, match=said):
        EmbeddingScores(torch.zeros(user), torch.zeros(item))
