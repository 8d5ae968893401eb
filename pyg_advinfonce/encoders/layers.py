"""The layers of a linear encoder, made when they are asked for."""

from collections.abc import Callable, Sequence
from typing import overload

from torch import Tensor, nn

from pyg_advinfonce.ops import Adjacency

Tables = tuple[Tensor, Tensor]
Relations = tuple[Adjacency, Adjacency]


class Layers(Sequence[Tables]):
    """Users' and items' rows after each layer, computed once and on demand.

    Args:
        tables: ``[U, D]`` and ``[I, D]`` before any message: layer 0.
        convs: One convolution a layer, called with rows and a relation.
        relations: The messages to users and those to items, one pair a layer.
        perturb: Applied to the rows after each layer, before the next one reads them.
    """

    def __init__(
        self,
        tables: Tables,
        convs: nn.ModuleList,
        relations: Sequence[Relations],
        perturb: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._made: list[Tables] = [tables]
        self._convs, self._relations, self._perturb = convs, relations, perturb

    def __len__(self) -> int:
        return len(self._relations) + 1

    @overload
    def __getitem__(self, index: int) -> Tables: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tables]: ...
    def __getitem__(self, index: int | slice) -> Tables | Sequence[Tables]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._layer(k) for k in places]
        return self._layer(places)

    def _layer(self, k: int) -> Tables:
        while len(self._made) <= k:
            place = len(self._made) - 1
            user, item = self._made[-1]
            to_user, to_item = self._relations[place]
            conv = self._convs[place]
            user, item = conv(item, to_user), conv(user, to_item)
            if self._perturb is not None:
                user, item = self._perturb(user), self._perturb(item)
            self._made.append((user, item))
        return self._made[k]
