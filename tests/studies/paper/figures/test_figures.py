from pyg_advinfonce.studies.paper.figures import figures as fig4


def test_all_three_panels_are_made(tmp_path, monkeypatch):
    calls = []
    for name in ("reproduce_hardness_by_popularity", "reproduce_strategies"):

        def made(dataset, *, name=name, **options):
            calls.append((name, dataset, options))
            return [tmp_path / name]

        monkeypatch.setattr(fig4, name, made)
    options = {"seeds": [3], "out": tmp_path, "epochs": 5, "device": "cpu"}
    found = fig4.reproduce_fig4("data", config="settings", **options)
    assert [path.name for path in found] == [
        "reproduce_hardness_by_popularity",
        "reproduce_strategies",
    ]
    for _, dataset, given in calls:
        assert dataset == "data"
        assert given == {**options, "config": "settings"}
