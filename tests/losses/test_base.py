"""The rows that are scored in place of the negatives'."""

import copy
import pickle
import warnings
from dataclasses import replace

import pytest
import torch

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import TrainingLoopWarning
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.functional import unit_rows, unit_tables
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.losses import BC, AdapTau, InvCF, batch_scores
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Step
from pyg_advinfonce.training import Trainer
from tests import cases
from tests.cases import CASES, CRITERIA, DIM, NUM_ITEMS, toy_batch


def reads_layer_0(case):
    """Whether a loss reads what of a mixed negative is not known."""
    hardness = getattr(case.build(), "hardness", None)
    return getattr(hardness, "input", None) == "ego"


def is_sampled(case):
    return case.build().negatives == "sampled" and case.loss != "invcf"


every_scorer = pytest.mark.parametrize(
    "case",
    [c for c in CRITERIA if is_sampled(c) and not reads_layer_0(c)],
    ids=lambda case: case.id,
)


def toy_rows(batch, dtype=torch.float64, seed=5):
    """Return rows of a batch's own that want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    shape = (*batch.dst_neg_index.shape, DIM)
    rows = torch.randn(shape, generator=generator, dtype=torch.float64)
    return rows.to(dtype).requires_grad_()


def widened(batch):
    """Return the batch for a table of items that has its rows below the items'."""
    number = batch.dst_neg_index.numel()
    below = NUM_ITEMS + torch.arange(number).view_as(batch.dst_neg_index)
    ids = torch.cat([torch.arange(NUM_ITEMS), batch.neg_id.view(-1)])
    return replace(batch, dst_neg_index=below, dst_n_id=ids)


@every_scorer
def test_rows_are_scored_as_the_naive_formula_scores_items(case):
    criterion, batch = case.build().double(), toy_batch()
    z_user, z_item = cases.toy_tables()
    rows = toy_rows(batch)
    torch.manual_seed(0)
    table = torch.cat([z_item, rows.view(-1, DIM)])
    expected = case.naive(criterion, z_user, table, widened(batch))
    torch.manual_seed(0)
    loss = criterion(z_user, z_item, replace(batch, neg_rows=rows))
    tolerance = 1e-6 if case.loss == "rand" else 1e-9
    torch.testing.assert_close(loss, expected, rtol=tolerance, atol=1e-12)
    leaves = (z_user, z_item, rows, *criterion.parameters())
    found = torch.autograd.grad(loss, leaves)
    wanted = torch.autograd.grad(expected, leaves)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=10 * tolerance, atol=tolerance)
    assert found[2].abs().sum(-1).any()


@every_scorer
@pytest.mark.parametrize("more", ["nothing", "a mask", "a log rate"])
def test_items_own_rows_change_nothing(case, more):
    batch, tables = toy_batch(8, 5), cases.toy_tables()
    if more == "a mask":
        mask = torch.ones(8, 5, dtype=torch.bool)
        mask[:, 1] = mask[2, 3] = False
        batch = replace(batch, neg_mask=mask)
    if more == "a log rate":
        batch = replace(batch, neg_log_q=torch.randn(8, 5).double())
    rows = tables[1][batch.dst_neg_index]
    losses = []
    for given in (batch, replace(batch, neg_rows=rows)):
        torch.manual_seed(0)
        losses.append(case.build().double()(*tables, given))
    torch.testing.assert_close(*losses)


@every_scorer
def test_a_masked_row_gets_no_gradient(case):
    batch = toy_batch()
    mask = torch.ones(batch.dst_neg_index.shape, dtype=torch.bool)
    mask[1, 2] = False
    rows = toy_rows(batch)
    given = replace(batch, neg_rows=rows, neg_mask=mask)
    case.build().double()(*cases.toy_tables(), given).backward()
    assert not rows.grad[1, 2].any()
    assert rows.grad[mask].any()


@pytest.mark.parametrize("cosine", [True, False])
def test_scores_of_rows_in_half_precision_are_single(cosine):
    batch = toy_batch()
    tables = cases.toy_tables(torch.bfloat16)
    given = replace(batch, neg_rows=toy_rows(batch, torch.bfloat16))
    _, neg = batch_scores(*tables, given, cosine=cosine)
    assert neg.dtype == torch.float32


def test_rows_of_another_width_are_refused():
    batch = toy_batch()
    given = replace(batch, neg_rows=torch.zeros(5, 4, DIM + 1))
    with pytest.raises(ValueError, match=rf"neg_rows must be \[B, K, {DIM}\]"):
        batch_scores(*cases.toy_tables(torch.float32), given)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if not is_sampled(c) or reads_layer_0(c)],
    ids=lambda case: case.id,
)
def test_who_cannot_score_rows_refuses_them(case, graph):
    method, batch = case.method(graph=graph), toy_batch()
    given = replace(batch, neg_rows=toy_rows(batch, torch.float32))
    message = "does not score the batch's negatives one by one|needs layer-0 rows"
    with pytest.raises(ValueError, match=message):
        method.loss.on_step(Step(method.encoder, graph, given, 0, 0))


def test_a_batch_of_rows_is_one_of_ids_too():
    batch = toy_batch()
    given = replace(batch, neg_rows=toy_rows(batch))
    known = torch.stack([batch.user_id[:1], batch.neg_id[0, :1]])
    masked = given.mask_pairs(known)
    assert isinstance(masked, EdgeBatch)
    assert masked.neg_rows is given.neg_rows
    assert not masked.neg_mask[0, 0]


WATCHED = ["adap-tau", "bc"]


def step(criterion, tables, *, times=1):
    """Do a plain loop's part with the loss: 24 positives per step, as many as pairs."""
    for _ in range(times):
        criterion(*tables, toy_batch(24)).backward()


def plain(name):
    """Return a loss built from the toy graph and tables."""
    return cases.find(name).build(), cases.toy_tables(torch.float32)


@pytest.mark.parametrize("name", WATCHED)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_loop_that_never_updates_a_loss_is_told_once(name, copied):
    criterion, tables = plain(name)
    step(criterion, tables, times=9)
    criterion = copied(criterion)
    with pytest.warns(TrainingLoopWarning, match=r"see docs/guides/pyg_model\.md"):
        step(criterion, tables)
    step(criterion, tables, times=20)


def test_tables_of_the_encoder_s_losses_are_watched_too(graph):
    criterion = InvCF.from_graph(graph, dim=DIM)
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, dim=DIM)

    def losses(times):
        for epoch in range(times):
            criterion(Step(encoder, graph, toy_batch(24), epoch, 0)).backward()

    losses(9)
    with pytest.warns(TrainingLoopWarning, match="InvCF's popularity tables"):
        losses(1)


def test_without_a_graph_many_positives_per_user_are_told():
    criterion, tables = AdapTau(cases.NUM_USERS), cases.toy_tables(torch.float32)
    wide = toy_batch(24).src_index.repeat(125)  # 3000 positives
    batch = EdgeBatch(wide, wide, wide.view(-1, 1))
    for _ in range(2):
        criterion(*tables, batch)
    with pytest.warns(TrainingLoopWarning):
        criterion(*tables, batch)


def test_tables_of_a_loss_are_where_it_is_watched():
    """A move to another type is no training."""
    criterion, tables = plain("bc")
    step(criterion, tables, times=9)
    with pytest.warns(TrainingLoopWarning, match="BC's popularity tables"):
        step(criterion.double(), tables)


@pytest.mark.parametrize("name", WATCHED)
def test_calls_without_training_are_not_counted(name):
    criterion, tables = plain(name)
    with torch.no_grad():
        for _ in range(20):
            criterion(*tables, toy_batch(24))
    step(criterion.eval(), tables, times=20)


def test_a_call_of_the_hook_is_enough():
    criterion, tables = plain("adap-tau")
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, dim=DIM)
    step(criterion, tables, times=9)  # e.g. a loop that calls it after each epoch
    criterion.on_epoch_start(encoder, cases.toy_graph(), 1)
    step(criterion, tables, times=20)


@pytest.mark.parametrize("how", ["trained", "loaded", "frozen", "never"])
def test_tables_that_change_or_are_not_to_change(how):
    criterion, tables = plain("bc")
    if how == "never":
        criterion.freeze_epoch = 0
    elif how == "frozen":
        criterion.requires_grad_(False)
    elif how == "trained":
        optimizer = torch.optim.Adam(criterion.parameters())
        step(criterion, tables)
        optimizer.step()
    else:
        state = {k: v + 1 for k, v in criterion.state_dict().items()}
        criterion.load_state_dict(state)
    step(criterion, tables, times=20)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (AdapTau, {}),
        (BC, {"dim": DIM}),
        (BC, {"dim": DIM, "freeze_epoch": 0}),
        (BC, {"dim": DIM, "freeze_epoch": 14}),
        (InvCF, {"dim": DIM}),
    ],
)
def test_the_trainer_is_told_nothing(graph, kind, options):
    encoder = LightGCN(cases.NUM_USERS, cases.NUM_ITEMS, dim=DIM)
    method = Method.compose(encoder, kind.from_graph(graph, **options))
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=2)
    trainer = Trainer(method, graph, sampler, Evaluator(graph), epochs=16)
    trainer.fit()  # a warning would be an error
    assert len(trainer.history) == 16


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # by dynamo
@pytest.mark.parametrize("name", WATCHED)
def test_a_watched_loss_is_not_compiled_anew(name):
    torch.compiler.reset()
    criterion, tables = plain(name)
    compiled_parts = []

    def backend(module, inputs):
        compiled_parts.append(module)
        return module.forward

    compiled = torch.compile(criterion, backend=backend)
    compiled(*tables, toy_batch(24))
    number = len(compiled_parts)
    assert number > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingLoopWarning)  # parts may run eagerly
        for _ in range(20):
            compiled(*tables, toy_batch(24))
    assert len(compiled_parts) == number


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_rows_that_are_read_are_normalised(monkeypatch, dtype):
    """Scores and gradients are those of a normalised table."""
    generator = torch.Generator().manual_seed(0)
    z = [torch.randn(n, 5, generator=generator, dtype=dtype) for n in (6, 200)]
    z = [x.requires_grad_() for x in z]
    user = torch.tensor([0, 5, 5])
    item = torch.randint(200, (3, 8), generator=generator)
    batch = EdgeBatch(user, item[:, 0], item[:, 1:])
    sizes, whole = [], unit_rows(z[1])
    monkeypatch.setattr(
        "pyg_advinfonce.losses.base.unit_tables",
        lambda *x: (sizes.extend(map(len, x)), unit_tables(*x))[1],
    )
    pos, neg = batch_scores(*z, batch, tau=0.5)
    assert sizes == [3, item.unique().numel()]
    own = unit_rows(z[0][user]) / 0.5
    torch.testing.assert_close(pos, (own * whole[item[:, 0]]).sum(-1))
    expected = (own.unsqueeze(1) * whole[item[:, 1:]]).sum(-1)
    torch.testing.assert_close(neg, expected)
    found = torch.autograd.grad(pos.sum() + neg.square().sum(), z)
    wanted = torch.autograd.grad(
        (own * whole[item[:, 0]]).sum() + expected.square().sum(), z
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("wrong", [-1, 200])
def test_a_row_that_does_not_exist_is_an_error_in_a_large_table(wrong):
    batch = EdgeBatch(*torch.zeros(2, 1).long(), torch.tensor([[3, wrong]]))
    with pytest.raises(IndexError):
        batch_scores(torch.ones(1, 2), torch.ones(200, 2), batch)


@pytest.mark.parametrize("cosine", [False, True])
def test_a_negative_outside_the_items_is_named_as_the_batch_does(cosine):
    batch = EdgeBatch(*torch.zeros(2, 1).long(), torch.tensor([[3, 10]]))
    said = r"dst_neg_index.* must hold rows of .*, 0 to 9 \(got .*10\)"
    with pytest.raises(IndexError, match=said):
        batch_scores(torch.ones(1, 2), torch.ones(10, 2), batch, cosine=cosine)
