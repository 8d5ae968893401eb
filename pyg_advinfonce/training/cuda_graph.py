"""A training step as a CUDA graph: captured once, then replayed without Python."""

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from pyg_advinfonce.errors import ConfigError, is_out_of_memory
from pyg_advinfonce.objective import Objective

WARM_UP = 3
"""Number of steps before the capture, as torch does by default."""

CapturableStep = Callable[[Tensor], tuple[Tensor, ...]]


class Recorder(Protocol):
    """Runs work, and records work without running it."""

    def run(self, work: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the work's result."""

    def record(
        self, work: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        """Return a function that repeats the work, and where its results will be."""


class StepGraph:
    """A step that is captured after a few calls; a call returns what the step returns.

    No call is lost and none is extra: the first ones run the step itself, on the stream
    of the capture, so that caches, libraries and the optimiser's state exist before it.
    A capture runs nothing; each later call is one replay. A sample of another size, as
    an epoch's last one, runs the step itself as well.

    The graph holds the addresses of tensors and the values of Python's variables. The
    step must therefore change its state in place, and whatever changes from epoch to
    epoch asks for a new graph per epoch. Random numbers come from the device's default
    generator, which torch registers with the capture: they depend on its seed and
    offset at the time of a replay, as those of the step itself do.

    Args:
        step: Function of a sample ``[B]`` that updates the weights.
        recorder: What captures it (default: CUDA, on the sample's device).
    """

    def __init__(self, step: CapturableStep, recorder: Recorder | None = None) -> None:
        self._step, self._recorder, self._left = step, recorder, WARM_UP
        self._sample: Tensor | None = None  # what the graph reads
        self._replay: Callable[[], None] | None = None
        self._results: tuple[Tensor, ...] = ()  # what it writes

    def __call__(self, sample: Tensor) -> tuple[Tensor, ...]:
        """Take a step.

        Raises:
            ConfigError: If the step cannot be captured.
        """
        if self._sample is None:
            self._sample = sample.clone()
        recorder = self._recorder = self._recorder or _Cuda(sample.device)
        if self._left > 0 or sample.shape != self._sample.shape:
            self._left -= 1
            return recorder.run(lambda: self._step(sample))
        self._sample.copy_(sample)
        replay = self._replay or self._capture(recorder, self._sample)
        replay()
        return tuple(result.clone() for result in self._results)

    def _capture(self, recorder: Recorder, sample: Tensor) -> Callable[[], None]:
        try:
            replay, results = recorder.record(lambda: self._step(sample))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise ConfigError(
                "train.cuda_graph expects a step without a value, shape or copy that "
                f"the GPU is waited for (got {' '.join(str(error).split())}): set "
                "train.cuda_graph to false"
            ) from error
        self._replay, self._results = replay, results
        return replay


class _Cuda:
    """CUDA's capture of what a side stream is asked to do."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.stream = device, torch.cuda.Stream(device)

    def run(self, work: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        main = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            found = work()
        main.wait_stream(self.stream)
        return found

    def record(
        self, work: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        graph, main = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        # a capture that fails leaves its stream as the current one
        with torch.cuda.stream(main), torch.cuda.graph(graph, stream=self.stream):
            found = work()
        return graph.replay, found


def prepare_capture(
    device: torch.device,
    sampler: object,
    objective: Objective,
    optimizers: Iterable[Optimizer],
) -> None:
    """Check that steps can be captured, and set the optimisers so that theirs can.

    A fused Adam, as all phases of the library have, computes the same numbers if it is
    capturable.

    Raises:
        ConfigError: If the device, the sampler, a term or an optimiser does not allow
            it.
    """
    _expect(device.type == "cuda", "a CUDA device", str(device))
    _expect(
        getattr(sampler, "is_static", False),
        "batches of equal shapes that are drawn on the device: train.loader 'full' and "
        "a number as train.num_negatives",
        f"a {type(sampler).__name__} without them",
    )
    waiting = objective.waiting()
    _expect(
        not waiting,
        "terms that never wait for the device",
        f"{', '.join(map(repr, waiting))}, see docs/benchmarks.md",
    )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            _expect(
                "capturable" in group,
                "an optimiser with the option capturable, e.g. Adam",
                type(optimizer).__name__,
            )
            group["capturable"] = True


def _expect(holds: bool, what: str, got: str) -> None:
    if not holds:
        raise ConfigError(
            f"train.cuda_graph expects {what} (got {got}): set train.cuda_graph to "
            "false"
        )
