"""The command line ``advnce``."""
