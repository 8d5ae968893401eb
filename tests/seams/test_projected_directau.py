import torch

from pyg_advinfonce.build import assemble
from pyg_advinfonce.experiment import train
from pyg_advinfonce.losses import DirectAU
from pyg_advinfonce.objective import Step
from pyg_advinfonce.training import seed_everything
from tests import cases
from tests.seams.projected_directau import ProjectedDirectAU

OPTIONS = {"loss": {"projector_lr": 0.3}}
LOSS = {"loss": ProjectedDirectAU}
NAME = "tests.seams.projected_directau:ProjectedDirectAU"


def test_it_is_directau_of_projected_rows():
    loss, batch = ProjectedDirectAU(2.0, dim=cases.DIM).double(), cases.toy_batch()
    tables = cases.toy_tables()
    projected = [x @ loss.projector.weight.t() + loss.projector.bias for x in tables]
    expected = DirectAU(2.0)(*projected, batch)
    torch.testing.assert_close(loss(*tables, batch), expected)


def test_a_step_is_adams_by_each_groups_own_rate(configure, dataset):
    one_step = {"epochs": 1, "batch_size": len(cases.TRAIN), "l2": 0.0}
    config = configure("lightgcn", NAME, train=one_step, **OPTIONS)
    trainer = assemble(config, dataset, device="cpu", **LOSS)
    params = dict(trainer.method.named_parameters())
    before = {name: p.detach().clone() for name, p in params.items()}
    seed_everything(trainer.seed, 0, 0)
    ((graph, batch),) = trainer.sampler
    step = Step(trainer.method.encoder, graph, batch, 0, 0)
    loss = trainer.method.loss.on_step(step)
    grads = torch.autograd.grad(loss, list(params.values()))
    trainer.fit()
    for (name, p), g in zip(params.items(), grads, strict=True):
        lr = 0.3 if "projector" in name else 0.05
        expected = before[name] - lr * g / (g.abs() + 1e-8)  # Adam's first step
        torch.testing.assert_close(p.detach(), expected, rtol=1e-4, atol=1e-4)


def test_it_goes_on_to_the_bit(configure, goes_on):
    result = goes_on(configure("lightgcn", NAME, **OPTIONS), lambda: LOSS)
    first, *_, last = (record.losses["main/rec"] for record in result.history)
    assert last < first


def test_what_ranks_is_not_projected(configure, dataset):
    config = configure("sgl", NAME, train={"epochs": 1}, **OPTIONS)
    result = train(config, dataset, device="cpu", **LOSS)
    z = result.method.encode(result.graph)
    ranked = result.method.embed(result.graph)
    assert all(map(torch.equal, ranked, (z.user, z.item)))
