"""The paper's tables, run again: :data:`pyg_advinfonce.registry.REPRODUCTIONS`."""
