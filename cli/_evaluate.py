"""Evaluation of runs and of given lists for ``advnce evaluate``."""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import typer
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets import load_named
from pyg_advinfonce.datasets.tables import open_table
from pyg_advinfonce.errors import (
    ConfigError,
    DataError,
    DataWarning,
    UnknownNameError,
)
from pyg_advinfonce.evaluation import Evaluator, RankedLists
from pyg_advinfonce.files import without_nan
from pyg_advinfonce.graph import (
    ITEM,
    USER,
    num_nodes,
    split_edges,
    split_names,
    test_splits,
)
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.ranks import from_first
from pyg_advinfonce.registry import DEFAULT_METRICS
from pyg_advinfonce.runs import (
    check_data,
    load_data,
    load_run,
    mean_and_std,
    read_run,
    seed_folders,
)
from pyg_advinfonce.scorer import Scorer
from pyg_advinfonce.serving import IdMap, save_lists

from .console import aligned, fitted, split_rows
from .options import output_kind, warn_of_length

Source = tuple[HeteroData, Callable[[Evaluator, str], RankedLists], Sequence[str]]
"""A graph, what makes the lists of a split, and the splits."""

GROUPS = ["split", "k", "group", "decile"]
TITLES = {"item": "items by popularity", "user": "users by activity"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is evaluated, how, and which files are written.

    Attributes:
        run: The run, or with ``lists`` the run whose data is theirs.
        lists: The file of lists, or None.
        data: The name of the lists' data, or None.
        data_root: The folder of the data sets.
        cache_dir: The folder of processed data.
        device: The device.
        k: The cutoffs.
        metrics: The names of the metrics.
        split: The only split, or None.
        evaluator: Further options of the evaluator.
        by_group: Print the table by group.
        groups_out: The file of that table, or None.
        lists_out: The file of ranked lists, or None.
        custom: The custom model and loss, by section.
    """

    run: Path | None
    lists: Path | None
    data: str | None
    data_root: Path
    cache_dir: Path | None
    device: str
    k: list[int]
    metrics: Sequence[str]
    split: str | None
    evaluator: Mapping[str, Any]
    by_group: bool
    groups_out: Path | None
    lists_out: Path | None
    custom: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        *,
        k: Sequence[str],
        metrics: Sequence[str] | None,
        strict: bool,
        propensity_power: float,
        propensity_clip: float,
        **options: Any,  # noqa: ANN401
    ) -> "Request":
        """Check the flags before data is loaded.

        Raises:
            ConfigError: If a value is wrong, or flags contradict each other.
        """
        request = cls(
            k=_cutoffs(k),
            metrics=DEFAULT_METRICS if metrics is None else metrics,
            evaluator={
                "strict": strict,
                "propensity_power": propensity_power,
                "propensity_clip": propensity_clip,
            },
            **options,
        )
        if not (0 <= propensity_power < math.inf and 0 < propensity_clip <= 1):
            raise ConfigError(
                "expected --propensity-power of at least 0 and --propensity-clip above "
                f"0 and at most 1 (got {propensity_power} and {propensity_clip})"
            )
        if request.lists is not None and (request.lists_out or request.custom):
            raise ConfigError(
                "--lists cannot be combined with --lists-out, --model or --loss"
            )
        for file in (request.groups_out, request.lists_out):
            if file is not None:
                output_kind(None, file)
        return request

    def sources(self) -> Iterator[Source]:
        """Yield the graph and lists of each seed, or of the file."""
        if self.lists is not None:
            yield _given(self.lists, self._graph(), self.split)
            return
        assert self.run is not None
        folders = seed_folders(self.run)
        if self.lists_out is not None and len(folders) > 1:
            names = ", ".join(folder.name for folder in folders)
            raise ConfigError(
                f"--lists-out writes one seed's lists: choose one of {names} in "
                f"{self.run}"
            )
        for folder in folders:
            trained = load_run(
                folder,
                root=self.data_root,
                cache_dir=self.cache_dir,
                device=self.device,
                **self.custom,
            )
            trained.config.check_held_out(folder)
            graph, scorer = trained.graph, trained.method.scorer(trained.graph)
            splits = split_names(graph) if self.split is None else [self.split]
            yield graph, partial(_ranked, scorer), splits

    def _graph(self) -> HeteroData:
        """Return the graph of given lists."""
        if self.run is None:
            assert self.data is not None
            found = load_named(
                self.data, {}, root=self.data_root, cache_dir=self.cache_dir
            )
            return found.graph
        seed = read_run(self.run)[0]
        seed.config.check_held_out(seed.folder)
        dataset = load_data(seed.folder, seed.config, self.data_root, self.cache_dir)
        check_data(seed.folder, seed.fingerprint, dataset.fingerprint)
        return dataset.graph


def _ranked(scorer: Scorer, evaluator: Evaluator, split: str) -> RankedLists:
    return evaluator.lists(scorer, split)


def _cutoffs(texts: Sequence[str]) -> list[int]:
    parts = [part for text in texts for part in text.split(",")]
    for part in parts:
        if not re.fullmatch(r"\s*-?\d{1,9}\s*", part):
            raise ConfigError(f"-k expects list lengths: 5,10,20 (got '{part}')")
    found = list(map(int, parts))
    if min(found) < 1:
        raise ConfigError(f"-k must be positive (got {min(found)})")
    return found


def print_evaluation(request: Request, *, warns_of_length: bool, as_json: bool) -> None:
    """Evaluate; write the requested files; print the metrics and groups.

    Args:
        request: What is evaluated.
        warns_of_length: Warn if a list is longer than the number of items.
        as_json: Print one JSON object.
    """
    found: list[dict[str, float | None]] = []
    groups: list[pd.DataFrame] = []
    for graph, make, splits in request.sources():
        if not found and warns_of_length:
            warn_of_length(max(request.k), num_nodes(graph)[1])
        evaluator = Evaluator(
            graph, k=request.k, metrics=request.metrics, **request.evaluator
        )
        means: dict[str, float | None] = {}
        kept: list[RankedLists] = []
        for split in splits:
            lists = make(evaluator, split)
            means |= evaluator.measure(lists).means()
            if request.by_group or request.groups_out is not None:
                groups.append(evaluator.by_group(lists))
            if request.lists_out is not None:
                kept.append(lists)
        found.append(without_nan(means))
        if request.lists_out is not None:
            tables = (list_table(lists, graph) for lists in kept)
            _save(tables, request.lists_out)
    _print(request, found, groups, as_json=as_json)


def _save(tables: Iterable[pd.DataFrame], path: Path) -> None:
    from_first(lambda: save_lists(tables, path, output_kind(None, path)))


def _print(
    request: Request,
    found: Sequence[Mapping[str, float | None]],
    groups: Sequence[pd.DataFrame],
    *,
    as_json: bool,
) -> None:
    metrics = {name: mean_and_std([seed[name] for seed in found]) for name in found[0]}
    table = None
    if groups:
        every = pd.concat(groups, ignore_index=True)
        table = every.groupby(GROUPS, sort=False).mean().reset_index()
        if request.groups_out is not None:
            _save([table], request.groups_out)
    if as_json:
        what = str(request.run if request.lists is None else request.lists)
        content: dict[str, Any] = {"run_dir": what, "metrics": metrics}
        if request.by_group and table is not None:
            content["groups"] = json.loads(table.to_json(orient="records"))
        typer.echo(json.dumps(content))
        return
    typer.echo("\n".join(fitted(split_rows(metrics))))
    if request.by_group and table is not None:
        for (split, k, group), rows in table.groupby(GROUPS[:3], sort=False):
            title = f"{TITLES[str(group)]}, {split}, k = {k} (10: the most)"
            typer.echo("\n".join(["", title, *_group_lines(rows)]))


def _group_lines(rows: pd.DataFrame) -> list[str]:
    columns = {
        "decile": "d",
        "members": ".0f",
        "train_pairs": ".0f",
        "listed": ".1f",
        "share": ".4f",
        "positives": ".0f",
        "recall": ".4f",
        "arp": ".1f",
    }
    cells = [
        [format(row[name], form) for name, form in columns.items()]
        for row in rows.to_dict("records")
    ]
    head = [name.replace("_", " ") for name in columns]
    return aligned([head, *cells], left=0)


def list_table(lists: RankedLists, graph: HeteroData) -> pd.DataFrame:
    """Return lists as a table, by the ids of the input."""
    row, place = (lists.item >= 0).nonzero().cpu().numpy().T
    users, items = IdMap(graph, USER).values, IdMap(graph, ITEM).values
    item = lists.item.cpu().numpy()[row, place]
    table = {
        "split": lists.split,
        "user": users[lists.user.cpu().numpy()[row]],
        "rank": place + 1,
        "item": items[item],
    }
    if lists.score is not None:
        table["score"] = lists.score.cpu().numpy()[row, place]
    return pd.DataFrame(table)


NAMES = {"user": ("user", "user_id"), "item": ("item", "item_id")}


def _given(path: Path, graph: HeteroData, split: str | None) -> Source:
    """Return the lists of a file."""
    rows = read_lists(path, graph)
    splits = test_splits(graph) or split_names(graph)
    if "split" in rows:
        named = set(rows["split"])
        if wrong := sorted(named - {"train", *split_names(graph)}):
            raise DataError(
                f"{path}: expected splits {', '.join(split_names(graph))} (got "
                f"'{wrong[0]}')"
            )
        splits = [name for name in ("train", *split_names(graph)) if name in named]
    if split is not None:
        if "split" in rows and split not in splits:
            raise DataError(f"{path}: expected lists of split '{split}', found none")
        splits = [split]

    def make(evaluator: Evaluator, split: str) -> RankedLists:
        own = rows[rows["split"] == split] if "split" in rows else rows
        user, item = (
            torch.tensor(own[name].to_numpy(), device="cpu") for name in NAMES
        )
        held_out = pair_keys(*split_edges(graph, split).cpu())
        if not torch.isin(pair_keys(user, item), held_out).any():
            warnings.warn(
                f"no pair of {split} is in these lists: `advnce recommend` leaves out "
                "what users already have; write lists by `advnce evaluate RUN "
                "--lists-out FILE`, or by `advnce recommend --seen train`",
                DataWarning,
                stacklevel=2,
            )
        return evaluator.given_lists(user, item, split)

    return graph, make, splits


def read_lists(path: Path, graph: HeteroData) -> pd.DataFrame:
    """Read a table of lists as rows of a graph, best first for each user.

    Args:
        path: A table with the columns ``user`` and ``item``, ids of the input, and
            ``rank``, 1 for the best, or else ``score``; ``split`` is optional. Of equal
            ranks or scores the lower row of the item comes first.
        graph: The graph.

    Returns:
        The rows ``user`` and ``item``, and ``split`` if the file has it.

    Raises:
        DataError: If a column is missing, an id unknown, or a user has an item twice.
    """
    table = open_table(path)
    column = {name.lower(): name for name in reversed(list(table.names))}
    ids = [
        next((column[n] for n in names if n in column), "") for names in NAMES.values()
    ]
    order = next((name for name in ("rank", "score") if name in column), "")
    if not all(ids) or not order:
        raise DataError(
            f"{path}:1: expected columns user, item and rank or score, found "
            f"{', '.join(table.names)}"
        )
    texts = [column["split"]] if "split" in column else []
    chunks = list(table.chunks(ids, [column[order]], None, texts))
    read = pd.concat(chunks, ignore_index=True)
    found = pd.DataFrame(
        {
            name: _rows_of(path, read[of], graph, name)
            for name, of in zip(NAMES, ids, strict=True)
        }
    )
    if texts:
        found["split"] = read[texts[0]].str.strip()
    if (twice := found.duplicated()).any():
        first = read[twice].iloc[0]
        raise DataError(
            f"{path}: user '{first[ids[0]]}' has item '{first[ids[1]]}' twice"
        )
    key = read[column[order]].to_numpy() * (1 if order == "rank" else -1)
    return found.iloc[np.lexsort((found["item"], key, found["user"]))]


def _rows_of(
    path: Path, ids: pd.Series, graph: HeteroData, node_type: str
) -> "np.ndarray[Any, np.dtype[np.int64]]":
    code, distinct = pd.factorize(ids, use_na_sentinel=False)
    try:
        rows = IdMap(graph, node_type).rows([str(text).strip() for text in distinct])
    except UnknownNameError as error:
        raise DataError(f"{path}: {error}") from error
    found: np.ndarray[Any, np.dtype[np.int64]] = rows.numpy()[code]
    return found
