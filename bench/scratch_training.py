"""Accuracy of LeNet-5 and of the homework's three-layer net, in NumPy alone.

    python -m bench.scratch_training [NAME …] [--threads 1]

By default: LeNet-5 on Fashion-MNIST (target: 89 % on the test set within 5 minutes on two cores), and the three-layer
net on Fashion-MNIST, on scikit-learn's digits, and on MNIST where it is installed (the submitted homework reports
99.5 % on the training set and 97.3 % on the test set). The number of epochs is fixed; the test set is used once, at the
end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import threadpoolctl  # type: ignore[import-untyped]

from bench.steps import machine
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.catalog import SYSTEM_FOLDERS, data_folder
from convolve.from_scratch.homework import ThreeLayerNet
from convolve.from_scratch.initializers import xavier
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.networks import Model, lenet5
from convolve.from_scratch.optimizers import Adam, Optimizer
from convolve.from_scratch.training import LabeledData, accuracy, train
from convolve.values import Dataset, Indices

_TRAIN_DIGITS = 1437  # of 1,797; the remaining fifth is the test set


@dataclass(frozen=True)
class Training:
    """A network, its dataset and the ``stages`` of Adam: a learning rate, and for how many epochs.

    LeNet-5's were chosen on the last 10,000 training images, without the test set.
    """

    dataset: str
    shape: tuple[int, ...]
    build: Callable[[Initialization], Model]
    stages: tuple[tuple[float, int], ...]


TRAININGS = {
    "lenet5": Training("fashion-mnist", (1, 28, 28), lenet5, ((0.002, 8), (0.0002, 3))),
    "three-layer": Training(
        "fashion-mnist", (784,), lambda init: ThreeLayerNet(init, 784, (200, 100), 10), ((0.001, 20),)
    ),
    "three-layer-mnist": Training(
        "mnist", (784,), lambda init: ThreeLayerNet(init, 784, (200, 100), 10), ((0.001, 20),)
    ),
    "three-layer-digits": Training(
        "digits", (64,), lambda init: ThreeLayerNet(init, 64, (50, 30), 10), ((0.003, 100),)
    ),
}


def _load(dataset: Dataset, shape: tuple[int, ...]) -> tuple[LabeledData, LabeledData]:
    """The training and the test data: float32, standardized by the training pixels' mean and deviation."""
    splits = _splits(dataset)
    pixels = [np.stack([dataset.images.read(int(index)) for index in split]).astype(np.float32) for split in splits]
    mean, deviation = pixels[0].mean(), pixels[0].std()
    inputs = [((values - mean) / deviation).reshape(-1, *shape) for values in pixels]
    labels = dataset.ground_truths["labels"]
    assert isinstance(labels, Labels)
    train_data, test_data = (LabeledData(x, labels.values[split]) for x, split in zip(inputs, splits, strict=True))
    return train_data, test_data


def _splits(dataset: Dataset) -> tuple[Indices, Indices]:
    """The indices of the training and the test set."""
    if dataset.given_splits:
        return dataset.given_splits["train"], dataset.given_splits["test"]
    indices = np.arange(len(dataset), dtype=np.int64)
    return indices[:_TRAIN_DIGITS], indices[_TRAIN_DIGITS:]


def _run(name: str, training: Training) -> None:
    dataset = open_dataset(training.dataset)
    train_data, test_data = _load(dataset, training.shape)
    model = training.build(Initialization(np.random.default_rng(0), np.float32, xavier))
    start = time.perf_counter()
    losses: list[float] = []
    optimizer = Optimizer(Adam())
    for seed, (learning_rate, epochs) in enumerate(training.stages):
        optimizer.rule = Adam(learning_rate)
        losses += train(model, train_data, optimizer, epochs, seed=seed)
    seconds = time.perf_counter() - start
    accuracies = f"train {accuracy(model, train_data):.2%}, test {accuracy(model, test_data):.2%}"
    print(f"{name} on {training.dataset}: {accuracies} after {len(losses)} epochs in {seconds:.1f} s", end="")
    print(f" (mean loss of the last epoch {losses[-1]:.4f})", flush=True)


def _is_installed(name: str) -> bool:
    """Whether the dataset can be read without a download."""
    return name == "digits" or any((folder / name).is_dir() for folder in (data_folder(), *SYSTEM_FOLDERS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TRAININGS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{machine()}, NumPy {np.__version__}, {arguments.threads} thread{'s' * (arguments.threads > 1)}", flush=True)
    with threadpoolctl.threadpool_limits(arguments.threads):
        for name in arguments.names or TRAININGS:
            if _is_installed(TRAININGS[name].dataset):
                _run(name, TRAININGS[name])
            else:
                print(f"{name}: {TRAININGS[name].dataset} is not installed")


if __name__ == "__main__":
    main()
