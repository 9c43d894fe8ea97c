"""Simple-CNN on Fashion-MNIST, batch 128, Adam, whole epochs: our loop against the stock idiom and, if present, Keras.

    python -m bench.small_network [--epochs 3] [--seeds 3]

Ours is the loop of `convolve train` with its checkpoints and validation after each epoch; the peer is PyTorch's usual
one: a dataset of PIL images, ToTensor, a `DataLoader` with two processes, and the same test after each epoch. Every
seed trains each side once, one after another; the median epoch and the ratio per seed are printed with the accuracy.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from bench import steps
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import open_dataset
from convolve.models import Network, create
from convolve.runtime import choose
from convolve.summary import summarize
from convolve.tasks.classify.task import Classify
from convolve.training.checkpoints import RunFiles
from convolve.training.evaluation import evaluate_batches
from convolve.training.events import Events
from convolve.training.loop import fit
from convolve.training.recipe import Optimization, Recipe, Regularization
from convolve.training.step import State, Training
from convolve.values import Indices, Pixels, Preprocessing

_BATCH, _LEARNING_RATE, _SIDE = 128, 1e-3, 28
_PREPROCESSING = Preprocessing(_SIDE, _SIDE, 1, "stretch", (0.0,), (1.0,))
Outcome = tuple[float, float]
"""Seconds of the median epoch, and the test accuracy after the last."""


def _ours(epochs: int, seed: int) -> Outcome:
    dataset = open_dataset("fashion-mnist")
    labels = dataset.ground_truths["labels"]
    torch.manual_seed(seed)
    network = create("simple_cnn")
    runtime = choose(macs=summarize(network, (1, _SIDE, _SIDE)).macs)
    runtime.prepare(network, learning=True)
    source = open_cache(dataset.images, _PREPROCESSING, None, 1 << 30, 2)
    options = BatchOptions(_PREPROCESSING, _BATCH, seed, shuffle=True)
    train = Batches(source, labels, dataset.given_splits["train"], options)
    test = Batches(source, labels, dataset.given_splits["test"], replace(options, batch=500, shuffle=False))
    task = Classify(network, labels.classes)

    def validate(measured: nn.Module) -> dict[str, float]:
        assert isinstance(measured, Network)
        return evaluate_batches(task.with_network(measured), test.epoch(0), runtime)

    recipe = Recipe(
        epochs=epochs,
        seed=seed,
        batch=_BATCH,
        optimization=Optimization("adam", _LEARNING_RATE, 0.9, 0.0, "constant", 0.0, 0.0),
        regularization=Regularization(ema_decay=0.0, patience=0),
    )
    times = [time.perf_counter()]
    events = Events(epoch=(lambda _: times.append(time.perf_counter()),))
    with tempfile.TemporaryDirectory() as run:
        state: State = fit(Training(task, train, validate, recipe, runtime), RunFiles(Path(run)), events)
    return _median_epoch(times), state.history[-1]["accuracy"]


class _Images(Dataset[tuple[torch.Tensor, int]]):
    """The dataset as torchvision's `FashionMNIST` gives it: each image through PIL."""

    def __init__(self, images: Pixels, labels: Indices) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return to_tensor(Image.fromarray(self.images[index])), int(self.labels[index])


def _arrays() -> dict[str, tuple[Pixels, Indices]]:
    """Images (N, 28, 28) and labels of both splits."""
    dataset = open_dataset("fashion-mnist")
    ground_truth = dataset.ground_truths["labels"]
    assert isinstance(ground_truth, Labels)
    labels = np.asarray(ground_truth.values, dtype=np.int64)
    return {
        part: (np.stack([dataset.images.read(int(index))[..., 0] for index in chosen]), labels[chosen])
        for part, chosen in dataset.given_splits.items()
    }


def _stock_network() -> nn.Sequential:
    """The same layers with the same first weights, Keras's, so that accuracies can be compared."""
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 64),
        nn.Sigmoid(),
        nn.Linear(64, 10),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


def _stock(arrays: dict[str, tuple[Pixels, Indices]], epochs: int, seed: int) -> Outcome:
    torch.manual_seed(seed)
    network = _stock_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    train = DataLoader(_Images(*arrays["train"]), _BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    test = DataLoader(_Images(*arrays["test"]), _BATCH, num_workers=2, persistent_workers=True)
    times, accuracy = [time.perf_counter()], 0.0
    for _ in range(epochs):
        network.train()
        for images, targets in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        network.eval()
        with torch.no_grad():
            accuracy = mean(float((network(x).argmax(1) == y).float().mean()) for x, y in test)
        times.append(time.perf_counter())
    return _median_epoch(times), accuracy


def _keras(arrays: dict[str, tuple[Pixels, Indices]], epochs: int, seed: int) -> Outcome:
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((_SIDE, _SIDE, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="sigmoid"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(_LEARNING_RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    times = [time.perf_counter()]
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.perf_counter()))
    scaled = {part: (images[..., None].astype(np.float32) / 255, labels) for part, (images, labels) in arrays.items()}
    history = network.fit(
        *scaled["train"], _BATCH, epochs, verbose=0, validation_data=scaled["test"], callbacks=[note]
    ).history
    return _median_epoch(times), float(history["val_accuracy"][-1])


def _median_epoch(times: list[float]) -> float:
    return median(after - before for before, after in pairwise(times))


def _row(name: str, outcomes: list[Outcome], ours: list[Outcome]) -> str:
    seconds, ratios = [found[0] for found in outcomes], [b[0] / a[0] for a, b in zip(ours, outcomes, strict=True)]
    accuracies = [found[1] for found in outcomes]
    return (
        f"{name:6} {median(seconds):6.2f} s per epoch ({min(seconds):.2f}-{max(seconds):.2f}), "
        f"{median(ratios):5.2f} times ours ({min(ratios):.2f}-{max(ratios):.2f}), "
        f"test accuracy {mean(accuracies):.4f} ({min(accuracies):.4f}-{max(accuracies):.4f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    print(steps.machine())
    arrays = _arrays()
    sides: dict[str, Callable[[int, int], Outcome]] = {"stock": partial(_stock, arrays), "ours": _ours}
    if importlib.util.find_spec("tensorflow") and importlib.util.find_spec("keras"):
        sides["keras"] = partial(_keras, arrays)
    else:
        print("keras  absent: install tensorflow-cpu to compare with it")
    found: dict[str, list[Outcome]] = {name: [] for name in sides}
    for seed in range(asked.seeds):
        for name, side in sides.items():
            found[name].append(side(asked.epochs, seed))
    for name, outcomes in found.items():
        print(_row(name, outcomes, found["ours"]))


if __name__ == "__main__":
    main()
