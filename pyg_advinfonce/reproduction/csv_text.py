"""A table as CSV."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pyg_advinfonce.spreadsheet_text import spreadsheet_text


def to_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return a line a record; lists are joined by semicolons.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    Numbers stay as they are.
    """
    rows = [{key: _cell(value) for key, value in r.items()} for r in records]
    text: str = pd.DataFrame(rows).to_csv(index=False)
    return text


def _cell(value: object) -> object:
    if isinstance(value, list):
        return _cell("; ".join(map(str, value)))
    if isinstance(value, str):
        return spreadsheet_text(value)
    return value
