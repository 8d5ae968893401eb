import pandas as pd
import torch

from pyg_advinfonce.progress import Progress
from pyg_advinfonce.studies.paper import Request
from pyg_advinfonce.studies.paper.figures import figures, new_figure, reproduce_figure
from pyg_advinfonce.studies.paper.figures.figures import Figure, Panel


def test_every_figure_has_its_panels():
    found = {
        name: [file for panel in figure.panels for file in panel.drawings]
        for name, figure in figures.FIGURES.items()
    }
    assert found == {
        **{"fig4": ["fig4a", "fig4b", "fig4c"]},
        **{name: [name] for name in ("fig5", "fig6", "fig7")},
    }


def test_all_panels_are_made_of_what_was_asked_for(tmp_path, monkeypatch):
    def draw(table):
        drawing, _ = new_figure(1, 1)
        return drawing

    def make(dataset, **options):
        asked.append((dataset.fingerprint.split(":")[0], options))
        return pd.DataFrame({"a": [len(asked)]})

    asked, progress, cpu = [], Progress(), torch.device("cpu")
    panels = [Panel(make, {"a": draw, "b": draw}), Panel(make, {"c": draw})]
    figure = Figure("kuairec", panels, is_of_one_seed=True)
    monkeypatch.setitem(figures.FIGURES, "fig7", figure)
    layers = [{"train": {"epochs": 7}}]
    words = {"out": tmp_path, "data": "simulated", "layers": layers}
    report = reproduce_figure(Request("fig7", [3, 4], cpu, **words), progress)
    folder = tmp_path / "figures" / "simulated"
    assert report.summary["files"] == [
        str(folder / f"{name}.{kind}")
        for name in "abc"
        for kind in ("png", "svg", "csv")
    ]
    assert folder.joinpath("c.csv").read_text("utf-8") == "a\n2\n"
    assert [name for name, _ in asked] == ["simulated"] * 2
    for _, options in asked:
        assert options.pop("config").train.epochs == 7
        assert options == {
            **{"seeds": [3], "epochs": 7, "device": cpu, "progress": progress},
            "runs": tmp_path / "runs" / "figures",
        }
