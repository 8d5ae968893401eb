"""Named tensors, e.g. weights, in hashed safetensors files."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn, uint8

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.files import whole_file
from pyg_advinfonce.ranks import dividing
from pyg_advinfonce.training.columns import table_names, whole_tables

KEY = "pyg_advinfonce"


def write_tensors(
    path: Path | str,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write tensors atomically: the file always has the old or the new content.

    Args:
        path: The file.
        tensors: Tensors by name, on any device.
        about: Metadata, JSON-serialisable.

    Raises:
        OSError: If the file cannot be written; the old file is intact.
    """
    path = Path(path)
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    text = json.dumps(about or {})
    words = json.dumps({"about": text, "sha256": _digest(plain, text)})
    with whole_file(path) as unfinished:  # one key, as the order varies
        unfinished.write_bytes(save(plain, {KEY: words}))


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors, on the CPU, and metadata from a file of :func:`write_tensors`.

    Raises:
        CheckpointError: If the file is missing, damaged or in another format.
    """
    path = Path(path)
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
    try:
        words = json.loads((metadata or {}).get(KEY, "{}"))
        if words["sha256"] == _digest(tensors, words["about"]):
            return tensors, dict(json.loads(words["about"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass  # not written by write_tensors
    raise CheckpointError(f"{path}: damaged, its content does not match its checksum")


def read_columns(files: Sequence[Path]) -> dict[str, Tensor]:
    """Read this process's columns of tables; each file has some columns, in order.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """
    shapes = [_shapes(file) for file in files]
    parts: dict[str, list[Tensor]] = {name: [] for name in shapes[0]}
    ranks, starts = dividing(), dict.fromkeys(parts, 0)
    for file, shape in zip(files, shapes, strict=True):
        tensors, _ = read_tensors(file)
        if {name: [*table.shape] for name, table in tensors.items()} != shape:
            raise CheckpointError(f"{file}: damaged, it does not have its tables")
        for name, found in parts.items():
            width = sum(other[name][1] for other in shapes)
            own = slice(0, width) if ranks is None else ranks.columns(width)
            bounds = (max(0, x - starts[name]) for x in (own.start, own.stop))
            found.append(tensors[name][:, slice(*bounds)].clone())
            starts[name] += shape[name][1]
    return {name: torch.cat(found, 1) for name, found in parts.items()}


def _shapes(file: Path) -> dict[str, list[int]]:
    """Return the shapes of the tables in a file, which is not read otherwise."""
    try:
        with safe_open(file, "pt") as tables:
            names = tables.keys()
            return {name: tables.get_slice(name).get_shape() for name in names}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from error


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    found = sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(uint8).numpy().data)
    return found.hexdigest()


def save_weights(
    module: nn.Module, path: Path | str, tensors: Mapping[str, Tensor] | None = None
) -> None:
    """Write a module's state atomically, with whole tables, in rank 0 only.

    Args:
        module: The module.
        path: The file.
        tensors: Another state of the module (default: the current one).
    """
    state = module.state_dict() if tensors is None else tensors
    whole = whole_tables(state, table_names(module))
    if whole is not None:
        write_tensors(Path(path), whole)


def load_weights(module: nn.Module, path: Path | str) -> None:
    """Load a module's state from a file.

    Raises:
        CheckpointError: If the file is missing, damaged or from another module.
    """
    path = Path(path)
    tensors, _ = read_tensors(path)
    load_tensors(module, tensors, f"{path}: weights of another model")


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], reason: str) -> None:
    """Load a module's state; names, shapes and types must be the module's.

    Raises:
        CheckpointError: If they are not; its message begins with ``reason``.
    """
    for name, own in module.state_dict().items():
        if name in tensors and tensors[name].dtype != own.dtype:
            raise CheckpointError(
                f"{reason}: {name} must be {own.dtype} (got {tensors[name].dtype})"
            )
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise CheckpointError(f"{reason}: {said}") from error
