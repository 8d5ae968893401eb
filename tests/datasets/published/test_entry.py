from hashlib import sha256

import pytest

from pyg_advinfonce.datasets import InteractionDataset, PublishedDataset
from pyg_advinfonce.datasets.published import Published, PublishedFile, Upstream
from pyg_advinfonce.datasets.published.entry import git_blob_id
from pyg_advinfonce.errors import (
    DataError,
    DatasetIntegrityError,
    DatasetNotFoundError,
    DataWarning,
)

TRAIN, VALID, TEST = "0 0 1\n1 1\n", "0 2\n", "1 0\n0 1\n"


def digest(text):
    return PublishedFile("", sha256(text.encode()).hexdigest())


class Tiny(InteractionDataset):
    published = Published(
        name="tiny",
        upstream=Upstream("https://raw.tiny.org", "https://tiny.org"),
        folder="tiny.new",
        num_users=3,
        num_items=4,
        num_pairs={"train": 3, "valid": 1, "test": 2},
        files={
            "train.txt": PublishedFile(git_blob_id(TRAIN.encode())),
            "valid.txt": digest(VALID),
            "test_ood.txt": digest(TEST),
        },
        overlaps={"train/test": 1},
    )

    def __init__(self, root, **options):
        super().__init__(root, name="tiny", **options)


@pytest.fixture
def root(make_folder):
    return make_folder("root/tiny.new", train=TRAIN, valid=VALID, test=TEST).parent


def test_the_published_files_load_without_a_warning(root):
    assert Tiny(root).fingerprint.startswith("tiny: 3 users, 4 items, train 3, valid 1")


def test_its_own_name_goes_before_the_published_one(root, make_folder):
    make_folder("root/tiny", train=TRAIN + "2 3\n", valid=VALID, test=TEST)
    with pytest.warns(DataWarning):
        assert Tiny(root).summary()["pairs"]["train"] == 4


@pytest.mark.parametrize("file", ["valid", "test", "test_ood"])
def test_another_content_is_refused_with_both_hashes(root, make_folder, file):
    make_folder("root/tiny.new", **{file: "0 3\n"})
    with pytest.raises(DatasetIntegrityError) as error:
        Tiny(root)
    expected = VALID if file == "valid" else TEST
    message = str(error.value)
    assert sha256(expected.encode()).hexdigest() in message
    assert sha256(b"0 3\n").hexdigest() in message
    assert "pass the path" in message
    assert len(message.splitlines()) == 1


def test_a_file_known_by_its_blob_only_is_warned_about(root, make_folder):
    make_folder("root/tiny.new", train="0 0\n1 1\n")
    with pytest.warns(DataWarning) as caught:
        dataset = Tiny(root)
    messages = [str(w.message) for w in caught]
    assert dataset.summary()["pairs"]["train"] == 2
    assert len(messages) == 3
    assert "expected the published file with git blob id" in messages[0]
    assert "has no train pair" in messages[1]
    assert messages[2].startswith("tiny: expected 3 train pairs, found 2")


def test_a_cached_set_warns_again(root, make_folder):
    make_folder("root/tiny.new", train="0 0 1 2\n1 1\n")
    messages = []
    for _ in range(2):
        with pytest.warns(DataWarning) as caught:
            Tiny(root)
        messages.append([str(warning.message) for warning in caught])
    assert messages[0] == messages[1]
    assert messages[0][-1] == "tiny: 1 pair of train is also in valid"


def test_ids_beyond_the_known_numbers_are_refused(root, make_folder):
    make_folder("root/tiny.new", train="0 0 1\n3 1\n")
    with (
        pytest.warns(DataWarning, match="git blob id"),
        pytest.raises(DataError, match=r"train\.txt:2:1: .* below 3, got '3'"),
    ):
        Tiny(root)


def test_what_is_missing_is_named_with_its_source(root, tmp_path):
    with pytest.raises(DatasetNotFoundError) as error:
        PublishedDataset(tmp_path, name="kuairec")
    message = str(error.value)
    assert "data set 'kuairec' needs train.txt" in message
    assert f"{tmp_path}/kuairec/raw, {tmp_path}/kuairec, {tmp_path}/kuairec2" in message
    assert "https://github.com/LehengTHU/AdvInfoNCE/" in message
    (root / "tiny.new" / "valid.txt").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"needs valid\.txt, .*published at"):
        Tiny(root)


def test_git_blob_id():
    assert git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
