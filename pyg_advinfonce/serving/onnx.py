"""Export of a recommender as an ONNX graph."""

from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.serving.tables import Array, EmbeddingTables

MAX_BYTES = 2**31 - 2**20
"""Size limit of a protocol buffers file, minus space for the graph."""


def write_onnx(tables: EmbeddingTables, path: Path) -> None:
    """Write an ONNX graph from user ids to ids and scores of their best items.

    Inputs:
        - ``user_id`` ``[N]``: ids of the input data; an unknown id is an error.
        - ``k`` ``[1]``, optional: length of the lists (default: 20).
        - ``hidden_place`` and ``hidden_item_id`` ``[M]``, optional: pairs of a list's
          index in ``user_id`` and an item id that it must not contain, e.g. an item
          that the user has seen. Unknown item ids are ignored.

    Outputs:
        - ``item_id`` and ``score`` ``[N, k]``, best first. A score of ``-inf`` marks
          padding of a list with fewer than ``k`` items.

    Raises:
        MissingExtraError: If onnx is not installed.
        ConfigError: If the tables are too large for one file.
    """
    onnx = optional_package("onnx")
    size = tables.user.nbytes + tables.item.nbytes
    if size > MAX_BYTES:
        raise ConfigError(
            f"embeddings must fit in an ONNX file of 2 GB (got {size / 2**30:.1f} GB): "
            "export safetensors"
        )
    model = _model(onnx, tables)
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


def _model(onnx: Any, tables: EmbeddingTables) -> Any:  # noqa: ANN401
    graph = onnx.helper.make_graph(
        _nodes(onnx, tables),
        "recommend",
        _inputs(onnx, tables),
        _outputs(onnx, tables),
        [onnx.numpy_helper.from_array(a, n) for n, a in _constants(tables).items()],
    )
    opsets = [onnx.helper.make_opsetid(*o) for o in (("", 17), ("ai.onnx.ml", 4))]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.helper.set_model_props(model, dict(tables.notes))
    return model


def _nodes(onnx: Any, tables: EmbeddingTables) -> list[Any]:  # noqa: ANN401
    node = onnx.helper.make_node
    return [
        _row_of(onnx, tables.user_id, "user_id", "user_row"),
        node("Gather", ["user", "user_row"], ["z_user"]),
        node("Gemm", ["z_user", "item", "bias"], ["all_scores"], transB=1),
        _row_of(onnx, tables.item_id, "hidden_item_id", "hidden_row"),
        node("Unsqueeze", ["hidden_place", "last_axis"], ["place"]),
        node("Unsqueeze", ["hidden_row", "last_axis"], ["row"]),
        node("Concat", ["place", "row"], ["hidden"], axis=1),
        node("Shape", ["hidden_row"], ["num_hidden"]),
        node("Expand", ["minus_infinity", "num_hidden"], ["nothing"]),
        node("ScatterND", ["all_scores", "hidden", "nothing"], ["scores"]),
        node("TopK", ["scores", "k"], ["score", "best_row"]),
        node("Gather", ["item_ids", "best_row"], ["item_id"]),
    ]


def _row_of(onnx: Any, ids: Array, name: str, output: str) -> Any:  # noqa: ANN401
    """Return the node that maps ids to rows; unknown ids map to an extra last row."""
    tensor = onnx.numpy_helper.from_array
    return onnx.helper.make_node(
        "LabelEncoder",
        [name],
        [output],
        domain="ai.onnx.ml",
        keys_tensor=tensor(ids),
        values_tensor=tensor(np.arange(len(ids))),
        default_tensor=tensor(np.array([len(ids)])),
    )


def _constants(tables: EmbeddingTables) -> dict[str, Array]:
    """Return tables and defaults; the last row of items stands for unknown ids."""
    item, ids = tables.item, tables.item_id
    bias = np.where(tables.candidate_mask, 0, -np.inf)  # [I]
    no_id = "" if ids.dtype == object else -1
    return {
        "user": tables.user,
        "item": np.concatenate([item, np.zeros_like(item[:1])]),  # [I + 1, D]
        "bias": np.append(bias, -np.inf).astype(np.float32),  # [I + 1]
        "item_ids": np.append(ids, np.array([no_id], dtype=ids.dtype)),  # [I + 1]
        "k": np.array([20]),
        "hidden_place": np.zeros(0, np.int64),
        "hidden_item_id": ids[:0],
        "last_axis": np.array([1]),
        "minus_infinity": np.array([-np.inf], np.float32),
    }


def _inputs(onnx: Any, tables: EmbeddingTables) -> list[Any]:  # noqa: ANN401
    value, integer = onnx.helper.make_tensor_value_info, onnx.TensorProto.INT64
    return [
        value("user_id", _type(onnx, tables.user_id), ["N"]),
        value("k", integer, [1]),
        value("hidden_place", integer, ["M"]),
        value("hidden_item_id", _type(onnx, tables.item_id), ["M"]),
    ]


def _outputs(onnx: Any, tables: EmbeddingTables) -> list[Any]:  # noqa: ANN401
    value = onnx.helper.make_tensor_value_info
    return [
        value("item_id", _type(onnx, tables.item_id), ["N", "k"]),
        value("score", onnx.TensorProto.FLOAT, ["N", "k"]),
    ]


def _type(onnx: Any, ids: Array) -> int:  # noqa: ANN401
    types = onnx.TensorProto
    found: int = types.STRING if ids.dtype == object else types.INT64
    return found
