from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.ops import (
    MOST_GATHERED,
    default_edge_scores_backend,
    edge_scores,
    silence_sparse_beta,
)
from pyg_advinfonce.ops.edge_scores import _transpose
from tests.host_mode import Watch

module = import_module("pyg_advinfonce.ops.edge_scores")  # the name is the function's
BACKENDS = ("fused", "gather")  # the others are in test_row_kernels.py
backends = pytest.mark.parametrize("backend", BACKENDS)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
INDEX = ((3, 0, 3), (1, 1, 1), (2, 0, 5), (5, 4, 3))  # row 0 has an item twice


def operands(dtype=torch.float64, size=4, num_dst=6, width=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(n, width, generator=generator, dtype=torch.float64)
        .to(dtype)
        .requires_grad_()
        for n in (size, num_dst)
    )


def naive(x, y, index):
    scores = [[sum(x[b] * y[j]) for j in row] for b, row in enumerate(index.tolist())]
    return torch.stack([torch.stack(row) for row in scores])


def gradients(scores, x, y):
    seed = torch.arange(1.0, scores.numel() + 1, dtype=scores.dtype)
    return torch.autograd.grad(scores, (x, y), seed.view_as(scores))


def test_both_kernels_are_tried_here():
    """Were the self-check to fail, the fused kernel would not be the one in use."""
    assert default_edge_scores_backend(torch.device("cpu"), 1) == "fused"


@pytest.mark.parametrize(("works", "large"), [(True, "fused"), (False, "gather")])
def test_a_gpu_gathers_what_does_not_take_too_much_memory(monkeypatch, works, large):
    monkeypatch.setattr(module, "_fused_works", lambda device_type: works)
    gpu = torch.device("cuda")
    assert default_edge_scores_backend(gpu, MOST_GATHERED) == "gather"
    assert default_edge_scores_backend(gpu, MOST_GATHERED + 1) == large


def test_the_bytes_of_all_gathered_rows_count(monkeypatch):
    asked = []
    monkeypatch.setattr(
        module,
        "default_edge_scores_backend",
        lambda *asked_for: asked.append(asked_for) or "fused",
    )
    x, y = operands()
    index = torch.tensor(INDEX)
    edge_scores(x, y, index)
    assert asked == [(torch.device("cpu"), index.numel() * x.size(1) * 8)]


@backends
@dtypes
def test_is_the_naive_formula_and_so_are_its_gradients(backend, dtype):
    index = torch.tensor(INDEX)
    x, y = operands(dtype)
    scores = edge_scores(x, y, index, backend=backend)
    exact = operands()
    expected = naive(*exact, index)
    assert scores.dtype == dtype
    torch.testing.assert_close(scores, expected.to(dtype))
    wanted = gradients(expected, *exact)
    for found, want in zip(gradients(scores, x, y), wanted, strict=True):
        torch.testing.assert_close(found, want.to(dtype))


@given(
    st.integers(1, 5), st.integers(1, 6), st.integers(1, 7), st.integers(0, 2**32 - 1)
)
@settings(max_examples=40)
def test_kernels_agree_on_any_shape(size, num_dst, width, seed):
    x, y = operands(size=size, num_dst=num_dst, seed=seed % 1000)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(num_dst, (size, width), generator=generator)
    fused, plain = (edge_scores(x, y, index, backend=b) for b in BACKENDS)
    torch.testing.assert_close(fused, plain)
    pairs = zip(gradients(fused, x, y), gradients(plain, x, y), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected)


@backends
def test_gradcheck(backend):
    index = torch.tensor(INDEX)
    assert torch.autograd.gradcheck(
        lambda x, y: edge_scores(x, y, index, backend=backend), operands()
    )


@backends
@pytest.mark.parametrize("leaf", [0, 1])
def test_one_side_may_be_constant(backend, leaf):
    index, tables = torch.tensor(INDEX), list(operands())
    expected = gradients(naive(*tables, index), *tables)[leaf]
    tables[1 - leaf] = tables[1 - leaf].detach()
    scores = edge_scores(*tables, index, backend=backend)
    scores.backward(torch.arange(1.0, 13.0, dtype=torch.float64).view(4, 3))
    torch.testing.assert_close(tables[leaf].grad, expected)


@backends
def test_indices_of_any_type_and_layout(backend):
    x, y = operands()
    index = torch.tensor(INDEX)
    expected = edge_scores(x, y, index, backend=backend)
    wanted = gradients(expected, x, y)
    layouts = (index.int(), index.t().contiguous().t(), index.flip(1).flip(1))
    for other in layouts:
        found = edge_scores(x, y, other, backend=backend)
        torch.testing.assert_close(found, expected)
        for a, b in zip(gradients(found, x, y), wanted, strict=True):
            torch.testing.assert_close(a, b)


@backends
def test_operands_need_not_be_contiguous(backend):
    index = torch.tensor(INDEX)
    x, y = (z.detach().t().contiguous().t().requires_grad_() for z in operands())
    scores = edge_scores(x, y, index, backend=backend)
    torch.testing.assert_close(scores, naive(x, y, index))
    scores.t().sum().backward()  # an expanded gradient
    expected = gradients(naive(x, y, index), x, y)
    assert x.grad.shape == expected[0].shape


@backends
def test_scores_and_gradients_do_not_wait_for_a_gpu(backend):
    silence_sparse_beta()  # once per process
    x, y = operands()
    index = torch.tensor(INDEX)
    with Watch() as watch:
        edge_scores(x, y, index, backend=backend).sum().backward()
    assert watch.found == set()
    wanted = gradients(naive(x, y, index).sum(), x, y)
    torch.testing.assert_close((x.grad, y.grad), wanted)


@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
def test_pairs_are_sorted_by_destination_in_both_ways(index_dtype):
    """By scipy for single and double on the CPU, by torch for all else."""
    index = torch.tensor(INDEX, dtype=index_dtype)
    grad = torch.arange(12.0).view(4, 3)
    by_scipy = _transpose(index, grad, 7)
    by_torch = _transpose(index, grad.bfloat16(), 7)
    for found, expected in zip(by_torch, by_scipy, strict=True):
        assert found.tolist() == expected.tolist()
    rowptr, row, weight = by_torch
    assert rowptr.tolist() == [0, 2, 5, 6, 9, 10, 12, 12]
    assert row.tolist() == [0, 2, 1, 1, 1, 2, 0, 0, 3, 3, 2, 3]
    assert weight.tolist() == [1, 7, 3, 4, 5, 6, 0, 2, 11, 10, 8, 9]


@backends
@pytest.mark.parametrize(("size", "width"), [(1, 1), (1, 4), (4, 1)])
def test_one_row_or_one_column(backend, size, width):
    x, y = operands(size=size)
    index = torch.tensor(INDEX)[:size, :1].expand(size, width)
    scores = edge_scores(x, y, index, backend=backend)
    torch.testing.assert_close(scores, naive(x, y, index))
    scores.sum().backward()
    assert y.grad[index[0, 0]].any()


@backends
@pytest.mark.parametrize(("size", "width"), [(0, 3), (4, 0), (0, 0)])
def test_nothing_to_score(backend, size, width):
    x, y = operands(size=size)
    index = torch.zeros(size, width, dtype=torch.long)
    scores = edge_scores(x, y, index, backend=backend)
    assert scores.shape == (size, width)
    scores.sum().backward()
    assert torch.equal(y.grad, torch.zeros_like(y))


@backends
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(backend, dtype):
    x, y = operands(dtype)
    index = torch.tensor(INDEX)
    scores = edge_scores(x, y, index, backend=backend)
    expected = naive(x.double(), y.double(), index)
    torch.testing.assert_close(scores.double(), expected, rtol=0.05, atol=0.05)
    scores.sum().backward()
    assert y.grad.isfinite().all()


@pytest.mark.parametrize(
    ("src", "dst", "index", "message"),
    [
        ((4, 3), (6, 2), (4, 1), r"must agree in D \(got \(4, 3\) and \(6, 2\)\)"),
        ((4,), (6, 2), (4, 1), "must agree in D"),
        ((4, 2), (2,), (4, 1), "must agree in D"),
        ((4, 2), (6, 2), (4,), r"index must be \[4, K\] \(got \(4,\)\)"),
        ((4, 2), (6, 2), (3, 1), r"index must be \[4, K\] \(got \(3, 1\)\)"),
    ],
)
def test_wrong_shapes(src, dst, index, message):
    with pytest.raises(ValueError, match=message):
        edge_scores(
            torch.zeros(src), torch.zeros(dst), torch.zeros(index, dtype=torch.long)
        )


def test_an_unknown_backend():
    with pytest.raises(ValueError, match="'triton', 'bf16'"):
        edge_scores(*operands(), torch.tensor(INDEX), backend="dense")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@backends
@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
def test_cuda_agrees_with_cpu(backend, index_dtype):
    x, y = operands()
    index = torch.tensor(INDEX, dtype=index_dtype)
    on_gpu = [z.detach().cuda().requires_grad_() for z in (x, y)]
    expected = edge_scores(x, y, index)
    found = edge_scores(*on_gpu, index.cuda(), backend=backend)
    torch.testing.assert_close(found.cpu(), expected)
    pairs = zip(gradients(found.cpu(), *on_gpu), gradients(expected, x, y), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a.cpu(), b)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrong", [-1, 4, 10**6])
def test_an_index_out_of_range_is_refused(backend, wrong):
    index = torch.tensor([[0, 3], [wrong, 1]])
    with pytest.raises(IndexError, match=rf"0 to 3 \(got {wrong}\)"):
        edge_scores(torch.ones(2, 3), torch.ones(4, 3), index, backend=backend)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # by dynamo
@pytest.mark.parametrize("backend", [None, "fused", "gather"])
def test_compiled_scores_and_gradients_are_the_eager_ones(backend):
    torch.compiler.reset()
    tables = [torch.randn(n, 4, requires_grad=True) for n in (3, 7)]
    index = torch.randint(7, (3, 5))

    def loss(x_src, x_dst):
        return edge_scores(x_src, x_dst, index, backend=backend).exp().sum()

    expected, found = loss(*tables), torch.compile(loss, backend="eager")(*tables)
    assert torch.equal(found, expected)
    wanted = torch.autograd.grad(expected, tables)
    gradients = torch.autograd.grad(found, tables)
    assert all(map(torch.equal, gradients, wanted))
