from dataclasses import replace

import pytest
import torch
from torch import nn

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.methods import Method, lightgcn
from pyg_advinfonce.methods import lightgcn as mf
from pyg_advinfonce.objective import Objective, Phase, Supervised
from pyg_advinfonce.terms import TableL2
from tests import cases
from tests.cases import DIM, PAIRS, find, pair_name
from tests.scorers import Popularity, untrained

every_pair = pytest.mark.parametrize(("model", "case"), PAIRS, ids=pair_name)


def parts():
    criterion = find("adv").build()
    objective = Objective({"rec": Supervised(criterion)})
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    return encoder, objective, criterion.phases(Phase("main", objective))


def rest(main):
    """Return another phase that would train all that is left."""
    return replace(main, name="rest")


@every_pair
def test_every_parameter_has_exactly_one_owner(model, case):
    method = case.method(model)
    owned = [id(p) for phase in method.phases for p in method.params_of(phase)]
    assert sorted(owned) == sorted(id(p) for p in method.parameters())
    main = next(phase for phase in method.phases if phase.name == "main")
    found = {id(p) for p in method.params_of(main)}
    encoder = {id(p) for p in method.encoder.parameters()}
    assert encoder <= found
    assert encoder == found or not case.is_criterion  # a term may own tables


@every_pair
def test_embeddings_rank_as_the_criterion_scores(model, case, graph):
    method = case.method(model)
    user, item = method.embed(graph)
    assert user.shape == (cases.NUM_USERS, DIM)
    assert item.shape == (cases.NUM_ITEMS, DIM)
    assert not user.requires_grad
    z = method.encoder(graph, perturb=False)
    if method.loss.cosine:
        known = z.user.any(dim=1)  # without layer 0 an isolated node has a row of zeros
        torch.testing.assert_close(user.norm(dim=1), known.float())
        z_user, z_item = (nn.functional.normalize(x) for x in (z.user, z.item))
    else:
        z_user, z_item = z.user, z.item
    torch.testing.assert_close(user @ item.t(), z_user @ z_item.t())


@pytest.mark.parametrize("training", [False, True])
def test_embedding_restores_the_mode_and_runs_in_the_other(graph, training):
    method = find("bpr").method().train(training)
    seen = []
    hook = lambda module, *_: seen.append(module.training)  # noqa: E731
    method.encoder.register_forward_hook(hook)
    method.embed(graph)
    assert seen == [False]
    assert method.training is training
    assert method.encoder.training is training


def test_a_parameter_with_two_owners():
    encoder, objective, (adversary, main) = parts()
    thief = replace(adversary, name="thief")
    message = r"'objective.*hardness.user' must belong .* \(it belongs to 2\)"
    with pytest.raises(ConfigError, match=message):
        Method(encoder, objective, (adversary, thief, main), cosine=True)


def test_two_phases_that_take_the_rest():
    encoder, objective, (adversary, main) = parts()
    with pytest.raises(ConfigError, match=r"'encoder.user' .* \(it belongs to 2\)"):
        Method(encoder, objective, (adversary, main, rest(main)), cosine=True)


def test_a_parameter_without_an_owner():
    encoder, objective, (adversary, _) = parts()
    with pytest.raises(ConfigError, match=r"'encoder.user' .* \(it belongs to 0\)"):
        Method(encoder, objective, (adversary,), cosine=True)


def test_a_parameter_of_somebody_else():
    encoder, objective, (adversary, main) = parts()
    stranger = Phase("stranger", objective, params=(nn.Parameter(torch.ones(1)),))
    with pytest.raises(ConfigError, match="parameters outside the method"):
        Method(encoder, objective, (adversary, stranger, main), cosine=True)


def test_a_frozen_parameter_is_trained_by_no_phase():
    encoder, objective, (adversary, main) = parts()
    first, *others = adversary.params
    encoder.user.requires_grad_(False)
    first.requires_grad_(False)
    method = Method(encoder, objective, (adversary, main), cosine=True)
    assert list(map(id, method.params_of(main))) == [id(encoder.item)]
    assert method.params_of(adversary) == others
    encoder.user.requires_grad_(True)
    assert method.params_of(main) == [encoder.user, encoder.item]
    assert method.owned_by(adversary) == [first, *others]


def test_a_frozen_parameter_needs_no_owner_but_may_not_have_two():
    encoder, objective, (adversary, main) = parts()
    encoder.requires_grad_(False)
    Method(encoder, objective, (adversary,), cosine=True)
    with pytest.raises(ConfigError, match=r"'encoder.user' .* \(it belongs to 2\)"):
        Method(encoder, objective, (adversary, main, rest(main)), cosine=True)


def test_two_phases_of_one_name(graph):
    encoder, objective, (adversary, main) = parts()
    twin = replace(adversary, name="main")
    with pytest.raises(ConfigError, match=r"different names .repeated: .'main'"):
        Method(encoder, objective, (twin, main), cosine=True)


def test_mf_is_light_gcn_without_layers_bit_for_bit(graph):
    batch = cases.toy_batch()
    losses = []
    for model, options in (("mf", {}), ("lightgcn", {"num_layers": 0})):
        method = find("infonce").method(model, **options)
        z = method.encoder(graph)
        loss = method.loss(z.user, z.item, batch)
        loss.backward()
        losses.append((z.user, z.item, loss, method.encoder.user.grad))
    assert all(torch.equal(a, b) for a, b in zip(*losses, strict=True))


def test_mf_refuses_layers(graph):
    with pytest.raises(ConfigError, match=r"num_layers must be 0 for mf \(got 2\)"):
        mf.build_mf(graph, find("bpr").build(), num_layers=2)
    assert len(mf.build_mf(graph, find("bpr").build(), num_layers=0).encoder.convs) == 0


def test_light_gcn_takes_its_options(graph):
    criterion = find("infonce").build()
    penalty = {"l2": 0.25, "l2_options": {"negatives": True}}
    method = lightgcn.build_lightgcn(
        graph, criterion, lr=0.5, **penalty, dim=3, num_layers=1, alpha=[0.5, 0.5]
    )
    assert tuple(method.encoder.user.shape) == (cases.NUM_USERS, 3)
    assert method.encoder.alpha == (0.5, 0.5)
    assert method.objective.weights == {"rec": 1.0, "l2": 0.25}
    assert method.objective.terms["l2"].negatives
    [main] = method.phases
    assert (main.name, main.optimizer([]).defaults["lr"]) == ("main", 0.5)
    assert method.loss is criterion


def test_two_layers_are_the_default(graph):
    method = lightgcn.build_lightgcn(graph, find("bpr").build())
    assert len(method.encoder.convs) == 2
    assert not method.cosine


def composed(**options):
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    return Method.compose(encoder, find("adv").build(), **options)


def test_terms_are_composed_in_order():
    more = {"svd": (0.5, TableL2()), "none": (0.0, TableL2()), "kl": (2.0, TableL2())}
    options = {"l2": 0.25, "l2_options": {"negatives": True}, "perturb": False}
    method = composed(terms=more, **options)
    terms = dict(method.objective.terms.items())
    assert list(terms) == ["rec", "l2", "svd", "kl"]
    weights = [method.objective.weights[name] for name in terms]
    assert weights == [1.0, 0.25, 0.5, 2.0]
    assert (terms["rec"].perturb, terms["l2"].negatives) == (False, True)
    assert [p.name for p in method.phases] == ["adversary", "main"]
    assert list(method.phases[1].objective.terms) == list(terms)


def test_another_penalty_takes_the_place_of_the_default_one():
    penalty = TableL2()
    method = composed(terms={"l2": (3.0, penalty)}, l2=0.25)
    assert list(method.objective.terms) == ["rec", "l2"]
    assert method.objective.terms["l2"] is penalty
    assert method.objective.weights["l2"] == 3.0


def test_a_method_without_a_loss_is_not_trained(graph):
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, DIM)
    method = Method.compose(encoder, None)
    assert (method.loss, method.phases, method.cosine) == (None, (), False)
    assert not any(p.requires_grad for p in method.parameters())
    user, _ = method.embed(graph)
    assert torch.equal(user, encoder(graph).user)


def test_without_a_penalty_there_is_no_such_term(graph):
    assert list(find("bpr").method(l2=0.0).objective.terms) == ["rec"]


def test_embeddings_score_as_their_dot_products(graph):
    method = find("infonce").method("lightgcn", graph)
    scorer, (z_user, z_item) = method.scorer(graph), method.embed(graph)
    user = torch.tensor([4, 0])
    torch.testing.assert_close(scorer.scores(user), z_user[user] @ z_item.T)


class Watched(LightGCN):
    """An encoder that has embeddings, but does not rank by them."""

    asked: tuple[bool, bool] | None = None

    def scores(self, user):
        self.asked = self.training, torch.is_grad_enabled()
        if len(user) > 1:
            raise RuntimeError("too many")
        return self.user[user] @ self.item.T


class Tables(nn.Module):
    """A plain module in place of an encoder."""

    def __init__(self):
        super().__init__()
        self.user = nn.Parameter(torch.eye(cases.NUM_USERS, DIM))
        self.item = nn.Parameter(torch.eye(cases.NUM_ITEMS, DIM))

    def forward(self, graph):
        return self.user, self.item


def test_a_plain_module_is_composed(graph):
    module = Tables()
    method = Method.compose(module, find("bpr").build())
    assert method.encode(graph).user is module.user
    assert method.encoder.device == torch.device("cpu")
    assert {id(p) for p in method.params_of(method.phases[0])} == {
        id(p) for p in module.parameters()
    }


@pytest.mark.parametrize("training", [False, True])
def test_an_encoder_with_scores_is_asked_as_it_is_encoded(graph, training):
    encoder = Watched(cases.NUM_USERS, cases.NUM_ITEMS, DIM).requires_grad_(False)
    method = untrained(encoder).train(training)
    scorer = method.scorer(graph)
    assert scorer.scores(torch.tensor([2])).shape == (1, cases.NUM_ITEMS)
    assert encoder.asked == (False, False)
    assert method.training == encoder.training == training
    with pytest.raises(RuntimeError, match="too many"):
        scorer.scores(torch.tensor([2, 3]))
    assert method.training == training
    assert torch.is_grad_enabled()


def test_embeddings_that_do_not_rank_are_not_handed_out(graph):
    encoder = Watched(cases.NUM_USERS, cases.NUM_ITEMS, DIM).requires_grad_(False)
    for method in (untrained(encoder), untrained(Popularity(graph))):
        with pytest.raises(ConfigError, match="ranks by scores: use another"):
            method.embed(graph)
    assert untrained(encoder).encode(graph).user.shape == (cases.NUM_USERS, DIM)


def test_a_method_without_a_loss(graph):
    method = untrained(Popularity(graph))
    assert method.loss is None
    assert method.negatives == "none"
    assert find("bpr").method().negatives == "sampled"
