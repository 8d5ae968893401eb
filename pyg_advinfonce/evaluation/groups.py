"""Recall and exposure by popularity of the item and by activity of the user."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from pyg_advinfonce.evaluation.metrics import Catalogue, RankedLists, exposure_of

DECILES = 10


def group_table(
    lists: RankedLists, cutoffs: Sequence[int], catalogue: Catalogue
) -> pd.DataFrame:
    """Return the table of :meth:`~pyg_advinfonce.evaluation.Evaluator.by_group`."""
    tables = [_table(lists, k, catalogue) for k in cutoffs]
    return pd.concat(tables, ignore_index=True)


def _table(lists: RankedLists, k: int, catalogue: Catalogue) -> pd.DataFrame:
    num_items, degree = len(catalogue.degree), catalogue.degree
    item = lists.item[:, :k]
    data = lists.data(num_items)
    hit = data.pred_rel_mat[:, :k]
    listed, hits = exposure_of(item, num_items), exposure_of(item[hit], num_items)
    labels = torch.bincount(lists.label_index[1], minlength=num_items)
    among = catalogue.is_candidate.nonzero().view(-1)  # [C]
    by_item = {
        "train_pairs": degree[among],
        "listed": listed[among],
        "positives": labels[among],
        "hits": hits[among],
        "popularity": (listed * degree)[among],
    }
    popularity = degree[item.clamp(min=0)].where(item >= 0, 0).sum(-1)
    by_user = {
        "train_pairs": catalogue.activity[lists.user],
        "listed": (item >= 0).sum(-1),
        "positives": data.label_count,
        "hits": hit.sum(-1),
        "popularity": popularity,
        "recall": hit.sum(-1) / data.label_count.double(),
    }
    items, users = _sums(by_item), _sums(by_user)
    items["recall"] = items["hits"] / items["positives"].where(items["positives"] > 0)
    users["recall"] /= users["members"]
    found = pd.concat({"item": items, "user": users}, names=["group", "decile"])
    found["share"] = found["listed"] / max(1, int((item >= 0).sum()))
    found["arp"] = found.pop("popularity") / found["listed"].where(found["listed"] > 0)
    found = found.reset_index()
    found.insert(0, "k", k)
    found.insert(0, "split", lists.split)
    return found


def _sums(values: dict[str, Tensor]) -> pd.DataFrame:
    """Return the sums of each decile by train degree, and its number of members.

    Deciles have equal sizes; among equal degrees the lower id is in the higher decile,
    as it is listed first.
    """
    table = pd.DataFrame({name: value.cpu().numpy() for name, value in values.items()})
    order = table["train_pairs"].sort_values(ascending=False, kind="stable").index
    place = pd.Series(range(len(order)), index=order)  # 0 for the largest degree
    decile = (DECILES - place * DECILES // max(1, len(order))).rename("decile")
    grouped = table.groupby(decile)
    sums = grouped.sum()
    sums.insert(0, "members", grouped.size())
    return sums
