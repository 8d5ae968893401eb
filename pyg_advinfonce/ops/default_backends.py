"""Default backends of operations within a context."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import torch

# Losses and encoders call operations without a backend, and so does the code of users.
_CHOSEN: ContextVar[Mapping[str, str]] = ContextVar("backends", default={})  # noqa: B039


@contextmanager
def default_backends(**names: str) -> Iterator[None]:
    """Choose the default backends of operations within a context.

    They hold in the thread of the context; a backward pass takes the backend of its
    forward pass. Compiled code takes the device's default.

    Args:
        **names: Backends by operation, ``edge_scores`` and ``propagate``.
    """
    token = _CHOSEN.set({**_CHOSEN.get(), **names})
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen_backend(operation: str) -> str | None:
    """Return the backend that a context chooses for an operation, if any."""
    return None if torch.compiler.is_compiling() else _CHOSEN.get().get(operation)
