import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.runs import check_settings
from pyg_advinfonce.runs.resume import load_state
from pyg_advinfonce.training import StateFile
from tests.training.test_state import trained


def configure(**sections):
    return Config.resolve("mf", "adv", "toy", layers=[sections])


@pytest.fixture
def path(tmp_path):
    """A state of :func:`configure`'s settings."""
    run = {
        "settings": configure().flat(),
        "data": "toy: 3 users",
        "device": "cpu",
    }
    path = tmp_path / "state.safetensors"
    trained(StateFile(path, run, every=1), epochs=2)
    return path


def test_the_same_run_goes_on(path):
    state = load_state(path, configure(), "toy: 3 users", "cpu")
    assert len(state.about["history"]) == 2


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"train": {"seed": 4}}, r"\(train.seed 0 -> 4\): train another run"),
        ({"loss": {"tau": 0.5}}, r"\(loss.tau default -> 0.5\): train another"),
        ({"train": {"epochs": 7}}, r"\(train.epochs 2000 -> 7\): add --force"),
        (
            {"train": {"epochs": 7, "lr": 0.5}},
            r"train.epochs 2000 -> 7, train.lr .* -> 0.5\): train another run",
        ),
    ],
)
def test_other_settings_are_listed(path, sections, said):
    with pytest.raises(CheckpointError, match=said):
        load_state(path, configure(**sections), "toy: 3 users", "cpu")


def test_force_is_for_what_changes_no_epoch(path):
    later = {"train": {"epochs": 7, "patience": 3}}
    load_state(path, configure(**later), "toy: 3 users", "cpu", force=True)
    later["train"]["lr"] = 0.5
    with pytest.raises(CheckpointError, match=r"\(train.lr [\d.]+ -> 0.5\)"):
        load_state(path, configure(**later), "toy: 3 users", "cpu", force=True)


@pytest.mark.parametrize(
    ("key", "other"), [("model", "lightgcn"), ("loss", "bpr"), ("data", "coat")]
)
def test_names_are_settings(key, other):
    config = configure()
    named = getattr(config, key).model_copy(update={"name": other})
    config = config.model_copy(update={key: named})
    with pytest.raises(CheckpointError, match=f"{key}.name .* -> {other}"):
        check_settings(configure().flat(), config, force=True)


def test_other_data_is_refused(path):
    with pytest.raises(CheckpointError, match="other data: toy: 3 users; found toy: 4"):
        load_state(path, configure(), "toy: 4 users", "cpu", force=True)


def test_another_device_is_a_warning(path):
    with pytest.warns(UserWarning, match="began on cpu and is resumed on cuda:1"):
        load_state(path, configure(), "toy: 3 users", "cuda:1")
