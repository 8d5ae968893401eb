"""A record, on any machine, of where code would wait for a GPU."""

import re
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import pyg_advinfonce

PACKAGE = Path(pyg_advinfonce.__file__).parent
GPU = torch.device("cuda", 0)

# Functions of Python that copy a tensor to the host, or values of the host to a tensor.
COPIES = {
    Tensor.__array__,
    Tensor.cpu,
    Tensor.new_tensor,
    Tensor.numpy,
    Tensor.tolist,
    torch.as_tensor,
    torch.from_numpy,
    torch.tensor,
}
# Operations that wait on a GPU although their result does not show it.
WAITS = {
    torch.ops.aten._coalesce.default,
    torch.ops.aten._linalg_check_errors.default,
    torch.ops.aten.multinomial.default,
}
DEPENDS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
INDEXING = {"index", "index_put", "index_put_"}


class Watch:
    """Lets code run as on a GPU, and records where it would wait for it.

    A value that Python reads, a shape that depends on values, and a copy between host
    and device each wait until the device has done all earlier work. Every tensor says
    that it is on a GPU, so that the code chooses what it does there; it is on the CPU.

    Attributes:
        records: Whether waits are recorded.
        found: The waits as pairs of a function and an operation. A function of the
            package is named ``folder/file:name``.
    """

    def __init__(self):
        self.records, self.found = True, set()
        self._functions, self._operations = _Functions(self), _Operations(self)
        self._stack = ExitStack()

    def __enter__(self):
        # In a backward pass autograd ends the mode of functions.
        apply, functions = BackwardCFunction.apply, self._functions

        def watched(node, *args):
            with functions:
                return apply(node, *args)

        self._stack.enter_context(patch.object(BackwardCFunction, "apply", watched))
        self._stack.enter_context(self._functions)
        self._stack.enter_context(self._operations)
        return self

    def __exit__(self, *error):
        self._stack.close()

    def add(self, operation):
        """Record an operation of the innermost function of the package."""
        if not self.records:
            return
        frame = sys._getframe(2)
        while frame and PACKAGE not in Path(frame.f_code.co_filename).parents:
            frame = frame.f_back
        self.found.add((_name(frame), operation.removesuffix("_")))


def _name(frame):
    if frame is None:
        return "outside"
    file = Path(frame.f_code.co_filename).relative_to(PACKAGE).with_suffix("")
    inner = r"\.<(listcomp|genexpr|lambda|locals)>"
    return f"{file.as_posix()}:{re.sub(inner, '', frame.f_code.co_qualname)}"


class _Functions(TorchFunctionMode):
    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func == Tensor.device.__get__:  # another object in each call
            return GPU
        if func == Tensor.is_cuda.__get__:
            return True
        kwargs = kwargs or {}
        if func is torch.device:  # a name, not a tensor
            return func(*args, **kwargs)
        named = map(_device_type, (*args, *kwargs.values()))
        if func in COPIES or "cpu" in named:
            self.watch.add(func.__name__)
        args = [_moved(value) for value in args]
        return func(*args, **{key: _moved(value) for key, value in kwargs.items()})


def _device_type(value):
    """Return the type of the device that an argument names, or None."""
    if isinstance(value, str):
        name = value.split(":")[0]
        return name if name in ("cpu", "cuda") else None
    return value.type if isinstance(value, torch.device) else None


def _moved(value):
    return "cpu" if _device_type(value) == "cuda" else value


class _Operations(TorchDispatchMode):
    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _waits(func, args, kwargs):
            self.watch.add(func.overloadpacket.__name__)
        return func(*args, **kwargs)


def _waits(func, args, kwargs):
    if func.overloadpacket.__name__ in INDEXING:
        given = (index.dtype for index in args[1] if index is not None)
        return not {torch.bool, torch.uint8}.isdisjoint(given)
    if func is torch.ops.aten.repeat_interleave.Tensor:
        return kwargs.get("output_size") is None
    return func in WAITS or not DEPENDS.isdisjoint(func.tags)
