"""A recommender as an ONNX graph."""

from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.serving.served_tables import Array, ServedTables

MAX_BYTES = 2**31 - 2**20
"""What one file of protocol buffers holds, less room for the graph."""


def write_onnx(tables: ServedTables, path: Path) -> None:
    """Write a graph from ids of users to ids and scores of their best items.

    Inputs:
        - ``user_id`` ``[N]``: ids of the input; an unknown one is an error.
        - ``k`` ``[1]``, optional: the length of the lists, 20.
        - ``hidden_place`` and ``hidden_item_id`` ``[M]``, optional: which of the ``N``
          lists must not show which item, e.g. what the user has seen. An unknown item
          does no harm.

    Outputs:
        - ``item_id`` and ``score`` ``[N, k]``, the best first. An item with the score
          ``-inf`` must not be shown: there are fewer that may.

    Raises:
        MissingExtraError: If onnx is not installed.
        ConfigError: If the tables are too large for one file.
    """
    onnx = optional_package("onnx")
    size = tables.user.nbytes + tables.item.nbytes
    if size > MAX_BYTES:
        raise ConfigError(
            f"an ONNX file holds 2 GB, the embeddings are {size / 2**30:.1f} GB: "
            "export safetensors"
        )
    model = _model(onnx, tables)
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


def _model(onnx: Any, tables: ServedTables) -> Any:  # noqa: ANN401
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


def _nodes(onnx: Any, tables: ServedTables) -> list[Any]:  # noqa: ANN401
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
    """Return the node that maps ids to rows, an unknown id to a row after the last."""
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


def _constants(tables: ServedTables) -> dict[str, Array]:
    """Return tables and defaults; a last, empty item is what unknown ids stand for."""
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


def _inputs(onnx: Any, tables: ServedTables) -> list[Any]:  # noqa: ANN401
    value, integer = onnx.helper.make_tensor_value_info, onnx.TensorProto.INT64
    return [
        value("user_id", _type(onnx, tables.user_id), ["N"]),
        value("k", integer, [1]),
        value("hidden_place", integer, ["M"]),
        value("hidden_item_id", _type(onnx, tables.item_id), ["M"]),
    ]


def _outputs(onnx: Any, tables: ServedTables) -> list[Any]:  # noqa: ANN401
    value = onnx.helper.make_tensor_value_info
    return [
        value("item_id", _type(onnx, tables.item_id), ["N", "k"]),
        value("score", onnx.TensorProto.FLOAT, ["N", "k"]),
    ]


def _type(onnx: Any, ids: Array) -> int:  # noqa: ANN401
    types = onnx.TensorProto
    found: int = types.STRING if ids.dtype == object else types.INT64
    return found
