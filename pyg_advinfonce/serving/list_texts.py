"""Tables of recommendations as text, piece by piece."""

from collections.abc import Iterable, Iterator

import pandas as pd

from pyg_advinfonce.spreadsheet_text import spreadsheet_text


def csv_texts(tables: Iterable[pd.DataFrame]) -> Iterator[str]:
    """Yield CSV with one header.

    An id that a spreadsheet would take for a formula begins with an apostrophe.
    """
    for number, table in enumerate(tables):
        guarded = table.apply(_guarded) if len(table) else table
        yield guarded.to_csv(index=False, header=number == 0, lineterminator="\n")


def json_texts(tables: Iterable[pd.DataFrame]) -> Iterator[str]:
    """Yield a JSON object a line."""
    for table in tables:
        yield table.to_json(orient="records", lines=True, force_ascii=False)


def _guarded(column: "pd.Series[str]") -> "pd.Series[str]":
    is_number = pd.api.types.is_numeric_dtype(column)
    return column if is_number else column.map(spreadsheet_text)
