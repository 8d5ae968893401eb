"""Training in several processes: tables by columns, norms, and an agreed end."""

import signal
from collections.abc import Iterable, Mapping
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from pyg_advinfonce.ranks import dividing


def table_names(module: nn.Module) -> set[str]:
    """Return the names of the parameters that are divided by columns."""
    return {name for name, p in module.named_parameters() if _is_table(p)}


def whole_tables(
    tensors: Mapping[str, Tensor], tables: Iterable[str]
) -> Mapping[str, Tensor] | None:
    """Return tensors with whole tables in rank 0, and None in the others.

    In a single process the tensors are whole. Every rank calls it.

    Args:
        tensors: Tensors by name, the same names in all ranks.
        tables: Names of those that are divided by columns.
    """
    ranks = dividing()
    if ranks is None:
        return tensors
    known, found = set(tables), dict(tensors)
    for name in sorted(known & set(found)):
        found[name] = ranks.collect(found[name])
    return found if ranks.rank == 0 else None


def own_tables(
    tensors: Mapping[str, Tensor], tables: Iterable[str]
) -> Mapping[str, Tensor]:
    """Return tensors with this rank's columns of whole tables."""
    ranks, known = dividing(), set(tables)
    if ranks is None:
        return tensors
    return {n: ranks.own(t) if n in known else t for n, t in tensors.items()}


def total_norm(params: Iterable[nn.Parameter], number: int) -> tuple[Tensor, Tensor]:
    """Return the norm of gradients over all columns, and a number's sum over ranks."""
    grads = [p.grad for p in params if p.grad is not None]
    ranks = dividing()
    if ranks is None:
        norm = get_total_norm(grads)
        return norm, norm.new_zeros(())
    tables = get_total_norm([g for g in grads if _is_table(g)])
    others = get_total_norm([g for g in grads if not _is_table(g)])
    square, count = ranks.sum(tables.square(), tables.new_tensor(number))
    return (square + others.to(square).square()).sqrt(), count


def _is_table(x: Tensor) -> bool:
    return x.dim() == 2


class AgreedStop:
    """Ends training in all processes after the same step.

    A signal to end, Ctrl-C or SIGTERM, may reach one process only, or several at
    different steps. It is kept until all know of it by :meth:`norm` of the same step.
    A second signal ends this process at once. No effect in a single process.
    """

    def __init__(self) -> None:
        self.ranks = dividing()
        self._received: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if self.ranks is not None:
            for number in (signal.SIGINT, signal.SIGTERM):
                # A process in the background ignores Ctrl-C, and goes on to do so.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None:
            self._end()

    def norm(self, params: Iterable[nn.Parameter]) -> tuple[Tensor, Tensor]:
        """Return :func:`total_norm`, and how many processes have a signal."""
        return total_norm(params, len(self._received))

    def end(self) -> NoReturn:
        """End training, in all processes, as the first signal would have done.

        Raises:
            KeyboardInterrupt: Always.
        """
        self._end()
        raise KeyboardInterrupt

    def _end(self) -> None:
        if not self._received:
            return
        handler = self._before[self._received[0]]
        if callable(handler):
            handler(self._received[0], None)
        raise KeyboardInterrupt

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
        signal.signal(number, self._before[number])
