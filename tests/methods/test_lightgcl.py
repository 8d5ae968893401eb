import pytest
import torch

from pyg_advinfonce.experiment import train
from pyg_advinfonce.runs import load_run
from pyg_advinfonce.terms import svd_contrast
from tests import cases, method_cases
from tests.seams.conftest import configure, dataset, goes_on  # noqa: F401

MODEL = {"rank": 3, "message_drop": 0.3, "weight": 0.2, "tau": 0.2}
FACTORS = ("user", "scale", "item")


def factors(method):
    return [method.get_buffer(f"objective.terms.svd.{name}") for name in FACTORS]


@pytest.fixture
def computed(monkeypatch):
    """Count how often factors are computed."""
    seen, compute = [], svd_contrast._truncated_svd
    monkeypatch.setattr(
        svd_contrast, "_truncated_svd", lambda *given: seen.append(1) or compute(*given)
    )
    return seen


@pytest.mark.parametrize("loss", ["bpr", "adv"])
def test_a_training_goes_on_with_its_factors(configure, goes_on, computed, loss):  # noqa: F811
    result = goes_on(configure("lightgcl", loss, model=MODEL), dict)
    assert len(computed) == 2  # one of the whole training, one of that in parts
    first, *_, last = (record.losses for record in result.history)
    assert last["main/svd"] < first["main/svd"]
    assert last["main/rec"] < first["main/rec"]


def test_a_loaded_run_has_its_factors(configure, dataset, tmp_path, computed):  # noqa: F811
    config = configure("lightgcl", model=MODEL, train={"epochs": 2})
    trained = train(config, dataset, out=tmp_path / "run")
    loaded = load_run(tmp_path / "run", data=dataset)
    assert len(computed) == 1
    assert factors(loaded.method)[1].all()
    pairs = zip(factors(trained.method), factors(loaded.method), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_seed_decides_the_training(configure, dataset):  # noqa: F811
    def run(seed):
        config = configure("lightgcl", model=MODEL, train={"epochs": 2, "seed": seed})
        return train(config, dataset)

    first, second, other = run(0), run(0), run(1)
    assert [r.losses for r in first.history] == [r.losses for r in second.history]
    pairs = list(zip(factors(first.method), factors(second.method), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert first.history[0].losses != other.history[0].losses


def test_losses_start_from_the_same_tables_and_factors(configure, dataset):  # noqa: F811
    def start(loss, model="lightgcl"):
        options = {"rank": 3} if model == "lightgcl" else {}
        config = configure(model, loss, model=options, train={"epochs": 1, "lr": 1e-12})
        return train(config, dataset).method

    first, second, plain = start("bpr"), start("adv"), start("bpr", "lightgcn")
    for method in (second, plain):
        torch.testing.assert_close(first.encoder.user, method.encoder.user)
    pairs = zip(factors(first), factors(second), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_what_ranks_is_the_sum_of_layers_without_dropout(graph):
    method = cases.find("bpr").method("lightgcl", graph, message_drop=0.4).double()
    layers = method_cases.layers_of(method, graph, method_cases.matrices(method, graph))
    wanted = method_cases.halves(graph, sum(layers))
    for found, rows in zip(method.embed(graph), wanted, strict=True):
        torch.testing.assert_close(found, rows, rtol=1e-6, atol=1e-7)


def test_every_layer_has_dropout_of_its_own_and_their_mean_is_without(graph):
    """A mask that two layers share would make the mean of layer 3 too large."""
    options = {"num_layers": 3, "message_drop": 0.5}
    method = cases.find("bpr").method("lightgcl", graph, **options).double()
    torch.manual_seed(0)
    with torch.no_grad():
        passes = [method.encoder(graph, perturb=True) for _ in range(4000)]
    drawn = torch.stack([torch.cat([z.user, z.item]) for z in passes])
    error = drawn.std(0) / len(drawn) ** 0.5
    away = (drawn.mean(0) - torch.cat(method.embed(graph))).abs()
    assert (error > 0).any()
    assert (away <= 4.5 * error + 1e-9).all()
