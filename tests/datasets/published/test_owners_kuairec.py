import pytest

from pyg_advinfonce.datasets.published.owners import KUAIREC_FILES, build_kuairec
from pyg_advinfonce.datasets.tables import delimited
from pyg_advinfonce.errors import DataError

HEAD = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"


def view(user, video, ratio, time="2020-07-05 00:08:23.438,20200705,1593878903.438"):
    return f"{user},{video},13838,10867,{time},{ratio}\n"


# The view of video 0 by user 3 counts once; a ratio of 2.0 is not more than twice.
BIG = [
    view(0, 1, 2.5),
    view(3, 0, 0.1),
    view(3, 0, 2.1),
    view(3, 0, 7),
    view(3, 2, 2.0),
]
BIG += [view(5, 4, 1.9)]
SMALL = [view(0, 2, 3, ",,"), view(3, 2, 2.2, ",,"), view(0, 1, 0.5), view(3, 1, 2.01)]


@pytest.fixture
def write(tmp_path):
    def write(big, small, head=HEAD):
        for name, rows in zip(KUAIREC_FILES, (big, small), strict=True):
            (tmp_path / name).write_text(head + "".join(rows))
        return {name: tmp_path / name for name in KUAIREC_FILES}

    return write


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_train_is_of_the_big_matrix_and_what_is_held_out_of_the_small_one(
    write, chunk, monkeypatch
):
    monkeypatch.setattr(delimited, "CHUNK_ROWS", chunk)
    splits = build_kuairec(write(BIG, SMALL), 0)
    assert splits.user_ids.tolist() == [0, 3, 5]
    assert splits.item_ids.tolist() == [0, 1, 2, 4]
    assert splits.pairs["train"].T.tolist() == [[0, 1], [1, 0]]
    assert splits.duplicates["train"] == 1
    held_out = [p for n in ("valid", "test") for p in splits.pairs[n].T.tolist()]
    assert sorted(held_out) == [[0, 2], [1, 1], [1, 2]]
    assert splits.pairs["valid"].shape[1] == 1
    assert splits.candidate_mask.tolist() == [False, True, True, False]


def test_the_seed_decides_which_third_is_valid(write):
    files = write(BIG, [view(u, i, 3) for u in (0, 3) for i in range(15)])
    one, same, other = (build_kuairec(files, s).pairs["valid"] for s in (0, 0, 1))
    assert one.shape[1] == 10
    assert one.tolist() == same.tolist() != other.tolist()


def test_what_is_wrong_is_named(write):
    with pytest.raises(DataError, match=r"big_matrix\.csv:1: .*column 'watch_ratio'"):
        build_kuairec(write(BIG, SMALL, HEAD.replace("watch_ratio", "ratio")), 0)
    with pytest.raises(DataError, match=r"small_matrix\.csv:3:8: expected a finite"):
        build_kuairec(write(BIG, [SMALL[0], view(1, 1, "")]), 0)
    with pytest.raises(DataError, match=r"small_matrix\.csv:1: expected two"):
        build_kuairec(write(BIG, SMALL[:1]), 0)
