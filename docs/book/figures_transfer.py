"""The figure of the chapter on transfer learning, from numbers that ``python docs/book/figures_transfer.py`` prints:
each is of networks that are trained here, on scikit-learn's digits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import mean, stdev

import numpy as np
import torch
from matplotlib.figure import Figure
from plots import grid
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from convolve import models
from convolve.models import Network
from convolve.models.weights import load_weights
from convolve.reports.colors import INK, MUTED, RIGHT, WRONG
from convolve.reports.drawing import use_log_scale

COUNTS = (1, 3, 10, 30)
"""Training images of each class."""
SEEDS = 3
WAYS = {"scratch": (WRONG, "o"), "frozen": (MUTED, "s"), "fine-tuned": (RIGHT, "^")}
ACCURACIES = {
    "scratch": ((73.1, 3.6), (84.8, 3.4), (90.7, 2.1), (94.0, 1.0)),
    "frozen": ((78.3, 4.2), (85.6, 2.9), (92.7, 0.9), (94.7, 2.0)),
    "fine-tuned": ((75.4, 5.8), (85.4, 2.8), (92.7, 1.3), (95.3, 1.3)),
}
"""For each of ``COUNTS``: the mean accuracy in per cent and its sample standard deviation over the seeds."""
Examples = tuple[Tensor, Tensor]


def digits(first: int) -> Examples:
    """Images (N, 1, 16, 16) of the five digits from ``first`` on, and their classes from 0 to 4."""
    found = load_digits()
    images = torch.from_numpy(np.kron(found.images / 16, np.ones((2, 2)))[:, None]).float()
    classes = torch.from_numpy(found.target) - first
    chosen = (classes >= 0) & (classes < 5)
    return images[chosen], classes[chosen]


def train(network: Network, examples: Examples, steps: int, rate: float, seed: int) -> None:
    """A training of so many steps with Adam."""
    images, classes = examples
    optimizer = torch.optim.Adam([each for each in network.parameters() if each.requires_grad], rate)
    draws = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(steps):
        batch = torch.randint(len(images), (32,), generator=draws)
        optimizer.zero_grad()
        F.cross_entropy(network(images[batch]), classes[batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()


def transfer(pretrained: Network, way: str, count: int, seed: int) -> float:
    """The accuracy at the digits 5 to 9 after a training on ``count`` images of each."""
    images, classes = digits(5)
    order = np.random.default_rng(seed).permutation(len(images))
    learned = np.concatenate([order[(classes[order] == each).numpy()][:count] for each in range(5)])
    tested = np.setdiff1d(order[:600], learned)
    network = models.create("lenet5_keras", 5, 1, (16, 16), seed=seed)
    if way != "scratch":
        stages = {name: value for name, value in pretrained.state_dict().items() if name.startswith("stages.")}
        load_weights(network, stages)
    if way == "frozen":
        models.freeze(network, list(network.stages)[-1])
    train(network, (images[learned], classes[learned]), 100, 0.002, seed)
    with torch.no_grad():
        return float((network(images[tested]).argmax(1) == classes[tested]).float().mean())


def measure() -> dict[str, list[tuple[float, float]]]:
    """The numbers in ``ACCURACIES``."""
    torch.set_num_threads(1)
    pretrained = models.create("lenet5_keras", 5, 1, (16, 16), seed=0)
    train(pretrained, digits(0), 300, 0.002, 0)
    found: dict[str, list[tuple[float, float]]] = {}
    for way in WAYS:
        runs = [[100 * transfer(pretrained, way, count, seed) for seed in range(SEEDS)] for count in COUNTS]
        found[way] = [(round(mean(each), 1), round(stdev(each), 1)) for each in runs]
    return found


def few_images() -> Figure:
    """Accuracy over the number of images of each class, in three ways; bars are the deviation over the seeds."""
    figure, (ax,) = grid(1, 1, (5.2, 3.2))
    for shift, (way, (color, marker)) in zip((0.96, 1.0, 1.04), WAYS.items(), strict=True):
        means, deviations = zip(*ACCURACIES[way], strict=True)
        counts = [shift * count for count in COUNTS]
        ax.errorbar(
            counts, means, deviations, color=color, marker=marker, markersize=4, linewidth=1.2, capsize=2, label=way
        )
    use_log_scale(ax, "x")
    ax.set_xticks(COUNTS)
    ax.minorticks_off()
    ax.set_xlabel("n", color=INK, fontsize=9)
    ax.set_ylabel("%", color=INK, fontsize=9)
    ax.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {"transfer-few.svg": few_images}

if __name__ == "__main__":
    for name, values in measure().items():
        sys.stdout.write(f'    "{name}": {tuple(values)},\n')
