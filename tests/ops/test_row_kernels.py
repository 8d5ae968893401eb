"""Kernels of Triton: on a GPU, and without one in Triton's interpreter.

The interpreter has to be chosen before triton is imported, so that a process of its own
runs the tests of the kernels there.
"""

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.functional import info_nce
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.ops import (
    Adjacency,
    default_backends,
    edge_scores,
    layer_sum,
    propagate,
)
from pyg_advinfonce.training import Trainer, TrainingState
from tests import cases
from tests.cases import find

HAS_TRITON = find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
needs_kernels = pytest.mark.skipif(
    not (HAS_TRITON and (INTERPRETED or DEVICE == "cuda")),
    reason="needs triton, and its interpreter or a CUDA device",
)
backends = pytest.mark.parametrize("backend", ["triton", "bf16"])


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
@pytest.mark.skipif(INTERPRETED, reason="is the interpreter")
def test_the_kernels_pass_their_tests_in_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    of_triton = "ignore:Conversion of an array with ndim > 0:DeprecationWarning"
    run = subprocess.run(
        [*command, "-W", of_triton],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
@pytest.mark.skipif(INTERPRETED, reason="needs the compiler, not the interpreter")
@pytest.mark.parametrize("table", ["*fp32", "*bf16", "*fp64"])
def test_the_kernels_compile_for_a_gpu_without_atomics(table, tmp_path, monkeypatch):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from pyg_advinfonce.ops import row_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    total = triton.language.float64 if table == "*fp64" else triton.language.float32
    sums = "*fp64" if table == "*fp64" else "*fp32"
    numbers = dict.fromkeys(("num_dst", "width", "dim"), "i32")
    chosen = {"entries": 32, "columns": 64, "total": total}
    pointers = {
        row_kernels._score: {"x_src": table, "x_dst": table, "index": "*i64"},
        row_kernels._sum: {"rowptr": "*i32", "col": "*i32", "value": sums, "x": table},
    }
    for kernel, given in pointers.items():
        known = {**given, "out": sums, **numbers, **dict.fromkeys(chosen, "constexpr")}
        signature = {name: known[name] for name in kernel.arg_names}
        source = ASTSource(kernel, signature, chosen)
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
        assert len(made.asm["cubin"]) > 0
        assert not re.search(r"\b(atom|red)\.", made.asm["ptx"])


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
@pytest.mark.skipif(INTERPRETED, reason="the interpreter takes a CPU's tensors")
@backends
def test_a_cpu_is_refused(backend):
    x, y = tables(4, 6, 5)
    index = torch.zeros(4, 3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"expect tensors on a GPU \(got cpu\)"):
        edge_scores(x, y, index, backend=backend)
    edges, weight, num_src, num_dst = relation()
    adjacency = Adjacency.from_edge_index(edges, weight, num_src, num_dst)
    with pytest.raises(ValueError, match="choose another backend"):
        propagate(adjacency, torch.ones(num_src, 2), backend=backend)


def rounded(x, backend):
    """Return what a backend reads of a table, in float64."""
    return (x.bfloat16() if backend == "bf16" else x).double()


def tables(size, num_dst, dim, dtype=torch.float32):
    generator = torch.Generator().manual_seed(size + num_dst + dim)
    return tuple(
        torch.randn(n, dim, generator=generator, dtype=torch.float64).to(dtype)
        for n in (size, num_dst)
    )


def naive_scores(x, y, index, seed):
    """Return scores and both gradients by loops, in float64."""
    scores = torch.zeros(index.shape, dtype=torch.float64)
    grad_x, grad_y = torch.zeros_like(x), torch.zeros_like(y)
    for b, row in enumerate(index.tolist()):
        for k, j in enumerate(row):
            scores[b, k] = sum(x[b, d] * y[j, d] for d in range(x.size(1)))
            grad_x[b] += seed[b, k] * y[j]
            grad_y[j] += seed[b, k] * x[b]
    return scores, grad_x, grad_y


def scored(x, y, index, seed, backend):
    """Return scores and both gradients of a backend."""
    leaves = [z.to(DEVICE, copy=True).requires_grad_() for z in (x, y)]
    scores = edge_scores(*leaves, index.to(DEVICE), backend=backend)
    scores.backward(seed.to(scores))
    return tuple(z.detach().cpu() for z in (scores, leaves[0].grad, leaves[1].grad))


@needs_kernels
@backends
@pytest.mark.parametrize(
    ("size", "num_dst", "width", "dim"),
    [(4, 6, 3, 5), (3, 7, 1, 1), (1, 1, 4, 3), (2, 3, 40, 8), (2, 5, 3, 131)],
    ids=["odd", "one", "repeated", "wide", "deep"],
)
def test_scores_and_both_gradients(backend, size, num_dst, width, dim):
    """More pairs than a block has, and more columns; rows repeat, some have no pair."""
    x, y = tables(size, num_dst, dim)
    dtype = torch.int32 if size == 2 else torch.int64
    index = torch.randint(num_dst, (size, width), dtype=dtype)
    index[0] = num_dst - 1
    seed = torch.randn(size, width)
    found = scored(x, y, index, seed, backend)
    read = rounded(x, backend), rounded(y, backend)
    expected = naive_scores(*read, index, seed.double())
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@needs_kernels
def test_double_precision_is_kept():
    x, y = tables(4, 6, 5, torch.float64)
    index = torch.randint(6, (4, 3))
    seed = torch.randn(4, 3, dtype=torch.float64)
    found = scored(x, y, index, seed, "triton")
    for one, other in zip(found, naive_scores(x, y, index, seed), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@needs_kernels
@backends
def test_layouts_and_nothing_to_score(backend):
    x, y = tables(4, 6, 5)
    index, seed = torch.randint(6, (4, 3)), torch.randn(4, 3)
    expected = scored(x, y, index, seed, backend)
    turned = [z.t().contiguous().t() for z in (x, y, index)]
    for one, other in zip(scored(*turned, seed, backend), expected, strict=True):
        assert torch.equal(one, other)
    empty = torch.zeros(4, 0, dtype=torch.long)
    assert scored(x, y, empty, torch.zeros(4, 0), backend)[0].shape == (4, 0)


@needs_kernels
@pytest.mark.parametrize("wrong", [-1, 6])
def test_an_index_out_of_range_scores_no_number(wrong):
    from pyg_advinfonce.ops.row_kernels import pair_scores

    x, y = (z.to(DEVICE) for z in tables(2, 6, 3))
    index = torch.tensor([[0, wrong], [5, 1]], device=DEVICE)
    found = pair_scores(x, y, index)
    assert found.isnan().tolist() == [[False, True], [False, False]]


def relation():
    """Return an adjacency with an empty row and one of more entries than a block."""
    row = torch.tensor([0] * 40 + [2] * 3 + [3])
    col = torch.cat([torch.arange(40), torch.tensor([0, 1, 5, 39])])
    weight = torch.linspace(0.1, 1, 44)
    return torch.stack([col, row]), weight, 40, 4


@needs_kernels
@backends
def test_a_product_and_its_gradient(backend):
    edges, weight, num_src, num_dst = relation()
    x, seed = tables(num_src, num_dst, 5)
    dense = torch.zeros(num_dst, num_src, dtype=torch.float64)
    dense[edges[1], edges[0]] = weight.double()
    leaf = x.to(DEVICE, copy=True).requires_grad_()
    adjacency = Adjacency.from_edge_index(
        edges.to(DEVICE), weight.to(DEVICE), num_src, num_dst
    )
    found = propagate(adjacency, leaf, backend=backend)
    found.backward(seed.to(DEVICE))
    wanted = dense @ rounded(x, backend), dense.t() @ rounded(seed, backend)
    for one, other in zip((found, leaf.grad), wanted, strict=True):
        assert one.dtype == torch.float32
        other = other.float().to(DEVICE)
        torch.testing.assert_close(one.detach(), other, rtol=1e-5, atol=1e-5)


def trained(backend):
    """Return a loss over two layers, and the gradients of both tables."""
    chosen = backend and default_backends(edge_scores=backend, propagate=backend)
    edges, weight, num_src, num_dst = relation()
    item, user = (
        z.to(DEVICE, copy=True).requires_grad_() for z in tables(num_src, num_dst, 8)
    )
    to_user = Adjacency.from_edge_index(
        edges.to(DEVICE), weight.to(DEVICE), num_src, num_dst
    )
    index = torch.arange(28, device=DEVICE).view(4, 7)
    with chosen or nullcontext():
        z_user, z_item = layer_sum(user, item, to_user, to_user.t(), (0.5, 0.3, 0.2))
        scores = edge_scores(z_user, z_item, index) / 10
    loss = info_nce(scores[:, 0], scores[:, 1:])
    loss.backward()
    return scores, loss, user.grad, item.grad


@needs_kernels
def test_a_context_chooses_the_kernels_and_their_gradients():
    """Of float32 the results are those of torch's; of bfloat16 they are near."""
    plain, kernels, half = trained(None), trained("triton"), trained("bf16")
    for one, other in zip(kernels, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    for one, other in zip(half, plain, strict=True):
        assert one.dtype == torch.float32
        size = float(other.detach().abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=2**-6 * size)
        assert not torch.equal(one, other)
    assert not torch.equal(half[0], half[0].bfloat16().float())  # of float32's sums


MOVES = {"detach", "new_empty", "set_"}  # also of the interpreter, which copies


class Half(TorchDispatchMode):
    """Remembers the operations of torch that take or return bfloat16."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, out)) if isinstance(x, torch.Tensor)]
        if any(x.dtype == torch.bfloat16 for x in tensors):
            self.found.add(func.overloadpacket.__name__)
        return out


def history(backends):
    """Train an epoch; return the losses, all state and what saw bfloat16."""
    graph = cases.toy_graph().to(DEVICE)
    sampler = EdgeSampler(graph, batch_size=12, num_negatives=4)
    method = find("adv").method().to(DEVICE)
    options = {"epochs": 1, "monitor": None, "backends": backends}
    trainer = Trainer(method, graph, sampler, Evaluator(graph), **options)
    with Half() as half:
        trainer.fit()
    losses = [value for r in trainer.history for value in r.losses.values()]
    return losses, TrainingState.of(trainer).tensors, half.found


@needs_kernels
def test_only_kernels_read_bfloat16():
    """Sums, log-sum-exps, losses, gradients and Adam are float32."""
    both = {"edge_scores": "bf16", "propagate": "bf16"}
    losses, state, half = history(both)
    assert {"_to_copy"} <= half <= {"_to_copy", *MOVES}
    assert {x.dtype for x in state.values()} == {torch.float32}
    plain, same, none = history({})
    assert none == set()
    assert losses == pytest.approx(plain, rel=2**-6)
    assert losses != plain
    again, other, _ = history({})  # nothing of the context is left
    assert again == pytest.approx(plain, rel=1e-5)
    if DEVICE == "cpu":  # sums on a GPU have no fixed order
        assert again == plain
        assert all(torch.equal(other[name], value) for name, value in same.items())


@needs_kernels
@backends
def test_sums_have_a_fixed_order(backend):
    x, y = tables(9, 4, 16)
    index, seed = torch.randint(4, (9, 30)), torch.randn(9, 30)
    first, second = (scored(x, y, index, seed, backend) for _ in range(2))
    assert all(map(torch.equal, first, second))
