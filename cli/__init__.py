"""The command line ``advnce``, see :mod:`pyg_advinfonce.cli.main`."""

__all__: list[str] = []
