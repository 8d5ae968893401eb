"""How well does a validation scheme choose for the unbiased test?

    python benchmarks/validation_schemes.py --data-root DIR [--data coat,simulated] \
        [--settings 40] [--seeds 2] [--out docs/studies/validation]

Random settings are trained on data whose validation split is as biased as train and
whose test split is not. At every validation each scheme scores the held-out pairs. A
row of ``settings.csv`` has the scores at the epoch with the best valid recall, as the
library trains, and at the epoch that the scheme would choose itself. Rows that the file
has are not trained again. At the end the tables of the page are printed and its figure
is drawn (extra ``[plot]``).
"""

import argparse
import time
from collections.abc import Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch_geometric.data import HeteroData

from pyg_advinfonce.config import Config, parse_assignment
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import train
from pyg_advinfonce.files import write_text
from pyg_advinfonce.graph import build_graph, is_among, num_nodes, split_edges
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.scorer import Scorer
from pyg_advinfonce.studies.paper.figures import (
    BLUE,
    GREEN,
    ORANGE,
    new_figure,
    styled,
)
from pyg_advinfonce.training import Callback, Record, Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS, SAMPLES, SUBSET = 200, 2000, 10
Values = NDArray[np.float64]

# A tuple is a range on a logarithmic scale, a list has the choices.
Space = dict[str, tuple[float, float] | list[object]]
TAU = (0.05, 2.0)
MODELS: dict[str, Space] = {"mf": {}, "lightgcn": {"model.num_layers": [1, 2, 3]}}
TRAIN: Space = {
    "train.lr": (5e-4, 2e-2),
    "train.l2": [0.0, 1e-5, 1e-4, 1e-3, 1e-2],
    "train.batch_size": [256, 512, 1024],
}
NEGATIVES: Space = {"train.num_negatives": [16, 64, 256]}
INFONCE: Space = {**NEGATIVES, "loss.tau": TAU, "loss.negative_weight": [1.0, 64.0]}
LOSSES: dict[str, Space] = {
    "bpr": {"loss.cosine": [False, True]},
    "infonce": INFONCE,
    "adv": {
        **INFONCE,
        "loss.adversary_lr": (1e-4, 0.1),
        "loss.adversary_epochs": [5, 10, 20, 30],
        "loss.adversary_every": [2, 5],
    },
    "ccl": {
        **NEGATIVES,
        "loss.weight": [1.0, 5.0, 50.0, 200.0],
        "loss.margin": [0.2, 0.4, 0.6, 0.8],
    },
    "sdro": {**NEGATIVES, "loss.tau": TAU, "loss.eta": (1e-3, 0.1)},
    "bc": {**NEGATIVES, "loss.tau": TAU, "loss.popularity_tau": TAU},
}


class Scheme(NamedTuple):
    """A way to score the validation split.

    Attributes:
        metric: Name of a metric, or ``decile-recall``.
        power: Power of the train degree in the propensity.
        clip: Lower bound of the propensity.
    """

    metric: str
    power: float | None = None
    clip: float | None = None

    @property
    def name(self) -> str:
        return "-".join(str(part) for part in self if part is not None)

    @property
    def label(self) -> str:
        if self.power is None:
            return "recall, mean of deciles" if "-" in self.metric else self.metric
        kind = self.metric.replace("snips", "SNIPS")
        return f"{kind}, power {self.power}, clip {self.clip}"


PROPENSITIES = [(0.5, 0.1), (1.0, 0.1), (1.0, 0.01), (2.0, 0.001)]
WEIGHTED = ("snips-recall", "snips-ndcg")
PLAIN, GROUPS = Scheme("recall"), Scheme("decile-recall")
SCHEMES = [
    PLAIN,
    Scheme("ndcg"),
    *(Scheme(metric, *given) for metric in WEIGHTED for given in PROPENSITIES),
    GROUPS,
]
TARGETS = ("test-recall", "test-ndcg")


def draw(number: int) -> dict[str, str]:
    """Return a setting: model and loss in turn, and random words for ``--set``."""
    rng = np.random.default_rng([0, number])
    turn, place = divmod(number, len(LOSSES))
    model, loss = list(MODELS)[turn % len(MODELS)], list(LOSSES)[place]
    words = []
    for key, values in (MODELS[model] | TRAIN | LOSSES[loss]).items():
        if isinstance(values, tuple):
            value: object = float(f"{np.exp(rng.uniform(*np.log(values))):.2g}")
        else:
            value = values[rng.integers(len(values))]
        words.append(f"{key}={str(value).lower()}")
    return {"model": model, "loss": loss, "settings": " ".join(words)}


class Schemes(Callback):
    """Records the scores of all schemes on valid, and the metrics of test.

    Args:
        graph: The graph.
        truth: The graph with all liked pairs as its test split, if they are known.
    """

    def __init__(self, graph: HeteroData, truth: HeteroData | None) -> None:
        self.rows: list[dict[str, float]] = []
        self.plain = Evaluator(graph, metrics=("recall", "ndcg", "arp"))
        self.truth = None if truth is None else Evaluator(truth)
        self.weighted = {
            (power, clip): Evaluator(
                graph, metrics=WEIGHTED, propensity_power=power, propensity_clip=clip
            )
            for power, clip in PROPENSITIES
        }

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        if record.metrics:
            found = self.scores(trainer.method.scorer(trainer.graph))
            self.rows.append({"epoch": record.epoch, **found})

    def scores(self, scorer: Scorer) -> dict[str, float]:
        lists = self.plain.lists(scorer, "valid")
        plain = self.plain.measure(lists).means()
        test = self.plain.metrics(scorer, "test")
        found = {name: plain[f"valid/{name}@20"] for name in ("recall", "ndcg", "arp")}
        for given, evaluator in self.weighted.items():
            means = evaluator.measure(lists).means()
            for metric in WEIGHTED:
                name = Scheme(metric, *given).name
                found[name] = means[f"valid/{metric}@20"]
        table = self.plain.by_group(lists).query("group == 'item'")
        found[GROUPS.name] = float(table["recall"].mean())
        found |= {f"test-{n}": test[f"test/{n}@20"] for n in ("recall", "ndcg", "arp")}
        if self.truth is not None:
            test = self.truth.metrics(scorer, "test")
            found |= {f"true-{n}": test[f"test/{n}@20"] for n in ("recall", "ndcg")}
        return found


def load(data: str, root: Path) -> tuple[HeteroData, HeteroData | None]:
    """Return a data set's graph, and that of all liked pairs if they are known."""
    dataset = load_dataset(data, root=root)
    graph, likes = dataset.graph, getattr(dataset, "likes", None)
    if likes is None:
        return graph, None
    users, items = num_nodes(graph)
    liked = likes(torch.arange(users).unsqueeze(1), torch.arange(items)).nonzero().t()
    valid = split_edges(graph, "valid")
    seen = torch.cat([split_edges(graph, "train"), valid], dim=1)
    unseen = liked[:, ~is_among(pair_keys(*liked), pair_keys(*seen).unique())]
    truth = build_graph(
        split_edges(graph, "train"),
        num_users=users,
        num_items=items,
        splits={"valid": valid, "test": unseen},
    )
    return graph, truth


def measure(
    data: str,
    setting: dict[str, str],
    seed: int,
    graph: HeteroData,
    truth: HeteroData | None,
) -> dict[str, object]:
    """Train a setting; return its scores and those at each scheme's own epoch."""
    words = [
        *setting["settings"].split(),
        *(f"train.epochs={EPOCHS}", f"train.patience={EPOCHS}", f"train.seed={seed}"),
    ]
    layers = map(parse_assignment, words)
    config = Config.resolve(setting["model"], setting["loss"], data, layers=layers)
    scores = Schemes(graph, truth)
    started = time.process_time()
    result = train(config, graph, device="cpu", callbacks=[scores])
    seconds = time.process_time() - started
    found = pd.DataFrame(scores.rows).set_index("epoch")
    own: dict[str, object] = {}
    for scheme in SCHEMES:
        epoch: Any = found[scheme.name].idxmax()
        own[f"{scheme.name}.epoch"] = epoch
        for column in (scheme.name, *TARGETS):
            own[f"{scheme.name}.{column}"] = found.loc[epoch, column]
    at_best = dict(found.loc[result.best_epoch])
    return {"seconds": round(seconds, 1), "epoch": result.best_epoch, **at_best, **own}


def complete(file: Path, args: argparse.Namespace) -> pd.DataFrame:
    """Return the rows of all settings; train those that the file lacks."""
    known: dict[tuple[object, ...], dict[str, Any]] = {}
    if file.is_file():
        for found in pd.read_csv(file).to_dict("records"):
            old = {str(column): value for column, value in found.items()}
            known[old["data"], old["setting"], old["seed"]] = old
    graphs = {data: load(data, args.data_root) for data in args.data.split(",")}
    everything = product(range(args.seeds), graphs, range(args.settings))
    for seed, data, number in everything:
        setting, row = draw(number), known.get((data, number, seed))
        if row is None:
            labels = {"data": data, "setting": number, "seed": seed}
            row = labels | setting | measure(data, setting, seed, *graphs[data])
            known[data, number, seed] = row
            rows = pd.DataFrame(known.values()).sort_values(["data", "seed", "setting"])
            write_text(file, rows.to_csv(index=False, float_format="%.6g"))
            print(*list(row.values())[:9], flush=True)
        elif not setting.items() <= row.items():
            raise SystemExit(f"{file} has other settings: remove it")
    rows = pd.read_csv(file)
    wanted = (rows["setting"] < args.settings) & (rows["seed"] < args.seeds)
    return rows[wanted & rows["data"].isin(list(graphs))].reset_index(drop=True)


def rho(score: Values, test: Values) -> Values:
    """Return Spearman's rank correlation over the last axis; ties share a rank."""
    a, b = rankdata(score, axis=-1), rankdata(test, axis=-1)
    a, b = (ranks - ranks.mean(-1, keepdims=True) for ranks in (a, b))
    found: Values = (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return found


def resampled_rho(score: Values, test: Values) -> Values:
    """Return rho of settings drawn with replacement, ``[SAMPLES]``."""
    size = (SAMPLES, len(score))
    index = np.random.default_rng(0).integers(len(score), size=size)
    return rho(score[index], test[index])


def regret(score: Values, test: Values) -> Values:
    """Return how much the setting of the best score loses to the best on test."""
    chosen = score.argmax(-1, keepdims=True)
    found: Values = test.max(-1) - np.take_along_axis(test, chosen, -1)[..., 0]
    return found


def mean_regret(score: Values, test: Values) -> float:
    """Return the mean regret of a choice among ``SUBSET`` random settings."""
    every = np.tile(np.arange(len(score)), (SAMPLES, 1))
    index = np.random.default_rng(0).permuted(every, axis=1)[:, :SUBSET]
    return float(regret(score[index], test[index]).mean())


def place(score: Values, test: Values) -> int:
    """Return the rank on test of the setting of the best score, 1 for the best."""
    return 1 + int((test > test[score.argmax()]).sum())


def interval(samples: Values, *, digits: int = 2, factor: float = 1.0) -> str:
    low, high = factor * np.percentile(samples, [2.5, 97.5])
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def choice_table(seeds: Sequence[pd.DataFrame], target: str) -> str:
    """Return how every scheme chooses among the settings, in Markdown.

    Args:
        seeds: The rows of one data set by seed. The last column shows all seeds, the
            others the first one.
        target: A column of ``TARGETS``.
    """
    tests = [rows[target].to_numpy() for rows in seeds]
    columns = {scheme.label: scheme.name for scheme in SCHEMES}
    true = target.replace("test", "true")
    if true in seeds[0] and seeds[0][true].notna().all():
        columns["*all liked items*"] = true
    scores = {
        label: [rows[column].to_numpy() for rows in seeds]
        for label, column in columns.items()
    }
    if len(tests) > 1:
        scores["*test of another seed*"] = tests[::-1]
    plain = resampled_rho(scores[PLAIN.label][0], tests[0])
    lines = []
    for label, found in scores.items():
        score, test = found[0], tests[0]
        samples = resampled_rho(score, test)
        low, high = np.percentile(samples - plain, [2.5, 97.5])
        mark = " *" if low > 0 or high < 0 else ""
        cells = [
            f"{rho(score, test):.2f} {interval(samples)}{mark}",
            f"{regret(score, test):.4f}",
            f"{place(score, test)}",
        ]
        lines.append([label, *cells, mean_regrets(found, tests)])
    some = [np.random.default_rng(0).random(len(test)) for test in tests]
    lost = f"{tests[0].max() - tests[0].mean():.4f}"
    middle = f"{(len(tests[0]) + 1) / 2:g}"
    lines.append(["*a random setting*", "", lost, middle, mean_regrets(some, tests)])
    head = ["scheme", "rho [95 %]", "regret", "rank", f"regret among {SUBSET}"]
    return markdown(head, lines)


def mean_regrets(scores: Sequence[Values], tests: Sequence[Values]) -> str:
    pairs = zip(scores, tests, strict=True)
    return " / ".join(f"{mean_regret(*pair):.4f}" for pair in pairs)


def epoch_table(rows: pd.DataFrame) -> str:
    """Return what changes if a scheme chooses the epochs too, in Markdown."""
    lines = []
    for scheme in SCHEMES:
        later = (rows[f"{scheme.name}.epoch"] - rows["epoch"]).mean()
        cells = [f"{round(later):+d}"]
        for target in TARGETS:
            own = rows[f"{scheme.name}.{target}"].to_numpy()
            gain = own - rows[target].to_numpy()
            size = (SAMPLES, len(gain))
            index = np.random.default_rng(0).integers(len(gain), size=size)
            spread = interval(gain[index].mean(1), digits=4)
            chosen = own[rows[f"{scheme.name}.{scheme.name}"].to_numpy().argmax()]
            cells += [f"{gain.mean():.4f} {spread}", f"{chosen:.4f}"]
        lines.append([scheme.label, *cells])
    columns = [
        text for target in TARGETS for text in (f"gain in {target}", "of the choice")
    ]
    return markdown(["scheme", "epochs later", *columns], lines)


def seed_table(rows: pd.DataFrame) -> str:
    """Return every scheme's rho with test and with popularity by seed, in Markdown."""
    parts = list(rows.groupby(["data", "seed"]))
    head, lines = ["scheme"], {scheme: [scheme.label] for scheme in SCHEMES}
    for data, target in product(rows["data"].unique(), (*TARGETS, "arp")):
        head.append(f"{data}: {target}")
        for scheme, line in lines.items():
            found = [
                rho(part[scheme.name].to_numpy(), part[target].to_numpy())
                for (name, _), part in parts
                if name == data
            ]
            line.append(" / ".join(f"{value:.2f}" for value in found))
    return markdown(head, list(lines.values()))


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """Return a table in Markdown."""
    every = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in every)


def tables(rows: pd.DataFrame) -> dict[str, str]:
    """Return the tables of the page, by title."""
    found = {}
    for data, part in rows.groupby("data"):
        seeds = [group.reset_index() for _, group in part.groupby("seed")]
        for target in TARGETS:
            found[f"{data}: {target}@20"] = choice_table(seeds[:2], target)
        found[f"{data}: epochs chosen by the scheme"] = epoch_table(seeds[0])
    if rows["seed"].nunique() > 1:
        found["rho by seed"] = seed_table(rows)
    return found


@styled
def draw_scores(rows: pd.DataFrame) -> "Figure":
    """Draw the test metrics by the score of valid; the chosen setting has a ring."""
    from matplotlib.ticker import MaxNLocator

    shown = (PLAIN, GROUPS)
    panels = list(product(rows["data"].unique(), TARGETS))
    figure, axes = new_figure(11, 5.2, rows=len(shown), columns=len(panels))
    for line, scheme in zip(axes, shown, strict=True):
        for (data, target), panel in zip(panels, line, strict=True):
            part = rows[(rows["data"] == data) & (rows["seed"] == 0)]
            for (model, group), color, marker in zip(
                part.groupby("model", sort=False), (BLUE, GREEN), "o^", strict=True
            ):
                panel.scatter(
                    group[scheme.name],
                    group[target],
                    s=20,
                    color=color,
                    marker=marker,
                    alpha=0.75,
                    linewidths=0,
                    label=model,
                )
            best = part.loc[part[scheme.name].idxmax()]
            panel.scatter(
                best[scheme.name],
                best[target],
                s=110,
                facecolors="none",
                edgecolors=ORANGE,
                linewidths=1.8,
                label="chosen",
            )
            name = target.replace("test-", "").replace("ndcg", "NDCG")
            correlation = rho(part[scheme.name].to_numpy(), part[target].to_numpy())
            panel.set_title(f"{data}, rho {correlation:.2f}")
            panel.set_ylabel(f"test {name}@20")
            panel.set_xlabel(f"valid {scheme.label}")
            panel.xaxis.set_major_locator(MaxNLocator(4))
            panel.yaxis.set_major_locator(MaxNLocator(5))
    axes[0, 0].legend(loc="best")
    return figure


def save(figure: "Figure", file: Path) -> None:
    """Write a PNG with a palette, which is a third of the size."""
    from PIL import Image

    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=130)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(64).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="coat,simulated")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("docs/studies/validation"))
    parser.add_argument("--settings", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = complete(args.out / "settings.csv", args)
    for title, table in tables(rows).items():
        print(f"\n{title}\n\n{table}")
    save(draw_scores(rows), args.out / "scores.png")


if __name__ == "__main__":
    main()
