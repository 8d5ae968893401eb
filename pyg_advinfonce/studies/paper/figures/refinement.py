"""Figure 7: scores, ranks and hardness of single negatives."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import ITEM, USER, num_nodes, test_splits
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import Result
from pyg_advinfonce.schema import Count, Number
from pyg_advinfonce.studies.paper.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    draw_level,
    new_figure,
    styled,
)
from pyg_advinfonce.studies.paper.figures.trainings import (
    Device,
    Likes,
    cache_key,
    cached_table,
    default_config,
    known_likes,
    num_epochs,
    schedules,
    train_epochs,
    variant,
)
from pyg_advinfonce.training import batch_hardness, seed_everything

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MODELS = {"infonce": ("InfoNCE", BLUE), "adv": ("AdvInfoNCE", ORANGE)}
NUM_USERS, MOST_RANK = 2, 300
KINDS = ("false negative", "softest other", "hardest other")


class Row(NamedTuple):
    """A user's sampled negatives ``[K]``, their hardness and which are false."""

    user: int
    item: Tensor
    delta: Tensor
    false: Tensor


def refinement(
    dataset: Dataset,
    *,
    seeds: Sequence[int],
    epochs: int | None = None,
    config: Config | None = None,
    device: Device = "auto",
    progress: Progress = Progress(),
    runs: Path | None = None,
) -> pd.DataFrame:
    """Train InfoNCE and AdvInfoNCE and compare them on negatives of two users.

    The table holds the first two sampled rows, of different users, with a false
    negative that InfoNCE ranks among its first 300: this negative and the row's other
    negatives of lowest and highest hardness. Both losses have the same settings and
    give negatives the same total weight. Each model has the weights of its best
    validation.

    Args:
        dataset: The data.
        seeds: The seeds, of which only the first is used.
        epochs: The number of epochs (default: 20 evaluations after the adversary's
            last epoch).
        config: AdvInfoNCE's settings (default: the packaged ones of the data set).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Receives every training.
        runs: The folder of cached tables; None caches nothing.

    Returns:
        Columns ``user``, ``item`` (by the ids of the input, if the data has them),
        ``kind``, ``loss`` (infonce, adv), ``score``, ``rank`` among all candidates
        from 1, and ``delta``, AdvInfoNCE's hardness.

    Raises:
        ConfigError: If no row has such a false negative.
    """
    config = (config or default_config(dataset)).fitted_to(dataset)
    epochs = epochs or num_epochs(config, *schedules(dataset, config))
    key = cache_key(config, dataset, seed=seeds[0], epochs=epochs, shown="refinement")
    make = partial(_refinement, dataset, config, seeds[0], epochs, device, progress)
    table = cached_table(runs, key, make, _columns(dataset.graph))
    for node, column in ((USER, "user"), (ITEM, "item")):
        table[column] = [_name(dataset.graph, node, row) for row in table[column]]
    return table


def _columns(graph: HeteroData) -> dict[str, Any]:
    """Return the type of each column."""
    num_users, num_items = num_nodes(graph)
    return {
        "user": Annotated[int, Field(ge=0, lt=num_users)],
        "item": Annotated[int, Field(ge=0, lt=num_items)],
        "kind": str,
        "loss": Literal["infonce", "adv"],
        "score": Number,
        "rank": Count,
        "delta": Number,
    }


def _refinement(
    dataset: Dataset,
    config: Config,
    seed: int,
    epochs: int,
    device: Device,
    progress: Progress,
) -> pd.DataFrame:
    """Train both losses and return the table, users and items by row number."""
    results = {}
    for loss, (label, _) in MODELS.items():
        progress.say(f"refinement: {label}, seed {seed}, {epochs} epochs")
        settings = variant(config, loss, {})
        results[loss] = train_epochs(
            settings, dataset, seed=seed, epochs=epochs, device=device
        )
    graph = results["adv"].graph
    listings = {loss: _Listing(result, graph) for loss, result in results.items()}
    seed_everything(seed, 0, 0, stream=3)
    rows = _rows(results["adv"], graph, config, known_likes(dataset))
    chosen = list(islice(_choices(rows, listings), NUM_USERS))
    if not chosen:
        raise ConfigError(
            f"expected a sampled false negative among InfoNCE's first {MOST_RANK}, "
            "found none: train for more epochs or with another seed"
        )
    return pd.concat(chosen, ignore_index=True)


class _Listing:
    """A trained model's scores and ranks of a user's candidates."""

    def __init__(self, result: Result, graph: HeteroData) -> None:
        self.graph, self.split = graph, test_splits(graph)[0]
        self.scorer = result.method.scorer(graph)
        self.evaluator = Evaluator(graph, k=num_nodes(graph)[1])

    def ranks(self, user: int) -> dict[int, int]:
        """Return the rank, from 1, of every candidate item of a user."""
        users = torch.tensor([user])
        best = self.evaluator.rank(self.scorer, users, self.split)[0]
        return {item: rank for rank, item in enumerate(best.tolist(), 1) if item >= 0}

    def score(self, user: int, item: int) -> float:
        return float(self.scorer.scores(torch.tensor([user]))[0, item])


def _rows(
    result: Result, graph: HeteroData, config: Config, likes: Likes
) -> Iterator[Row]:
    """Yield an epoch's rows with a false negative, in random order."""
    size, negatives = config.train.batch_size, config.train.num_negatives
    sampler = EdgeSampler(graph, batch_size=size, num_negatives=negatives)
    z = result.method.encode(graph)
    for _, batch in sampler:
        delta = batch_hardness(result.method, z, batch)
        user, item = batch.user_id, batch.neg_id
        false = likes(user.unsqueeze(-1).expand_as(item), item)  # [B, K]
        for b in false.any(-1).nonzero().view(-1).tolist():
            yield Row(int(user[b]), item[b], delta[b], false[b])


def _choices(
    rows: Iterator[Row], listings: dict[str, _Listing]
) -> Iterator[pd.DataFrame]:
    """Yield the table of each suitable row, at most one per user."""
    shown = set()
    for row in rows:
        if row.user in shown:
            continue
        ranks = {loss: listing.ranks(row.user) for loss, listing in listings.items()}
        items = _three(row, ranks["infonce"])
        if items is not None:
            shown.add(row.user)
            yield _table(row, items, listings, ranks)


def _three(row: Row, ranks: dict[int, int]) -> list[int] | None:
    """Return positions of the false negative and the softest and hardest others."""
    items, false = row.item.tolist(), row.false.tolist()
    listed = [k for k in range(len(items)) if items[k] in ranks]
    good = [k for k in listed if false[k] and ranks[items[k]] <= MOST_RANK]
    delta = row.delta.tolist()
    others = sorted((k for k in listed if not false[k]), key=lambda k: delta[k])
    if not good or len({items[k] for k in others}) < 2:
        return None
    return [good[0], others[0], others[-1]]


def _table(
    row: Row,
    places: list[int],
    listings: dict[str, _Listing],
    ranks: dict[str, dict[int, int]],
) -> pd.DataFrame:
    found = []
    for kind, k in zip(KINDS, places, strict=True):
        item = int(row.item[k])
        for loss, listing in listings.items():
            found.append(
                {
                    "user": row.user,
                    "item": item,
                    "kind": kind,
                    "loss": loss,
                    "score": listing.score(row.user, item),
                    "rank": ranks[loss][item],
                    "delta": float(row.delta[k]),
                }
            )
    return pd.DataFrame(found)


def _name(graph: HeteroData, node_type: str, index: int) -> str:
    raw_id = graph[node_type].get("raw_id")
    return str(index if raw_id is None else raw_id[index])


@styled
def draw_refinement(table: pd.DataFrame) -> "Figure":
    """Draw one column per user, with scores and ranks above the hardness."""
    users = list(dict.fromkeys(table["user"]))
    figure, panels = new_figure(
        4.1 * len(users) + 0.4,
        4.4,
        rows=2,
        columns=len(users),
        height_ratios=[3, 1],
        sharex="col",
        sharey="row",
    )
    for (bars, line), user in zip(panels.T, users, strict=True):
        rows = table[table["user"] == user]
        _draw_bars(bars, rows)
        _draw_hardness(line, rows)
        bars.set_title(f"User {shortened(user)}")
    panels[0, 0].set_ylabel("cosine score (numbers: rank)")
    panels[1, 0].set_ylabel("hardness δ")
    panels[0, -1].legend(loc="upper right")
    return figure


def _draw_bars(axes: "Axes", rows: pd.DataFrame) -> None:
    for shift, (loss, (label, color)) in zip((-0.2, 0.2), MODELS.items(), strict=True):
        found = rows[rows["loss"] == loss]
        places = [x + shift for x in range(len(found))]
        bars = axes.bar(places, found["score"], 0.36, color=color, label=label)
        ranks = [f"{rank}" for rank in found["rank"]]
        axes.bar_label(bars, ranks, padding=2, fontsize=9, color=INK)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.margins(y=0.18)


def _draw_hardness(axes: "Axes", rows: pd.DataFrame) -> None:
    found = rows[rows["loss"] == "adv"]
    draw_level(axes, 0)
    axes.plot(range(len(found)), found["delta"], color=INK, marker="o", linewidth=1)
    labels = [
        f"{kind}\nitem {shortened(item)}"
        for kind, item in zip(found["kind"], found["item"], strict=True)
    ]
    axes.set_xticks(range(len(found)), labels)
    axes.set_xlim(-0.6, len(found) - 0.4)
    axes.margins(y=0.3)


def shortened(name: object, width: int = 14) -> str:
    """Return a name cut to at most ``width`` characters."""
    text = str(name)
    return text if len(text) <= width else f"{text[: width - 1]}…"
