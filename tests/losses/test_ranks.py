"""State of the losses in two processes, beside one process with both batches."""

import multiprocessing
from datetime import timedelta

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import as_encoder
from pyg_advinfonce.losses import AdvInfoNCE
from tests.cases import NUM_ITEMS, NUM_USERS, find, toy_batch, toy_graph, toy_tables

RANKS, STEPS = 2, 3
WARM = 1  # AdapTau's temperatures after the warm-up depend on the encoder as well


class Net(nn.Module):
    """Embeddings and a loss, which DDP wraps as one module."""

    def __init__(self, criterion):
        super().__init__()
        user, item = toy_tables(torch.float32)
        self.user, self.item = nn.Parameter(user), nn.Parameter(item)
        self.criterion = criterion

    def forward(self, batch):
        return self.criterion(self.user, self.item, batch)


def adversary_of_one_user():
    """Return a loss whose hardness is far from uniform for the last batch row only."""
    criterion = find("adv").build(max_kl=1e-3)
    with torch.no_grad():
        criterion.hardness.user.zero_()
        criterion.hardness.user[toy_batch(6).src_index[-1]] = 3.0
        criterion.hardness.item.copy_(torch.arange(1.0 * NUM_ITEMS).view(-1, 1))
    assert isinstance(criterion, AdvInfoNCE)
    return criterion


BUILD = {
    "adap-tau": lambda: find("adap-tau").build(warm_up_epochs=WARM),
    "sdro": lambda: find("sdro").build(eta=0.5, group_lr=0.5),
    "xir": lambda: find("xir").build(cache_size=8),
    "bc": lambda: find("bc").build(),
    "adv": lambda: find("adv").build(),
    "bound": adversary_of_one_user,
}


def rows(batch, chosen):
    return EdgeBatch(
        batch.src_index[chosen],
        batch.dst_pos_index[chosen],
        batch.dst_neg_index[chosen],
    )


def trained(name, rank=None, *, wrapped=True):
    """Return the state and gradients after some steps on a rank's rows, or on all."""
    torch.manual_seed(0)
    net = Net(BUILD[name]())
    module = DistributedDataParallel(net) if rank is not None and wrapped else net
    parts = {None: slice(None), 0: slice(0, 3), 1: slice(3, 6)}
    for step in range(STEPS):
        net.zero_grad()
        module(rows(toy_batch(6, seed=step and step + 10), parts[rank])).backward()
    if name == "adap-tau":
        encoder = as_encoder(find_encoder(net))
        net.criterion.on_epoch_start(encoder, toy_graph(), WARM)
    found = {key: value.clone() for key, value in net.state_dict().items()}
    return found | {f"grad {key}": p.grad for key, p in net.named_parameters()}


def find_encoder(net):
    """Return a module with the net's embeddings."""
    encoder = nn.Module()
    encoder.forward = lambda graph: (net.user, net.item)
    return encoder


def work(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=60),
    )
    found = {name: trained(name, rank) for name in BUILD}
    found["bare sdro"] = trained("sdro", rank, wrapped=False)
    torch.save(found, folder / f"{rank}.pt")
    distributed.barrier()  # a rank that leaves early makes the other one wait
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank ends with, by loss."""
    folder = tmp_path_factory.mktemp("ranks")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(r, folder)) for r in range(RANKS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()  # nothing if it has ended
        process.join()
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


def state(found, *names):
    return [found[f"criterion.{name}"] for name in names]


def test_temperatures_are_those_of_one_process(ranks):
    whole = trained("adap-tau")
    inverse, count = state(whole, "inverse_tau", "loss_count")
    assert inverse.unique().numel() > 3  # some users were seen, with several losses
    for found in ranks:
        torch.testing.assert_close(state(found["adap-tau"], "inverse_tau")[0], inverse)
        assert torch.equal(state(found["adap-tau"], "loss_count")[0], count)
    first, second = (state(found["adap-tau"], "inverse_tau", "base") for found in ranks)
    assert all(map(torch.equal, first, second))
    assert inverse.numel() == NUM_USERS


@pytest.mark.parametrize("name", ["sdro", "bare sdro"])
def test_weights_of_groups_are_those_of_one_process(ranks, name):
    names = "log_weight", "group_loss"
    whole = state(trained("sdro"), *names)
    found = [state(rank[name], *names) for rank in ranks]
    for rank in found:
        torch.testing.assert_close(rank, whole)
    assert all(map(torch.equal, *found))


def test_draws_of_both_ranks_are_counted(ranks):
    first, second = (state(found["xir"], "occurrence")[0] for found in ranks)
    assert torch.equal(first, second)
    assert first.sum() == NUM_ITEMS + STEPS * 6 * 8  # rows, draws per row


def test_one_rank_s_batch_ends_the_adversary_of_both(ranks):
    first, second = (state(found["bound"], "bound.exceeded")[0] for found in ranks)
    assert first
    assert second


@pytest.mark.parametrize("name", ["bc", "adv"])
def test_gradients_of_a_loss_s_tables_are_averaged(ranks, name):
    whole = trained(name)
    tables = [key for key in whole if key.startswith("grad criterion.")]
    assert len(tables) == 2
    for found in ranks:
        for key in tables:
            torch.testing.assert_close(found[name][key], whole[key])
