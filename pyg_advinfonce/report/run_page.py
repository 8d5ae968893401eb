"""What the page of a run says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config, comparable
from pyg_advinfonce.report.curves import GEOMETRY, HARDNESS, TRAINING, charts
from pyg_advinfonce.report.read import Seed
from pyg_advinfonce.report.run_figures import run_figures
from pyg_advinfonce.settings import settings
from pyg_advinfonce.summary import spread, spread_text


def run_page(
    seeds: Sequence[Seed], *, root: Path, cache_dir: Path | None
) -> dict[str, Any]:
    """Return the variables of ``run.html.jinja``."""
    config, saved = seeds[0].config, seeds[0].record
    metrics = _metrics(seeds)
    paper = comparable(config)
    figures, missing = run_figures(seeds, root=root, cache_dir=cache_dir)
    return {
        "title": f"{config.model} + {config.criterion} on {config.dataset}",
        "config": config,
        "fingerprint": saved["data"],
        "seeds": [seed.seed for seed in seeds],
        "tiles": _tiles(seeds, metrics, paper),
        "metrics": _table(metrics, paper),
        "by_seed": _by_seed(seeds),
        "groups": [
            ("Training", list(charts(TRAINING, seeds))),
            ("The adversary", list(charts(HARDNESS, seeds))),
            ("Embeddings", list(charts(GEOMETRY, seeds))),
        ],
        "figures": figures,
        "missing": missing,
        "settings": _settings(config, saved.get("own_loss")),
        "environment": _environment(seeds),
    }


def _metrics(seeds: Sequence[Seed]) -> dict[str, dict[str, Any]]:
    names = list(seeds[0].record["metrics"])
    values = {
        name: [seed.record["metrics"].get(name) for seed in seeds] for name in names
    }
    return {name: spread(found) for name, found in values.items()}


def _tiles(
    seeds: Sequence[Seed], metrics: dict[str, Any], paper: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """Return title, value and remark of what one looks at first."""
    tests = [name for name in metrics if name.endswith(("/recall@20", "/ndcg@20"))]
    first = [name for name in tests if not name.startswith("valid/")][:2]
    tiles = []
    for name in first:
        known = f"paper {paper[name]:.4f}" if name in paper else ""
        tiles.append((name, spread_text(metrics[name]), known))
    epochs = ", ".join(f"{s.record['best_epoch']}" for s in seeds)
    lengths = ", ".join(f"{len(s.history)}" for s in seeds)
    tiles.append(("best epoch", epochs, f"of {lengths} trained, by valid recall@20"))
    seconds = sum(seed.record.get("wall_seconds") or 0.0 for seed in seeds)
    tiles.append(("time", f"{seconds:.1f} s", "all seeds, without loading the data"))
    return tiles


def _table(metrics: dict[str, Any], paper: dict[str, Any]) -> dict[str, Any]:
    """Return columns and rows of metrics by split, test splits first."""
    splits = list(dict.fromkeys(name.split("/")[0] for name in metrics))
    columns = list(dict.fromkeys(name.split("/")[-1] for name in metrics))
    rows = []
    for split in sorted(splits, key=lambda s: s == "valid"):
        found = [metrics.get(f"{split}/{column}") for column in columns]
        rows.append(
            (split, False, [spread_text(value) if value else "" for value in found])
        )
        known = [paper.get(f"{split}/{column}") for column in columns]
        if any(value is not None for value in known):
            cells = ["" if value is None else f"{value:.4f}" for value in known]
            rows.append((f"{split}, paper", True, cells))
    table = f"Table {paper['table']}" if "table" in paper else ""
    return {"columns": columns, "rows": rows, "source": table}


def _by_seed(seeds: Sequence[Seed]) -> dict[str, Any]:
    names = list(seeds[0].record["metrics"])
    rows = []
    for seed in seeds:
        found = [seed.record["metrics"].get(name) for name in names]
        cells = ["nan" if value is None else f"{value:.4f}" for value in found]
        rows.append((seed.seed, seed.record["best_epoch"], cells))
    return {"columns": names, "rows": rows}


def _settings(
    config: Config, own_loss: str | None
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return all settings by section; the seed is a run's, not a setting."""
    found: dict[str, list[tuple[str, str]]] = {}
    used = settings(config)
    if own_loss is not None:
        found["loss"] = [("own", own_loss)]
        used = [s for s in used if not s.name.startswith(("loss.", "hardness."))]
    for setting in used:
        section, key = setting.name.split(".")
        if setting.value is not None and setting.name != "train.seed":
            found.setdefault(section, []).append((key, show(setting.value)))
    return list(found.items())


def show(value: object) -> str:
    """Return a setting in few digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _environment(seeds: Sequence[Seed]) -> list[tuple[str, str]]:
    saved = [seed.record for seed in seeds]
    speeds = [s["seconds_per_epoch"] for s in saved if s.get("seconds_per_epoch")]
    peaks = [s["peak_rss_mb"] for s in saved if s.get("peak_rss_mb")]
    rows = [("device", ", ".join(dict.fromkeys(str(s["device"]) for s in saved)))]
    rows += [(name, str(v)) for name, v in (saved[0].get("versions") or {}).items()]
    if speeds:
        rows.append(("training, an epoch", f"{sum(speeds) / len(speeds):.4f} s"))
    if peaks:
        rows.append(("memory at most", f"{max(peaks):.0f} MB"))
    return [*rows, ("data", str(saved[0]["data"]))]
