from contextlib import suppress

import numpy as np
import pytest

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.per_user import FILE, load_per_user, save_per_user

VALUES = {
    "test/user": np.array([2, 5, 9], np.int32),
    "test/recall@20": np.array([0.5, 0.0, 1.0], np.float32),
}


def test_what_was_written_is_read(tmp_path):
    save_per_user(VALUES, tmp_path)
    user, value = load_per_user(tmp_path, "test/recall@20")
    assert user.tolist() == [2, 5, 9]
    assert value.tolist() == [0.5, 0.0, 1.0]


def test_no_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no per_user.npz"):
        load_per_user(tmp_path, "test/recall@20")


@pytest.mark.parametrize("metric", ["test/ndcg@20", "valid/recall@20"])
def test_no_such_metric(tmp_path, metric):
    save_per_user(VALUES, tmp_path)
    with pytest.raises(CheckpointError, match=f"has no {metric}"):
        load_per_user(tmp_path, metric)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"\xff" * 64 + content[64:],
    ],
    ids=["empty", "truncated", "garbage"],
)
def test_damage(tmp_path, damage):
    save_per_user(VALUES, tmp_path)
    file = tmp_path / FILE
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=r"is damaged|has no"):
        load_per_user(tmp_path, "test/user")


def test_any_flipped_byte_is_noticed_or_means_nothing(tmp_path):
    save_per_user(VALUES, tmp_path)
    file = tmp_path / FILE
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(
            content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :]
        )
        with suppress(CheckpointError):
            user, value = load_per_user(tmp_path, "test/recall@20")
            assert (user.tolist(), value.tolist()) == ([2, 5, 9], [0.5, 0.0, 1.0])


def test_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / FILE, **{"test/user": np.array([{}], dtype=object)})
    with pytest.raises(CheckpointError, match="is damaged"):
        load_per_user(tmp_path, "test/user")
