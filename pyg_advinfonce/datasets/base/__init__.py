"""Shared parts of data sets: split files, processed graphs, summaries.

What needs torch is imported on first use.
"""

from typing import TYPE_CHECKING

from pyg_advinfonce.datasets.base.named import (
    TABLE_SUFFIXES,
    check_name,
    find_folder,
    is_table,
    table_suffix,
)
from pyg_advinfonce.datasets.base.split_files import (
    FORMATS,
    ITEM_IDS,
    NOT_CANDIDATE,
    SEEN,
    SPLIT_OF_FILE,
    USER_IDS,
    IdList,
    IntArray,
    RawFile,
    SplitPairs,
    begins,
    distinct_keys,
    distinct_pairs,
    file_per_split,
    is_integer_id,
    is_printable_id,
    joined,
    masked,
    pairs_at,
    pairs_in,
    parse_files,
    raw_ids_text,
    read_files,
    row_type,
    split_of_file,
    take_ids,
)
from pyg_advinfonce.lazy import lazy_names

if TYPE_CHECKING:
    from pyg_advinfonce.datasets.base.description import Summary, fingerprint_text
    from pyg_advinfonce.datasets.base.processed import (
        FORMAT_VERSION,
        Processed,
        ProcessedDataset,
        load_or_build,
        process,
    )

__all__ = [
    "FORMATS",
    "FORMAT_VERSION",
    "ITEM_IDS",
    "NOT_CANDIDATE",
    "SEEN",
    "SPLIT_OF_FILE",
    "TABLE_SUFFIXES",
    "USER_IDS",
    "IdList",
    "IntArray",
    "Processed",
    "ProcessedDataset",
    "RawFile",
    "SplitPairs",
    "Summary",
    "begins",
    "check_name",
    "distinct_keys",
    "distinct_pairs",
    "file_per_split",
    "find_folder",
    "fingerprint_text",
    "is_integer_id",
    "is_printable_id",
    "is_table",
    "joined",
    "load_or_build",
    "masked",
    "pairs_at",
    "pairs_in",
    "parse_files",
    "process",
    "raw_ids_text",
    "read_files",
    "row_type",
    "split_of_file",
    "table_suffix",
    "take_ids",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FORMAT_VERSION": "processed",
        "Processed": "processed",
        "ProcessedDataset": "processed",
        "Summary": "description",
        "fingerprint_text": "description",
        "load_or_build": "processed",
        "process": "processed",
    },
)
