"""A check, on any machine, that no tensor is made on a device left to chance."""

from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors


class DeviceIsNamed(TorchFunctionMode):
    """Raise where a tensor is made from nothing without ``device=``."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _device_constructors() and kwargs.get("device") is None:
            raise AssertionError(f"torch.{func.__name__} without device=")
        return func(*args, **kwargs)
