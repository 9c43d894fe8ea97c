"""One gradient step in NumPy: `convolve.from_scratch` against the textbook implementation and against torch.

    python -m bench.scratch [--rounds 20] [--threads 1]

The net is conv (30 filters of 5x5) - ReLU - pool (2) - affine (100) - ReLU - affine (10) - softmax on 100 images of
28x28: loss and all gradients, forward and backward. All implementations compute from the same weights and images,
and their gradients are checked to agree. They take turns; ratios are per round, and the median is reported. Ours and
the textbook's also compute the gradient of the images, torch does not. `--threads` applies to all; on a busy machine
one thread is several times as fast as two, since the threads of a matrix product wait for each other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import threadpoolctl  # type: ignore[import-untyped]
import torch
from torch.nn import functional as F

from bench import textbook
from bench.steps import machine
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.networks import simple_convnet

_BATCH, _WARM_UP, _TARGET = 100, 3, 4.0

Gradients = Sequence[np.ndarray]


def _sides() -> dict[str, Callable[[], Gradients]]:
    """By name, a step that returns its six gradients, from the same weights on the same images."""
    random = np.random.default_rng(0)
    network = simple_convnet(Initialization(random, np.float32))
    images = random.random((_BATCH, 1, 28, 28), dtype=np.float32)
    labels = random.integers(10, size=_BATCH)
    weights = list(network.parameters.values())
    book = textbook.Network([w.astype(np.float64) for w in weights])
    images64 = images.astype(np.float64)
    return {
        "textbook": lambda: book.gradients(images64, labels)[1],
        "ours": lambda: list(network.gradients(images, labels)[1].values()),
        "torch": _torch_step(weights, images, labels),
    }


def _torch_step(weights: Gradients, images: np.ndarray, labels: np.ndarray) -> Callable[[], Gradients]:
    leaves = [torch.tensor(w, requires_grad=True) for w in weights]
    x, t = torch.from_numpy(images), torch.from_numpy(labels)

    def step() -> Gradients:
        w1, b1, w2, b2, w3, b3 = leaves
        hidden = F.max_pool2d(F.relu(F.conv2d(x, w1, b1)), 2).flatten(1)
        scores = F.relu(hidden @ w2 + b2) @ w3 + b3
        loss = F.cross_entropy(scores, t)
        return [gradient.numpy() for gradient in torch.autograd.grad(loss, leaves)]

    return step


def _check_equal(actual: Gradients, expected: Gradients) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5 * float(np.abs(theirs).max()))


def _rounds(sides: dict[str, Callable[[], Gradients]], count: int) -> dict[str, list[float]]:
    """Milliseconds of each side, round by round."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(_WARM_UP + count):
        for side, step in sides.items():
            start = time.perf_counter()
            step()
            if number >= _WARM_UP:
                times[side].append((time.perf_counter() - start) * 1e3)
    return times


def _spread(values: list[float], unit: str = "") -> str:
    return f"{median(values):.1f}{unit} ({min(values):.1f}-{max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{machine()}, NumPy {np.__version__}, {arguments.threads} thread{'s' * (arguments.threads > 1)}")
    torch.set_num_threads(arguments.threads)
    with threadpoolctl.threadpool_limits(arguments.threads):
        sides = _sides()
        for side in ("ours", "torch"):
            _check_equal(sides[side](), sides["textbook"]())
        times = _rounds(sides, arguments.rounds)
    for side, milliseconds in times.items():
        print(f"{side:9} {_spread(milliseconds, ' ms')} per step")
    for side, target in (("textbook", f"; target: {_TARGET:g}"), ("torch", "")):
        ratios = [other / ours for other, ours in zip(times[side], times["ours"], strict=True)]
        print(f"{side} / ours {_spread(ratios)}{target}")


if __name__ == "__main__":
    main()
