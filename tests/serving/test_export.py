import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

import pyg_advinfonce.errors as packages
from pyg_advinfonce import __version__
from pyg_advinfonce.errors import ConfigError, MissingExtraError
from pyg_advinfonce.serving import export
from pyg_advinfonce.serving import onnx as onnx_export
from pyg_advinfonce.serving.export import FORMATS
from tests import cases

NOTES = {
    "made_by": f"pyg_advinfonce {__version__}",
    "score": "dot product",
    "cosine": "true",
    "data": "toy",
}
IDS = {"named": [f"=i{row}" for row in range(12)], "plain": list(range(12))}


@pytest.fixture(params=["named", "plain"])
def case(request, graph, named_graph, make, tmp_path):
    """A graph with ids of its own or without, a method, and a function that exports."""
    whole = named_graph if request.param == "named" else graph
    method = make(whole, cosine=True)

    def write(to):
        path = tmp_path / f"made.{to}"
        assert export(method, whole, path, notes={"data": "toy"}) == path
        beside = (
            [f"{path.name}.ids.json"] if to == "faiss" and whole is named_graph else []
        )
        assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, *beside]
        return path

    return request.param, method, whole, write


def expected_arrays(name, method, graph):
    z_user, z_item = method.embed(graph)
    mask = np.ones(12, dtype=bool)
    mask[[1, 3, 11]] = name == "plain"
    return {
        "user": z_user.numpy(),
        "item": z_item.numpy(),
        "user_id": np.arange(9) + 101 * (name == "named"),
        "item_id": np.array(IDS[name]),
        "seen": np.array(seen_by(name)).T,
        "candidate_mask": mask,
    }


def seen_by(name):
    """Return the pairs of all splits, which only the plain graph has besides train."""
    held_out = [*cases.VALID, *cases.TEST] if name == "plain" else []
    return sorted([*cases.TRAIN, *held_out])


def test_npz_is_read_by_numpy(case):
    name, method, graph, write = case
    with np.load(write("npz"), allow_pickle=False) as found:
        assert json.loads(str(found["notes"])) == NOTES
        for key, array in expected_arrays(name, method, graph).items():
            assert np.array_equal(found[key], array)
            assert found[key].dtype == array.dtype
        norms = np.linalg.norm(found["user"], axis=1)
    assert norms == pytest.approx(1)


def test_safetensors(case):
    name, method, graph, write = case
    expected = expected_arrays(name, method, graph)
    with safe_open(write("safetensors"), "np") as file:
        assert file.metadata() == NOTES
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if name == "named":
        found["item_id"] = np.array(json.loads(bytes(found["item_id"])))
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert np.array_equal(found[key], array)


def test_parquet_has_a_row_a_node(case):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    name, method, graph, write = case
    expected = expected_arrays(name, method, graph)
    table = parquet.read_table(write("parquet"))
    assert {k.decode(): v.decode() for k, v in table.schema.metadata.items()} == NOTES
    rows = table.to_pylist()
    users, items = rows[:9], rows[9:]
    for kind, part in (("user", users), ("item", items)):
        assert [r[f"{kind}_id"] for r in part] == expected[f"{kind}_id"].tolist()
        assert np.array_equal([r["embedding"] for r in part], expected[kind])
    assert all(r["item_id"] is None and r["is_candidate"] is None for r in users)
    assert all(r["user_id"] is None and r["seen"] is None for r in items)
    assert [r["is_candidate"] for r in items] == expected["candidate_mask"].tolist()
    seen = [[IDS[name][i] for u, i in seen_by(name) if u == row] for row in range(9)]
    assert [r["seen"] for r in users] == seen


def naive_order(method, graph, user):
    """Rank all candidates of a user by sorting, nothing hidden."""
    z_user, z_item = method.embed(graph)
    score = (z_user[user] @ z_item.T).tolist()
    mask = graph["item"].get("candidate_mask", torch.ones(12, dtype=torch.bool))
    kept = [i for i in range(12) if mask[i]]
    return sorted(kept, key=lambda i: (-score[i], i)), score


def test_faiss_ranks_as_we_do(case):
    faiss = pytest.importorskip("faiss", reason="needs faiss-cpu, the extra [ann]")
    _, method, graph, write = case
    index = faiss.read_index(str(write("faiss")))
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT
    score, item = index.search(method.embed(graph)[0].numpy(), 3000)  # beyond 2048
    for user in range(9):
        expected, scores = naive_order(method, graph, user)
        num = len(expected)
        assert item[user, :num].tolist() == expected
        assert (item[user, num:] == -1).all()
        assert score[user, :num] == pytest.approx([scores[i] for i in expected], 1e-4)


def test_faiss_answers_with_ids_that_are_integers(graph, make, tmp_path):
    faiss = pytest.importorskip("faiss", reason="needs faiss-cpu, the extra [ann]")
    graph["item"].raw_id = torch.arange(12) * 10**12
    path = export(make(graph), graph, tmp_path / "items", to="faiss")
    found = faiss.read_index(str(path)).search(np.ones((1, 4), np.float32), 12)[1]
    assert sorted(found[0].tolist()) == [i * 10**12 for i in range(12)]


def test_faiss_rows_are_joined_with_ids_that_are_strings(graph, make, tmp_path):
    faiss = pytest.importorskip("faiss", reason="needs faiss-cpu, the extra [ann]")
    names = [f"tea\n{row}" if row % 2 else f"\u00e9,{row}" for row in range(12)]
    graph["item"].raw_id = names
    method = make(graph)
    path = export(method, graph, tmp_path / "items.faiss")
    ids = json.loads((tmp_path / "items.faiss.ids.json").read_text(encoding="utf-8"))
    z_user = method.embed(graph)[0].numpy()
    row = faiss.read_index(str(path)).search(z_user, 12)[1]
    for user in range(9):
        expected, _ = naive_order(method, graph, user)
        assert [ids[r] for r in row[user] if r >= 0] == [names[i] for i in expected]


@pytest.fixture
def session(case):
    """Run the exported graph: users, then what is not to be listed."""
    pytest.importorskip("onnx", reason="needs the extra [onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    name, method, graph, write = case
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    opened = runtime.InferenceSession(write("onnx"), options)
    assert opened.get_modelmeta().custom_metadata_map == NOTES
    dtype = object if name == "named" else np.int64

    def run(users, k=None, hidden=()):
        inputs = {"user_id": np.array(users) + 101 * (name == "named")}
        if k is not None:
            inputs["k"] = np.array([k])
        if hidden:
            place, row = zip(*hidden, strict=True)
            inputs["hidden_place"] = np.array(place)
            unknown = "?" if name == "named" else 99
            ids = [IDS[name][r] if r < 12 else unknown for r in row]
            inputs["hidden_item_id"] = np.array(ids, dtype=dtype)
        item, score = opened.run(["item_id", "score"], inputs)
        return item.tolist(), score

    return name, method, graph, run


def test_onnx_ranks_as_we_do(session):
    name, method, graph, run = session
    item, score = run([4, 0], k=5)
    for row, user in enumerate((4, 0)):
        expected, scores = naive_order(method, graph, user)
        assert item[row] == [IDS[name][i] for i in expected[:5]]
        assert score[row] == pytest.approx([scores[i] for i in expected[:5]], 1e-4)


def test_onnx_hides_what_it_is_told_to(session):
    name, method, graph, run = session
    expected, _ = naive_order(method, graph, 4)
    item, _ = run([0, 4], k=3, hidden=[(1, expected[0]), (1, expected[2]), (1, 99)])
    assert item[1] == [IDS[name][expected[i]] for i in (1, 3, 4)]
    assert item[0] == [IDS[name][i] for i in naive_order(method, graph, 0)[0][:3]]


def test_onnx_marks_what_must_not_be_shown(session):
    _, method, graph, run = session
    num = len(naive_order(method, graph, 0)[0])
    _, score = run([0], k=12)
    assert np.isfinite(score[0]).sum() == num
    assert np.isfinite(score[0][:num]).all()


def test_onnx_refuses_an_unknown_user(session):
    *_, run = session
    with pytest.raises(Exception, match="out of data bounds"):
        run([9999], k=3)


def test_onnx_lists_twenty_by_default(graph, make, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra [onnx]")
    model = onnx.load(export(make(graph), graph, tmp_path / "m.onnx"))
    defaults = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert defaults["k"].tolist() == [20]
    assert len(defaults["hidden_place"]) == len(defaults["hidden_item_id"]) == 0


def test_onnx_holds_two_gigabytes(graph, make, tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="needs the extra [onnx]")
    monkeypatch.setattr(onnx_export, "MAX_BYTES", 100)
    with pytest.raises(ConfigError, match=r"2 GB .* export safetensors"):
        export(make(graph), graph, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_other_models_rank_by_the_dot_product(graph, make, tmp_path):
    path = export(make(graph), graph, tmp_path / "m.npz")
    with np.load(path) as found:
        assert json.loads(str(found["notes"]))["cosine"] == "false"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.npy", "unknown format 'npy', did you mean 'npz'"),
        ("m", "no suffix to choose a format by: name one, safetensors, npz, parquet"),
    ],
)
def test_an_unknown_format(graph, make, tmp_path, name, said):
    with pytest.raises(ConfigError, match=said):
        export(make(graph), graph, tmp_path / name)


@pytest.mark.parametrize(
    ("to", "extra"), [("faiss", "ann"), ("onnx", "onnx"), ("parquet", "data")]
)
def test_a_missing_package_is_named_first(
    graph, make, tmp_path, monkeypatch, to, extra
):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(packages.importlib, "import_module", missing)
    said = rf"is not installed: pip install 'pyg-advinfonce\[{extra}\]'"
    with pytest.raises(MissingExtraError, match=said):
        export(make(graph), graph, tmp_path / "new" / f"m.{to}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", FORMATS)
def test_what_fails_leaves_the_earlier_file(graph, make, tmp_path, monkeypatch, to):
    path = tmp_path / f"m.{to}"
    path.write_text("before", encoding="utf-8")

    def failing(tables, partial):
        partial.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, to, type(FORMATS[to])(failing))
    with pytest.raises(ConfigError, match=rf"cannot write .*m\.{to}: No space left"):
        export(make(graph), graph, path)
    assert [f.read_text() for f in tmp_path.iterdir()] == ["before"]
