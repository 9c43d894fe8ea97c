"""What nets by hand reach: LeNet-5 and the homework's three-layer net, in NumPy alone.

    python -m bench.scratch_training [NAME …] [--threads 1]

Unless some are named: LeNet-5 on Fashion-MNIST (wanted: 89 % on the test set within 5 minutes of two cores); and the
three-layer net on Fashion-MNIST and on scikit-learn's digits, and on MNIST where it is there (the homework handed in
reports 99.5 % and 97.3 %). The number of epochs is fixed beforehand; the test set is looked at once, at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import threadpoolctl  # type: ignore[import-untyped]

from bench.steps import machine
from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.catalog import SYSTEM_FOLDERS, data_folder
from convolve.from_scratch.homework import ThreeLayerNet
from convolve.from_scratch.initializers import xavier
from convolve.from_scratch.layers import Draw
from convolve.from_scratch.network import Model
from convolve.from_scratch.networks import lenet5
from convolve.from_scratch.optimizers import Adam, Optimizer
from convolve.from_scratch.trainer import Examples, Plan, accuracy, train
from convolve.values import Dataset, Indices

_KNOWN_DIGITS = 1437  # of 1,797; the rest, the last fifth, is the test set


@dataclass(frozen=True)
class Training:
    """A net, its data and the ``stages`` of Adam: a rate, and for how many epochs.

    LeNet-5's were settled on the last 10,000 training images, before the test set was asked.
    """

    dataset: str
    shape: tuple[int, ...]
    build: Callable[[Draw], Model]
    stages: tuple[tuple[float, int], ...]


TRAININGS = {
    "lenet5": Training("fashion-mnist", (1, 28, 28), lenet5, ((0.002, 8), (0.0002, 3))),
    "three-layer": Training(
        "fashion-mnist", (784,), lambda draw: ThreeLayerNet(draw, 784, (200, 100), 10), ((0.001, 20),)
    ),
    "three-layer-mnist": Training(
        "mnist", (784,), lambda draw: ThreeLayerNet(draw, 784, (200, 100), 10), ((0.001, 20),)
    ),
    "three-layer-digits": Training(
        "digits", (64,), lambda draw: ThreeLayerNet(draw, 64, (50, 30), 10), ((0.003, 100),)
    ),
}


def _examples(dataset: Dataset, shape: tuple[int, ...]) -> tuple[Examples, Examples]:
    """To learn from and to be asked about: float32, less the mean and over the deviation of the former's pixels."""
    parts = _parts(dataset)
    pixels = [np.stack([dataset.images.read(int(index)) for index in part]).astype(np.float32) for part in parts]
    mean, deviation = pixels[0].mean(), pixels[0].std()
    inputs = [((values - mean) / deviation).reshape(-1, *shape) for values in pixels]
    known, asked = (Examples(x, dataset.labels.take(part).values) for x, part in zip(inputs, parts, strict=True))
    return known, asked


def _parts(dataset: Dataset) -> tuple[Indices, Indices]:
    """What is learned from, and the test set."""
    if dataset.given:
        return dataset.given["train"], dataset.given["test"]
    every = np.arange(len(dataset), dtype=np.int64)
    return every[:_KNOWN_DIGITS], every[_KNOWN_DIGITS:]


def _run(name: str, training: Training) -> None:
    dataset = open_dataset(training.dataset)
    known, asked = _examples(dataset, training.shape)
    model = training.build(Draw(np.random.default_rng(0), np.float32, xavier))
    began = time.perf_counter()
    losses: list[float] = []
    optimizer = Optimizer(Adam())
    for seed, (rate, epochs) in enumerate(training.stages):
        optimizer.rule = Adam(rate)
        losses += train(model, known, optimizer, Plan(epochs, seed=seed))
    took = time.perf_counter() - began
    found = f"train {accuracy(model, known):.2%}, test {accuracy(model, asked):.2%}"
    print(f"{name} on {training.dataset}: {found} after {len(losses)} epochs in {took:.1f} s", end="")
    print(f" (mean loss of the last {losses[-1]:.4f})", flush=True)


def _is_here(name: str) -> bool:
    """Whether it can be read without a download."""
    return name == "digits" or any((folder / name).is_dir() for folder in (data_folder(), *SYSTEM_FOLDERS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TRAININGS))
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    print(f"{machine()}, NumPy {np.__version__}, {asked.threads} thread{'s' * (asked.threads > 1)}", flush=True)
    with threadpoolctl.threadpool_limits(asked.threads):
        for name in asked.names or TRAININGS:
            if _is_here(TRAININGS[name].dataset):
                _run(name, TRAININGS[name])
            else:
                print(f"{name}: {TRAININGS[name].dataset} is not on this machine")


if __name__ == "__main__":
    main()
