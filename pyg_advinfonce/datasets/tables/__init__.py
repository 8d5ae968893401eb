"""Tables of interactions: columns, conditions and readers."""

from pyg_advinfonce.datasets.tables.columns import (
    Columns,
    Condition,
    TableOptions,
    find_columns,
    warn_of_ratings,
)
from pyg_advinfonce.datasets.tables.delimited import DelimitedTable
from pyg_advinfonce.datasets.tables.frames import parquet_parts, table_sha256
from pyg_advinfonce.datasets.tables.read import (
    SUFFIXES,
    Log,
    Logs,
    Table,
    open_table,
    read_logs,
)

__all__ = [
    "SUFFIXES",
    "Columns",
    "Condition",
    "DelimitedTable",
    "Log",
    "Logs",
    "Table",
    "TableOptions",
    "find_columns",
    "open_table",
    "parquet_parts",
    "read_logs",
    "table_sha256",
    "warn_of_ratings",
]
