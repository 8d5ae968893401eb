"""Training in several processes is the training of one: numbers, files, refusals."""

import json
import signal

import pytest
import torch

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training import columns, read_state, read_tensors
from pyg_advinfonce.training.columns import AgreedStop
from tests import processes
from tests.cases import HAS_SAMPLER, NUM_USERS, PAIRS

WORKER = processes.ROOT / "tests" / "column_worker.py"
SIZES = (2, 3)

REFUSED = {"vgae", "autocf"}
EVERY = [f"{m}+{case.loss}" for m, case in PAIRS if m not in REFUSED]

# Together they use everything that sums over columns.
SOME = (
    *("lightgcn+adv", "mf+adv-mlp", "lightgcn+bc", "mf+hdccf", "lightgcn+xir"),
    *("lightgcn+invcf", "mf+directau", "ultragcn+bce", "ncl+infonce", "xsimgcl+bpr"),
    *("lightgcl+infonce", "sgl+bpr", "mf+adap-tau"),
)


def results(folder, name, sizes, *words):
    """Run a function of the worker in 1, 2, ... processes at once."""
    files = {size: folder / f"{name}-{size}.pt" for size in sizes}
    started = {s: processes.start(s, WORKER, name, f, *words) for s, f in files.items()}
    ended = processes.wait([p for every in started.values() for p in every])
    assert all(code == 0 for code, _, _ in ended), ended
    return {size: torch.load(file) for size, file in files.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    return results(folder, "trained", (1, *SIZES), *SOME)


def largest(found, wanted):
    """Return the largest difference, relative to the largest number."""
    scale = max(float(x.abs().max()) for x in wanted.values())
    return max(float((found[n] - wanted[n]).abs().max()) for n in wanted) / scale


def check(found, wanted):
    (losses, metrics), (gradients, values) = found
    terms, expected = wanted[0]
    assert len(losses) == len(terms) >= 6
    for one, other in zip(losses, terms, strict=True):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-300)
    assert metrics == expected
    grads, after = wanted[1]
    assert gradients.keys() == grads.keys()
    assert all(float(g.abs().max()) > 0 for g in grads.values())
    for phase in {phase for phase, _ in grads}:
        own, other = (
            {n: g for n, g in x.items() if n[0] == phase} for x in (gradients, grads)
        )
        assert largest(own, other) < 1e-10
    assert largest(values, after) < 1e-10


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pair", SOME)
def test_trains_as_one_process(trained, pair, size):
    check(trained[size][pair], trained[1][pair])


@pytest.mark.every_pair
def test_every_pair_trains_as_one_process(tmp_path):
    found = results(tmp_path, "trained", (1, *SIZES), *EVERY)
    for size in SIZES:
        for pair in EVERY:
            check(found[size][pair], found[1][pair])


@pytest.mark.parametrize("kind", ["total", "norm"])
def test_the_other_backward_pass_is_found(trained, tmp_path, kind):
    found = results(tmp_path, "mutant", [2], kind, "lightgcn+adv")[2]
    wanted = trained[1]["lightgcn+adv"][1]
    assert largest(found[0], wanted[0]) > 0.01


def test_sums_the_stated_bytes_whatever_the_width(tmp_path):
    narrow, wide = (
        results(tmp_path, "summed", [2], "lightgcn+adv", dim)[2] for dim in (6, 24)
    )
    assert narrow == wide
    size, negatives, double = 10, 4, 8
    scores = size * (1 + negatives) + size * negatives  # and those of the hardness
    norm = 2  # the gradients' norm and the signals
    bytes_summed, exchanges, read = narrow["main"]
    assert exchanges == 6
    penalty = 2  # of users and of positives
    norms = 2 * (size + read)  # forward and backward
    assert bytes_summed == double * (scores + norms + penalty + norm)
    bytes_summed, exchanges, read = narrow["adversary"]  # its embeddings are constant
    assert exchanges == 4
    assert bytes_summed == double * (scores + size + read + norm)


REFUSALS = {
    "vgae+infonce": "model 'vgae' cannot be divided by columns",
    "autocf+autocf model.dim=8": "model 'autocf' cannot be divided by columns",
    "ease+none": "model 'ease' cannot be divided by columns",
    "lightgcn+adv train.loader=neighbor": "set train.loader 'full' (got 'neighbor')",
    "mf+bpr model.dim=1": "needs a column of every table (got one of 1)",
    "sgl+bpr train.batch_size=24": "a contrast with all nodes would sum 504 scores",
    "mf+infonce train.num_negatives=all": "would sum 120 scores per step",
    "mf+bpr train.cuda_graph=true": "captures the steps of one process",
}


def test_refuses_what_cannot_be_divided(tmp_path):
    cases = [case for case in REFUSALS if HAS_SAMPLER or "neighbor" not in case]
    found = results(tmp_path, "refusals", [2], 100, *cases)[2]
    assert list(found) == cases
    for case, (kind, message) in found.items():
        assert kind == "ConfigError"
        assert REFUSALS[case] in message, case
        assert "one process" in message or "set " in message or "fewer" in message


@pytest.mark.parametrize("large", ["", "large"])
def test_the_state_of_two_processes_goes_on_in_one_and_in_three(tmp_path, large):
    plain, moved = tmp_path / "plain", tmp_path / "moved"
    results(tmp_path, "until", [1], plain, 99)
    ends = [
        results(tmp_path, "until", [size], moved, epoch, large)[size]
        for size, epoch in ((2, 1), (3, 2), (1, 3), (3, 99))
    ]
    assert ends == ["stopped", "stopped", "stopped", "finished"]
    shards = {"state-6"} if large else set()
    names = {f.name for f in plain.iterdir()} | shards
    assert {f.name for f in moved.iterdir()} == names
    tensors, about = read_tensors(moved / "state.safetensors")
    assert ("method/encoder.user" in tensors) is not bool(large)
    assert about.get("shards") == ({"folder": "state-6", "size": 3} if large else None)
    if large:
        state, _ = read_state(moved / "state.safetensors")
        whole, _ = read_state(plain / "state.safetensors")
        assert state.tensors.keys() == whole.tensors.keys()
        assert largest(state.tensors, whole.tensors) < 1e-12
        (moved / "state-6" / "1.safetensors").unlink()
        with pytest.raises(CheckpointError, match=r"1\.safetensors"):
            read_state(moved / "state.safetensors")
    lines = [(f / "history.jsonl").read_text().splitlines() for f in (plain, moved)]
    assert [json.loads(line)["epoch"] for line in lines[1]] == list(range(6))
    one, other = (json.loads((f / "metrics.json").read_text()) for f in (plain, moved))
    assert one["metrics"] == other["metrics"]
    weights = [read_tensors(f / "weights.safetensors")[0] for f in (plain, moved)]
    assert weights[0].keys() == weights[1].keys()
    assert largest(weights[1], weights[0]) < 1e-12


FAULTS = {
    "nan": "NonFiniteLossError: loss or gradient became NaN or infinite",
    "seed": "ConfigError: expected the same settings and data on all 2 processes",
    "batch": "ConfigError: expected the same batches on all 2 processes",
    "disk": "OSError: [Errno 28] No space left on device",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_goes_wrong_in_one_process_ends_all(tmp_path, kind):
    out = tmp_path / "run"
    started = processes.start(2, WORKER, "failing", tmp_path / "found.pt", out, kind)
    ended = processes.wait(started, seconds=60)
    assert all(code == 1 for code, _, _ in ended)
    assert FAULTS[kind] in ended[0][2]
    if kind != "disk":  # there the other process only finds that one has gone
        assert FAULTS[kind] in ended[1][2]
    if kind != "seed":  # the state of the last whole epoch, with whole tables
        tensors, about = read_tensors(out / "state.safetensors")
        assert len(about["history"]) == (1 if kind == "disk" else 2)
        assert tensors["method/encoder.user"].shape == (NUM_USERS, 13)
        assert tensors["method/encoder.user"].isfinite().all() or kind == "nan"


def test_a_signal_waits_for_the_end_of_the_block(monkeypatch):
    monkeypatch.setattr(columns, "dividing", object)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        stop = AgreedStop().__enter__()
        signal.raise_signal(signal.SIGTERM)  # the step goes on
        with pytest.raises(KeyboardInterrupt):
            stop.__exit__(None, None, None)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_process_in_the_background_goes_on_to_ignore_ctrl_c(monkeypatch):
    monkeypatch.setattr(columns, "dividing", object)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with AgreedStop():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
