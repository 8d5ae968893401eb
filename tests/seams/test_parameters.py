"""Parameters that no optimiser moves, or one at another rate than the encoder's."""

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from pyg_advinfonce.build import assemble
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import evaluate
from pyg_advinfonce.functional import align, info_nce
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion, batch_scores
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Term
from tests import cases
from tests.cases import DIM
from tests.seams.projected_directau import with_group

TABLE = torch.randn(cases.NUM_ITEMS, DIM, generator=torch.Generator().manual_seed(0))


class Pretrained(nn.Module):
    """Users' table, and a projection of items' frozen one."""

    def __init__(self, graph, dim=64):
        super().__init__()
        self.user = nn.Embedding(num_nodes(graph)[0], dim)
        self.item = nn.Embedding.from_pretrained(TABLE.clone(), freeze=True)
        self.project = nn.Linear(dim, dim)

    def forward(self, graph):
        return self.user.weight, self.project(self.item.weight)


def test_a_frozen_table_stays_while_the_rest_learns(configure, dataset, goes_on):
    config = configure("tests.seams.test_parameters:Pretrained")
    custom = {"model": Pretrained}
    before = assemble(config, dataset, device="cpu", **custom).method.state_dict()
    after = goes_on(config, lambda: custom).method.state_dict()
    moved = {
        name.split(".", 2)[-1] for name in before if (before[name] != after[name]).any()
    }
    assert moved == {"user.weight", "project.weight", "project.bias"}
    assert torch.equal(after["encoder.module.item.weight"], TABLE)


class Teacher(Term):
    """Align the encoder with an average of what it has been."""

    def __init__(self, encoder, keep=0.9):
        super().__init__()
        self.teacher, self.keep = deepcopy(encoder).requires_grad_(False), keep

    def forward(self, step):
        with torch.no_grad():
            pairs = zip(
                self.teacher.parameters(), step.encoder.parameters(), strict=True
            )
            for old, new in pairs:
                old.lerp_(new, 1 - self.keep)
        z, batch = step.embeddings, step.batch
        seen = self.teacher(step.graph)
        users = align(z.user[batch.src_index], seen.user[batch.src_index])
        items = align(z.item[batch.dst_pos_index], seen.item[batch.dst_pos_index])
        return users + items


def build_taught(graph, loss, *, dim=64, lr=1e-3, l2=1e-5):
    encoder = LightGCN(*num_nodes(graph), dim)
    terms = {"teacher": (0.5, Teacher(encoder))}
    return Method.compose(encoder, loss, terms=terms, lr=lr, l2=l2)


def test_a_teacher_is_the_moving_average_of_its_student(configure, dataset, goes_on):
    config = configure("tests.seams.test_parameters:build_taught")
    trainer = assemble(
        config.updated({"train": {"epochs": 1}}),
        dataset,
        device="cpu",
        model=build_taught,
    )
    term, encoder = trainer.method.objective.terms["teacher"], trainer.method.encoder
    expected, seen = [p.detach().clone() for p in encoder.parameters()], []
    term.register_forward_pre_hook(
        lambda *_: seen.append([p.detach().clone() for p in encoder.parameters()])
    )
    trainer.fit()
    assert len(seen) == len(trainer.sampler) > 3
    for student in seen:
        expected = [0.9 * t + 0.1 * s for t, s in zip(expected, student, strict=True)]
    assert not torch.equal(seen[0][0], seen[-1][0])
    torch.testing.assert_close(
        [p.detach() for p in term.teacher.parameters()], expected
    )
    ((_, optimizer),) = trainer.phases  # its state lists the parameters with a gradient
    assert not any(p in optimizer.state for p in term.teacher.parameters())
    goes_on(config, lambda: {"model": build_taught})


class LearnedTau(Criterion):
    """InfoNCE that learns its temperature."""

    def __init__(self, tau=0.2, tau_lr=1e-2):
        super().__init__()
        self.log_tau, self.tau_lr = nn.Parameter(torch.tensor(math.log(tau))), tau_lr

    def forward(self, z_user, z_item, batch):
        return info_nce(*batch_scores(z_user, z_item, batch, tau=self.log_tau.exp()))

    def phases(self, main):
        return (with_group(main, [self.log_tau], self.tau_lr),)


def test_a_learned_temperature_moves_at_its_own_rate(configure, dataset, goes_on):
    name, loss = "tests.seams.test_parameters:LearnedTau", {"loss": LearnedTau}
    config = configure("lightgcn", name, loss={"tau_lr": 0.5})  # of lr 0.05
    one_step = {"epochs": 1, "batch_size": len(cases.TRAIN)}
    before, after = (
        assemble(config.updated({"train": one_step}), dataset, device="cpu", **loss)
        for _ in range(2)
    )
    after.fit()
    moved = (
        (new - old).abs().max().item()
        for old, new in zip(
            before.method.parameters(), after.method.parameters(), strict=True
        )
    )
    assert list(moved) == pytest.approx([0.05, 0.05, 0.5], rel=0.01)
    result = goes_on(config, lambda: loss)
    ranked = evaluate(result.method, result.graph, Evaluator(result.graph))
    result.method.loss.log_tau.detach().fill_(3.0)
    assert evaluate(result.method, result.graph, Evaluator(result.graph)) == ranked
