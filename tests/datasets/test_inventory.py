from pyg_advinfonce.datasets.inventory import inventory
from pyg_advinfonce.datasets.known_sets import known_sets
from pyg_advinfonce.registry import DATASETS


def by_name(root):
    return {stock.name: stock for stock in inventory(root)}


def test_nothing_is_there(tmp_path):
    found = by_name(tmp_path)
    assert list(found) == [name for name in DATASETS if name != "simulated"]
    assert all(stock.folder is None for stock in found.values())
    assert all(stock.present == {} for stock in found.values())
    assert found["coat"].num_bytes == 3999 + 5980 + 2816
    assert found["coat"].unsized == []
    assert found["kuairec"].unsized == found["tencent"].unsized == ["train.txt"]


def test_what_is_there_is_counted(splits, make_folder, tmp_path):
    folder = make_folder("kuairec2", valid="0 2\n1 0\n", test="0 3\n")
    stock = by_name(tmp_path)["kuairec"]
    assert stock.folder == folder
    assert stock.present == {"valid.txt": 8, "test_ood.txt": 4}
    assert stock.num_files == len(splits) == 3
    assert stock.terms.redistributable


def test_only_one_of_two_equal_files_is_needed():
    for known in known_sets().values():
        assert "test_id.txt" not in known.needed
        assert {"train.txt", "valid.txt"} <= known.needed.keys()
        blobs = [file.blob for file in known.needed.values()]
        assert len(set(blobs)) == len(blobs)
        assert {file.blob for file in known.files.values()} == set(blobs)
