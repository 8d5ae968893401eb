"""The processes of one training: what each owns, and what they exchange."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.launch import is_launched, num_restarts

T = TypeVar("T")


class Ranks:
    """Processes that train together, started by ``torchrun``.

    Each rank owns a share of the columns of every table, and a share of the users when
    items are ranked. All methods but :meth:`share`, :meth:`columns` and :meth:`own` are
    collective: every rank calls them, in the same order.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        num_bytes: Bytes that :meth:`sum` has summed so far.
    """

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.num_bytes = 0

    def share(self, number: int) -> slice:
        """Return this rank's share of rows or columns; the first shares are larger."""
        least, more = divmod(number, self.size)
        start = self.rank * least + min(self.rank, more)
        return slice(start, start + least + (self.rank < more))

    def columns(self, number: int) -> slice:
        """Return this rank's share of the columns of a table.

        Raises:
            ConfigError: If a rank would have none.
        """
        if number < self.size:
            raise ConfigError(
                f"each of {self.size} processes needs a column of every table (got "
                f"one of {number}): start fewer processes"
            )
        return self.share(number)

    def own(self, x: Tensor) -> Tensor:
        """Return a copy of this rank's columns of a whole table ``[N, D]``."""
        own = x[:, self.columns(x.size(1))]
        return own.clone(memory_format=torch.contiguous_format)

    def sum(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Return the sums over all ranks of tensors of the same shapes and type.

        They take one exchange, whose cost hardly depends on the size of small tensors.
        """
        found = torch.cat([x.detach().flatten() for x in parts])
        self.num_bytes += found.numel() * found.element_size()
        distributed.all_reduce(found)
        sums = found.split([x.numel() for x in parts])
        return tuple(s.view(x.shape) for s, x in zip(sums, parts, strict=True))

    def first(self, x: Tensor) -> Tensor:
        """Return rank 0's tensor of the same shape."""
        found = x.detach().clone(memory_format=torch.contiguous_format)
        distributed.broadcast(found, 0)
        return found

    def cat(self, x: Tensor, dim: int = 0) -> Tensor:
        """Concatenate tensors that differ in the size of one dimension, by rank."""
        parts = []
        for rank, size in enumerate(self._sizes(x.size(dim))):
            shape = [*x.shape]
            shape[dim] = size
            part = x.contiguous() if rank == self.rank else x.new_empty(shape)
            distributed.broadcast(part, rank)
            parts.append(part)
        return torch.cat(parts, dim)

    def collect(self, x: Tensor) -> Tensor:
        """Return the whole table in rank 0, given each rank's columns ``[N, d]``."""
        widths = self._sizes(x.size(1))
        if self.rank:
            distributed.send(x.contiguous(), 0)
            return x
        parts = [x, *(x.new_empty(x.size(0), width) for width in widths[1:])]
        for rank in range(1, self.size):
            distributed.recv(parts[rank], rank)
        return torch.cat(parts, 1)

    def rows(self, x: Tensor) -> Tensor:
        """Exchange columns for rows: ``[N, d]`` of this rank to ``[n, D]`` of it."""
        widths = self._sizes(x.size(1))
        rows = x[self.share(x.size(0))].size(0)
        sent = [size * x.size(1) for size in self._sizes(rows)]
        received = [rows * width for width in widths]
        found = x.new_empty(sum(received))
        flat = x.detach().contiguous().view(-1)
        distributed.all_to_all_single(found, flat, received, sent)
        parts = zip(found.split(received), widths, strict=True)
        return torch.cat([part.view(rows, width) for part, width in parts], 1)

    def check_same(self, what: str, *values: object) -> None:
        """Check that values with a stable text are equal on all ranks.

        Raises:
            ConfigError: On every rank, if they are not.
        """
        digest = sha256(repr(values).encode()).digest()[:7]
        number = int.from_bytes(digest, "big")
        low, high = torch.tensor([number, number]), torch.tensor([number, number])
        distributed.all_reduce(low, distributed.ReduceOp.MIN)
        distributed.all_reduce(high, distributed.ReduceOp.MAX)
        if not torch.equal(low, high):
            raise ConfigError(
                f"expected the same {what} on all {self.size} processes (got "
                "different ones): start them with the same command, data, versions "
                "and kind of device"
            )

    def wait(self) -> None:
        """Wait until all ranks have come here."""
        distributed.barrier()

    def _sizes(self, own: int) -> list[int]:
        sizes = torch.zeros(self.size, dtype=torch.long, device="cpu")
        sizes[self.rank] = own
        distributed.all_reduce(sizes)
        found: list[int] = sizes.tolist()
        return found


_ranks: Ranks | None = None
_divided = False


def ranks() -> Ranks | None:
    """Return the processes of this training, None if it is a single one."""
    return _ranks


def dividing() -> Ranks | None:
    """Return the processes if tables are divided by columns, else None."""
    return _ranks if _divided else None


def agreed(x: Tensor) -> Tensor:
    """Return rank 0's value of what all ranks have computed, if tables are divided."""
    found = dividing()
    return x if found is None else found.first(x)


def from_first(make: Callable[[], T]) -> T:
    """Return what a function returns in rank 0, or raise its error, in all ranks.

    In a single process it is called there.
    """
    if _ranks is None:
        return make()
    found: list[tuple[T | None, Exception | None] | None] = [None]
    if _ranks.rank == 0:
        try:
            found = [(make(), None)]
        except Exception as error:
            found = [(None, error)]
    distributed.broadcast_object_list(found, 0)
    value, failure = cast("tuple[T, Exception | None]", found[0])
    if failure is not None:
        raise failure
    return value


def is_first() -> bool:
    """Whether this process writes files and messages."""
    return _ranks is None or _ranks.rank == 0


@contextmanager
def joined(device: torch.device, *, columns: bool) -> Iterator[Ranks | None]:
    """Join the processes that ``torchrun`` has started, until the end of the block.

    A process that is alone trains alone: the block gets None.

    Args:
        device: The device of this process.
        columns: Whether tables are divided by columns. If not, only users are divided,
            when items are ranked.

    Raises:
        ConfigError: If the processes have different kinds of devices.
    """
    global _ranks, _divided
    if not is_launched():
        yield None
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    both = distributed.is_nccl_available() and torch.cuda.is_available()
    backend = "cpu:gloo,cuda:nccl" if both else "gloo"
    store, rank, size = next(rendezvous("env://"))
    # A restarted process would read addresses of the last start, which the launcher's
    # store keeps.
    own = PrefixStore(f"attempt {num_restarts()}", store)
    distributed.init_process_group(backend, store=own, rank=rank, world_size=size)
    try:
        found = Ranks()
        kind = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        found.check_same("kind of device", device.type, kind)
        _ranks, _divided = found, columns
        yield found
        found.wait()  # no rank may close a connection that another one uses
    finally:
        _ranks, _divided = None, False
        distributed.destroy_process_group()
