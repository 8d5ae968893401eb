"""``advnce doctor``: versions, devices and kernels of this machine."""

import platform
from importlib import metadata

import typer

PACKAGES = ("torch", "torch-geometric", "numpy", "scipy", "scikit-learn", "pandas")
OPTIONAL = (
    "pyg-lib",
    "torch-sparse",
    "torch-scatter",
    "optuna",
    "pyarrow",
    "matplotlib",
    "faiss-cpu",
    "onnx",
    "triton",
)


def doctor() -> None:
    """Show versions, devices and the kernels in use."""
    import torch

    from pyg_advinfonce.ops import MOST_GATHERED
    from pyg_advinfonce.ops import default_edge_scores_backend as scores_backend
    from pyg_advinfonce.ops import default_propagate_backend as product_backend
    from pyg_advinfonce.version import __version__

    _row("pyg-advinfonce", __version__)
    _row("python", platform.python_version())
    for name in PACKAGES + OPTIONAL:
        _row(name, _version(name))
    _row("cpu threads", str(torch.get_num_threads()))
    devices = ["cpu"]
    for index in range(torch.cuda.device_count()):
        devices.append(f"cuda:{index}")
        _row(f"cuda:{index}", torch.cuda.get_device_name(index))
    for name in devices:
        device = torch.device(name)
        _row(f"propagation on {name}", product_backend(device))
        ways = [scores_backend(device, size) for size in (1, MOST_GATHERED + 1)]
        _row(f"edge scores on {name}", ", large ones ".join(dict.fromkeys(ways)))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed" + (" (optional)" if package in OPTIONAL else "")


def _row(name: str, value: str) -> None:
    typer.echo(f"{name:<24}{value}")
