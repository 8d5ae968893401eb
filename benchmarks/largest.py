"""The largest array that a computation makes."""

from types import TracebackType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class LargestArray(TorchDispatchMode):
    """Remembers the largest tensor that any operation returns, until stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bytes, self._entered = 0, False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, tuple | list) else (out,):
            if isinstance(x, torch.Tensor) and x.layout == torch.strided:
                self.num_bytes = max(self.num_bytes, x.numel() * x.element_size())
        return out

    def __enter__(self) -> "LargestArray":
        super().__enter__()
        self._entered = True
        return self

    def stop(self) -> None:
        """Leave early, e.g. before timing."""
        if self._entered:
            self._entered = False
            super().__exit__(None, None, None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def megabytes(self) -> float:
        """The size in MB."""
        return self.num_bytes / 2**20
