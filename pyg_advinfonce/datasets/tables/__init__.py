"""Tables of interactions, CSV or parquet, read in pieces of moderate size."""
