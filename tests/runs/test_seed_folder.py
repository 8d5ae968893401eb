import json
from types import SimpleNamespace

import pytest
import torch

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, NonFiniteLossError
from pyg_advinfonce.experiment import train
from pyg_advinfonce.losses import InfoNCE
from pyg_advinfonce.runs import STATE
from pyg_advinfonce.runs.seed_folder import BAD_BATCH
from pyg_advinfonce.training import Callback, read_state, read_tensors

TOY = {
    "model": {"dim": 4},
    "loss": {"adversary_every": 2, "adversary_first": 1},
    "train": {"batch_size": 4, "epochs": 6, "eval_every": 2, "num_negatives": 3},
}


@pytest.fixture
def dataset(graph):
    """The toy graph as a data set."""
    return SimpleNamespace(graph=graph, fingerprint="toy", summary=dict)


def configure(**sections):
    return Config.resolve("mf", "adv", "toy", layers=[TOY, sections])


class Stop(Callback):
    """Raises at an epoch's end."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch, self.error = epoch, error

    def on_epoch_end(self, trainer, record):
        if record.epoch == self.epoch:
            raise self.error


def interrupted(dataset, folder, *, after=3, config=None):
    with pytest.raises(KeyboardInterrupt):
        train(config or configure(), dataset, out=folder, callbacks=[Stop(after)])


def history(folder):
    lines = folder.joinpath("history.jsonl").read_text("utf-8").splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


@pytest.mark.parametrize("number", [3, "all"])
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    dataset, tmp_path, number
):
    config = configure(train={"num_negatives": number})
    whole = train(config, dataset, out=tmp_path / "whole")
    interrupted(dataset, tmp_path / "again", config=config)
    assert not (tmp_path / "again" / "metrics.json").exists()
    again = train(config, dataset, out=tmp_path / "again", resume=True)
    assert (again.metrics, again.best_epoch) == (whole.metrics, whole.best_epoch)
    for name, value in whole.method.state_dict().items():
        assert torch.equal(again.method.state_dict()[name], value)
    assert history(tmp_path / "again") == history(tmp_path / "whole")
    assert len(history(tmp_path / "whole")) == 6


def test_the_epoch_that_was_cut_off_is_forgotten(dataset, tmp_path):
    interrupted(dataset, tmp_path, after=3)  # while epoch 3 is finished off
    state, run = read_state(tmp_path / STATE)
    assert len(state.about["history"]) == 3
    assert run.data == "toy"
    assert run.settings == configure().flat()


def test_without_a_state_it_begins(dataset, tmp_path):
    interrupted(dataset, tmp_path, after=0)
    assert not (tmp_path / STATE).exists()
    found = train(configure(), dataset, out=tmp_path, resume=True)
    assert len(found.history) == 6


def test_without_resume_it_begins_anew(dataset, tmp_path):
    interrupted(dataset, tmp_path)
    assert (tmp_path / STATE).exists()
    interrupted(dataset, tmp_path, after=0)
    assert not (tmp_path / STATE).exists()


def test_a_new_training_leaves_nothing_of_the_old_one(dataset, tmp_path):
    train(configure(), dataset, out=tmp_path)
    (tmp_path / f".{STATE}.123").touch()  # what a kill has left
    interrupted(dataset, tmp_path, after=0, config=configure(train={"lr": 0.5}))
    assert {file.name for file in tmp_path.iterdir()} == {
        *("config.toml", "history.jsonl", "run.json"),
    }


def test_a_custom_loss_goes_on_with_itself_alone(dataset, tmp_path):
    def begin(**options):
        config = Config.resolve("mf", data="toy", layers=[TOY | {"loss": {}}])
        return train(config, dataset, out=tmp_path, **options)

    with pytest.raises(KeyboardInterrupt):
        begin(loss=InfoNCE(), callbacks=[Stop(2)])
    with pytest.raises(CheckpointError, match=r"loss.name .*:InfoNCE -> adv"):
        begin(resume=True)
    assert len(begin(loss=InfoNCE(), resume=True).history) == 6


@pytest.mark.parametrize("epochs", [2, 3])
def test_an_end_that_has_passed_is_refused(dataset, tmp_path, epochs):
    interrupted(dataset, tmp_path, after=3)
    config = configure(train={"epochs": epochs})
    with pytest.raises(CheckpointError, match="has trained 3 epochs already"):
        train(config, dataset, out=tmp_path, resume=True, force=True)


def test_a_finished_run_may_be_trained_longer(dataset, tmp_path):
    longer = {"train": {"epochs": 10}}
    whole = train(configure(**longer), dataset)
    train(configure(), dataset, out=tmp_path)
    with pytest.raises(CheckpointError, match="add --force"):
        train(configure(**longer), dataset, out=tmp_path, resume=True)
    found = train(configure(**longer), dataset, out=tmp_path, resume=True, force=True)
    assert found.metrics == whole.metrics
    assert len(history(tmp_path)) == 10


def test_a_finished_run_is_not_trained_again(dataset, tmp_path):
    first = train(configure(), dataset, out=tmp_path)
    again = train(configure(), dataset, out=tmp_path, resume=True)
    assert again.metrics == first.metrics
    assert [r.seconds for r in again.history] == [r.seconds for r in first.history]


def test_a_damaged_state_is_refused(dataset, tmp_path):
    interrupted(dataset, tmp_path)
    file = tmp_path / STATE
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"state.safetensors: damaged"):
        train(configure(), dataset, out=tmp_path, resume=True)


def test_a_run_that_is_trained_again_is_not_finished(dataset, tmp_path):
    train(configure(), dataset, out=tmp_path)
    assert (tmp_path / "metrics.json").is_file()
    interrupted(dataset, tmp_path, after=0)
    assert not (tmp_path / "metrics.json").exists()


class LookEvery(Callback):
    """Lets a trainer look for bad steps once in so many steps, as on a GPU."""

    def __init__(self, steps):
        self.steps = steps

    def on_epoch_end(self, trainer, record):
        trainer.check_every = self.steps


@pytest.mark.parametrize("every", [1, 3, 50])
def test_a_loss_that_is_no_number_leaves_state_and_batch(
    dataset, tmp_path, monkeypatch, every
):
    config = Config.resolve("mf", "infonce", "toy", layers=[TOY | {"loss": {}}])
    steps, forward = [], InfoNCE.forward

    def failing(self, *args, **keys):
        steps.append(args[2])
        loss = forward(self, *args, **keys)
        return loss * torch.inf if len(steps) == 26 else loss

    monkeypatch.setattr(InfoNCE, "forward", failing)
    said = "phase 'main', epoch 4, step 1: rec = inf"
    with pytest.raises(NonFiniteLossError, match=said) as info:
        train(config, dataset, out=tmp_path, callbacks=[LookEvery(every)])
    assert str(info.value).endswith(
        f"the ids of its batch are in {tmp_path / BAD_BATCH}"
    )
    ids, _ = read_tensors(tmp_path / BAD_BATCH)
    assert ids.keys() == {"user_id", "pos_id", "neg_id"}
    assert torch.equal(ids["neg_id"], steps[25].neg_id)
    assert torch.equal(ids["user_id"], steps[25].user_id)
    state, _ = read_state(tmp_path / STATE)
    assert len(state.about["history"]) == 4
    assert all(t.isfinite().all() for t in state.tensors.values())
    best, _ = read_tensors(tmp_path / "weights.safetensors")
    assert all(t.isfinite().all() for t in best.values())
    for name, weight in best.items():
        assert torch.equal(weight, state.tensors[f"best/{name}"])


def test_a_bad_batch_of_all_negatives_is_kept_with_the_seen_items(
    dataset, tmp_path, monkeypatch
):
    layers = [TOY | {"loss": {}}, {"train": {"num_negatives": "all"}}]
    config = Config.resolve("mf", "infonce", "toy", layers=layers)
    batches, whole = [], InfoNCE.over_all_negatives

    def failing(self, z_user, z_item, batch):
        batches.append(batch)
        return whole(self, z_user, z_item, batch) * torch.inf

    monkeypatch.setattr(InfoNCE, "over_all_negatives", failing)
    with pytest.raises(NonFiniteLossError, match="epoch 0, step 0: rec = inf"):
        train(config, dataset, out=tmp_path)
    ids, _ = read_tensors(tmp_path / BAD_BATCH)
    assert ids.keys() == {"user_id", "pos_id", "neg_id", "seen"}
    assert torch.equal(ids["seen"], batches[0].seen)


def test_the_state_is_written_when_memory_runs_out(dataset, tmp_path):
    with pytest.raises(MemoryError):
        train(configure(), dataset, out=tmp_path, callbacks=[Stop(2, MemoryError)])
    assert len(read_state(tmp_path / STATE)[0].about["history"]) == 2
