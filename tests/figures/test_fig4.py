from pyg_advinfonce.figures import fig4, hardness_by_popularity, strategies


def test_all_three_panels_are_made(tmp_path, monkeypatch):
    calls = []
    for figure in (hardness_by_popularity, strategies):
        name = figure.__name__.rpartition(".")[2]

        def made(dataset, *, name=name, **options):
            calls.append((name, dataset, options))
            return [tmp_path / name]

        monkeypatch.setattr(figure, "reproduce", made)
    options = {"seeds": [3], "out": tmp_path, "epochs": 5, "device": "cpu", "say": str}
    found = fig4.reproduce("data", config="settings", **options)
    assert [path.name for path in found] == ["hardness_by_popularity", "strategies"]
    for _, dataset, given in calls:
        assert dataset == "data"
        assert given == {**options, "config": "settings"}
