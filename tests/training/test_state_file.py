import pytest

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training import state_file
from pyg_advinfonce.training.state_file import StateFile, read_state
from pyg_advinfonce.training.tensor_file import read_tensors, write_tensors
from pyg_advinfonce.training.training_state import TrainingState
from tests.cases import find
from tests.training.test_training_state import assert_same, make

RUN = {"settings": {"train.lr": 0.1}, "data": "toy", "device": "cpu"}


@pytest.fixture
def path(tmp_path):
    """Where a state is to be written."""
    return tmp_path / "state.safetensors"


def trained(file, *, epochs=5):
    trainer = make("mf", find("adv"), epochs=epochs, callbacks=[file])
    trainer.fit()
    return trainer


def epochs_in(path):
    return len(read_state(path)[0].about["history"])


@pytest.mark.parametrize(("every", "written"), [(1, 5), (2, 4), (4, 4)])
def test_it_is_written_every_so_many_epochs(path, every, written):
    trained(StateFile(path, RUN, every=every))
    assert epochs_in(path) == written


def test_without_a_number_it_is_written_by_the_clock(path, monkeypatch):
    times = iter([0, 10, 29.9, 30, 59, 60.5, 60.5])
    monkeypatch.setattr(state_file.time, "monotonic", lambda: next(times))
    file = StateFile(path, RUN)
    written = []
    monkeypatch.setattr(file, "write", lambda: written.append(file._written))
    trained(file, epochs=3)
    assert len(written) == 1


def test_what_comes_back_is_the_last_finished_epoch(path):
    file = StateFile(path, RUN, every=99)
    trained(file)
    assert not path.exists()
    file.write()
    state, run = read_state(path)
    assert run == RUN
    assert isinstance(state, TrainingState)
    assert {k: state.about[k] for k in ("stopping", "history")} == file.state.about
    assert_same(TrainingState(state.tensors, {}), TrainingState(file.state.tensors, {}))


def test_before_the_first_epoch_there_is_nothing_to_write(path):
    StateFile(path, RUN).write()
    assert not path.exists()


def test_a_write_that_fails_is_a_warning_and_leaves_the_last_state(path, monkeypatch):
    file = StateFile(path, RUN, every=2)
    trained(file, epochs=2)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_file, "write_tensors", fail)
    with pytest.warns(UserWarning, match=r"not saved, .* No space left on device"):
        trained(file, epochs=4)
    assert epochs_in(path) == 2


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_another_format_is_refused(path, version):
    trained(StateFile(path, RUN, every=1))
    tensors, about = read_tensors(path)
    write_tensors(path, tensors, about | {"format": version})
    with pytest.raises(CheckpointError, match=rf"format 1 \(got {version}\)"):
        read_state(path)


@pytest.mark.parametrize("every", [0, -1])
def test_every_is_at_least_one_epoch(path, every):
    with pytest.raises(ValueError, match=f"at least one epoch .got {every}"):
        StateFile(path, RUN, every=every)
