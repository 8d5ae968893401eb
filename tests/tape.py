"""A record of tensor operations that repeats them as a CUDA graph would."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape:
    """A recorder for :class:`~pyg_advinfonce.training.cuda_graph.StepGraph`.

    A replay repeats each operation on the very tensors of the record, and writes what
    the operation returned where it was. Python does not run again: a value that it read
    keeps its first value, and a tensor that it bound to another name stays as it is.
    Unlike a graph, a record runs the work; what it changed is undone.

    Args:
        state: All tensors that the work changes and that exist before it.
    """

    def __init__(self, state):
        self.state, self.replays = state, 0

    def run(self, work):
        return work()

    def record(self, work):
        before = [(x, x.detach().clone()) for x in self.state()]
        generator = torch.get_rng_state()
        with _Operations() as found:
            results = work()
        for tensor, value in before:
            tensor.detach().copy_(value)
        torch.set_rng_state(generator)

        def replay():
            self.replays += 1
            for func, args, kwargs, out in found.calls:
                _repeat(func, args, kwargs, out)

        return replay, results


@torch.no_grad()
def _repeat(func, args, kwargs, out):
    made = func(*args, **kwargs)
    for old, new in zip(tree_leaves(out), tree_leaves(made), strict=True):
        if isinstance(old, Tensor):
            for target, source in zip(_arrays(old), _arrays(new), strict=True):
                if target.data_ptr() != source.data_ptr():
                    target.copy_(source)


def _arrays(tensor):
    """Return the dense tensors that hold a tensor's values."""
    match tensor.layout:
        case torch.sparse_coo:
            return tensor._indices(), tensor._values()
        case torch.sparse_csr:
            return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    return (tensor,)


class _Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, out))
        return out
