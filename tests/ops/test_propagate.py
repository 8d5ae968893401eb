import pytest
import torch

from pyg_advinfonce.ops import Adjacency, default_propagate_backend, propagate

NUM_SRC, NUM_DST = 5, 7  # messages reach destinations 0, 1, 3 and 6 alone
EDGES = ((0, 1), (0, 3), (1, 1), (2, 0), (2, 6), (3, 1), (4, 6), (0, 6))
WEIGHTS = (0.5, 1.0, 2.0, -1.0, 0.25, 3.0, 0.125, 1.5)

BACKENDS = ("embedding_bag", "csr", "gather")  # others: test_row_kernels.py
backends = pytest.mark.parametrize("backend", BACKENDS)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def relation(edges=EDGES, weights=WEIGHTS, dtype=torch.float64, sizes=None):
    edge_index = torch.tensor(edges, dtype=torch.long).view(-1, 2).t()
    weight = torch.tensor(weights, dtype=dtype)
    return Adjacency.from_edge_index(edge_index, weight, *(sizes or (NUM_SRC, NUM_DST)))


def rows(num=NUM_SRC, dtype=torch.float64, width=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num, width, generator=generator, dtype=torch.float64)
    return x.to(dtype).requires_grad_()


def dense(edges=EDGES, weights=WEIGHTS, sizes=(NUM_SRC, NUM_DST)):
    matrix = torch.zeros(sizes[1], sizes[0], dtype=torch.float64)
    for (src, dst), weight in zip(edges, weights, strict=True):
        matrix[dst, src] += weight
    return matrix


@backends
@dtypes
def test_is_the_dense_product_and_so_is_its_gradient(backend, dtype):
    adjacency, x = relation(dtype=dtype), rows(dtype=dtype)
    y = propagate(adjacency, x, backend=backend)
    seed = rows(NUM_DST, dtype).detach()
    y.backward(seed)
    assert y.dtype == x.grad.dtype == dtype
    torch.testing.assert_close(y.double(), dense() @ x.double())
    torch.testing.assert_close(x.grad.double(), dense().t() @ seed.double())


@backends
def test_gradcheck(backend):
    adjacency, x = relation(), rows()
    assert torch.autograd.gradcheck(
        lambda x: propagate(adjacency, x, backend=backend), (x,)
    )


@backends
def test_the_transpose_sends_messages_back(backend):
    x = rows(NUM_DST)
    y = propagate(relation().t(), x, backend=backend)
    torch.testing.assert_close(y, dense().t() @ x)


@backends
def test_a_destination_without_messages_gets_zeros(backend):
    y = propagate(relation(), rows(), backend=backend)
    assert y[[2, 4, 5]].tolist() == [[0.0] * 3] * 3
    assert y[[0, 1, 3, 6]].all()


@backends
def test_repeated_edges_add_up(backend):
    edges, weights = ((0, 0), (0, 0), (1, 0)), (1.0, 2.0, 4.0)
    x = rows(2)
    y = propagate(relation(edges, weights, sizes=(2, 1)), x, backend=backend)
    torch.testing.assert_close(y, dense(edges, weights, (2, 1)) @ x)


@backends
@dtypes
def test_no_edges(backend, dtype):
    x = rows(dtype=dtype)
    y = propagate(relation((), (), dtype), x, backend=backend)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(NUM_DST, 3, dtype=dtype))
    assert torch.equal(x.grad, torch.zeros_like(x))


@backends
@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_no_nodes_on_one_side(backend, sizes):
    x = rows(sizes[0])
    y = propagate(relation((), (), sizes=sizes), x, backend=backend)
    y.sum().backward()
    assert y.shape == (sizes[1], 3)
    assert x.grad.shape == x.shape


@backends
def test_rows_and_gradients_need_not_be_contiguous(backend):
    x = rows(3, width=NUM_SRC).t()
    y = propagate(relation(), x, backend=backend)
    torch.testing.assert_close(y, dense() @ x)
    seed = rows(3, width=NUM_DST).t().detach()
    (found,) = torch.autograd.grad(y, x, seed)
    torch.testing.assert_close(found, dense().t() @ seed)


@backends
def test_weights_follow_the_type_of_the_rows(backend):
    x = rows(dtype=torch.float32)
    y = propagate(relation(dtype=torch.float64), x, backend=backend)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), dense() @ x.double())


@pytest.mark.parametrize("backend", ["embedding_bag", "gather"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(backend, dtype):
    x = rows(dtype=dtype)
    y = propagate(relation(dtype=torch.float32), x, backend=backend)
    y.sum().backward()
    torch.testing.assert_close(y.double(), dense() @ x.double(), rtol=0.03, atol=0.03)
    assert x.grad.isfinite().all()


def test_an_adjacency_of_any_integer_type_and_layout():
    edge_index = torch.tensor(EDGES).t()
    weight = torch.tensor(WEIGHTS).double()
    expected = propagate(relation(), rows())
    columns = torch.tensor(EDGES)  # [E, 2]: its transpose is not contiguous
    for index in (edge_index.int(), edge_index.to(torch.int16), columns.t()):
        adjacency = Adjacency.from_edge_index(index, weight, NUM_SRC, NUM_DST)
        assert torch.equal(propagate(adjacency, rows()), expected)


def test_edges_may_come_in_any_order():
    order = torch.randperm(len(EDGES), generator=torch.Generator().manual_seed(0))
    edges = [EDGES[i] for i in order]
    weights = [WEIGHTS[i] for i in order]
    expected = propagate(relation(), rows())
    torch.testing.assert_close(propagate(relation(edges, weights), rows()), expected)


def test_weights_are_constants():
    weight = torch.tensor(WEIGHTS).double().requires_grad_()
    edge_index = torch.tensor(EDGES).t()
    adjacency = Adjacency.from_edge_index(edge_index, weight, NUM_SRC, NUM_DST)
    propagate(adjacency, rows()).sum().backward()
    assert weight.grad is None
    assert not adjacency.matrix.value.requires_grad
    assert not adjacency.transpose.value.requires_grad


def test_the_sparse_view_is_the_matrix():
    view = relation().matrix.to_torch()
    assert torch.equal(view.to_dense(), dense())


@pytest.mark.parametrize("shape", [(NUM_SRC + 1, 3), (NUM_SRC,), (NUM_SRC, 3, 1)])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"x must be \[5, D\] \(got \("):
        propagate(relation(), torch.zeros(shape))


def test_an_unknown_backend():
    with pytest.raises(ValueError, match=r"must be one of \['embedding_bag', 'csr'"):
        propagate(relation(), rows(), backend="dense")


def test_the_default_backend_is_the_fused_kernel_of_the_device():
    assert default_propagate_backend(torch.device("cpu")) == "embedding_bag"
    assert default_propagate_backend(torch.device("cuda")) == "csr"
    x = rows()
    expected = propagate(relation(), x, backend="embedding_bag")
    assert torch.equal(propagate(relation(), x), expected)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@backends
def test_cuda_agrees_with_cpu(backend):
    x, y = rows(), rows().detach().cuda().requires_grad_()
    edge_index, weight = torch.tensor(EDGES).t(), torch.tensor(WEIGHTS).double()
    on_gpu = Adjacency.from_edge_index(
        edge_index.cuda(), weight.cuda(), NUM_SRC, NUM_DST
    )
    expected, found = propagate(relation(), x), propagate(on_gpu, y, backend=backend)
    expected.sum().backward(), found.sum().backward()
    torch.testing.assert_close(found.cpu(), expected)
    torch.testing.assert_close(y.grad.cpu(), x.grad)
