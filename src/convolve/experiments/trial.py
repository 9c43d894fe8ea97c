"""One seed of an experiment: it trains by recipes, and says what the runs measured."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import tomli_w

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.labels import Labels
from convolve.errors import ClaimError
from convolve.experiments.training import Trained, train
from convolve.files import write_text
from convolve.progress import Listener, Message, Progress
from convolve.training.recipe import Optimization, Recipe, Splitting, recipe_document
from convolve.training.run import WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor

FULL, QUICK = "fashion-mnist", "digits"
IMAGES = 6_000
"""Training images of an experiment that does not say otherwise: an epoch of a small network takes seconds."""
_VALIDATION = 0.02
_UNCHANGED = Augmentation(
    crop=1.0, flip=False, rotate=0.0, scale=0.0, translate=0.0, noise=0.0, brightness=0.0, contrast=0.0
)


@dataclass(frozen=True)
class Measured:
    """What the training of a classifier gave: errors in per cent, ``epochs`` with the metrics of each, seconds of all
    epochs, the file of its ``weights``, which is there until the next training of its name, and how it was ``trained``.
    """

    test_error: float
    validation_error: float
    epochs: tuple[Mapping[str, Any], ...]
    seconds: float
    weights: Path
    trained: Trained

    @property
    def training_errors(self) -> tuple[float, ...]:
        """Errors on the training images in per cent, counted while an epoch goes on, of all epochs."""
        return tuple(100 * (1 - epoch["train_accuracy"]) for epoch in self.epochs)

    @property
    def training_error(self) -> float:
        """The last epoch's."""
        return self.training_errors[-1]

    @property
    def validation_errors(self) -> tuple[float, ...]:
        """Errors on the validation images in per cent, of all epochs."""
        return tuple(100 * (1 - epoch["accuracy"]) for epoch in self.epochs)


@final
class Trial:
    """One seed of a claim's experiment. With ``quick`` it is on scikit-learn's digits, else on Fashion-MNIST.

    ``recipes`` collects, as documents, what has been trained.
    """

    def __init__(self, seed: int, folder: Path, listener: Listener, *, quick: bool) -> None:
        self.seed = seed
        self.quick = quick
        self.folder = folder
        self.recipes: dict[str, Mapping[str, Any]] = {}
        self._listener = listener

    def recipe(
        self,
        network: str,
        epochs: int,
        *,
        images: int = IMAGES,
        size: int = 28,
        learning_rate: float | None = None,
    ) -> Recipe:
        """A recipe on this trial's data: AdamW, no augmentation, 2 % of Fashion-MNIST for the choice of the best epoch.

        With ``images`` of 0 all training images are used. A ``learning_rate`` is for networks that are compared but
        would be given different ones: with it, gradients are not clipped and labels not smoothed either.
        """
        own = learning_rate is not None
        splitting = Splitting() if self.quick else Splitting(validation=_VALIDATION, subset=images or None)
        return Recipe(
            QUICK if self.quick else FULL,
            network=network,
            epochs=epochs,
            seed=self.seed,
            size=size,
            optimization=Optimization("adamw", learning_rate, clip_norm=0.0 if own else None),
            augmentation=_UNCHANGED,
            splitting=splitting,
            task_options={"label_smoothing": 0.0} if own else {},
        )

    def write_network(self, name: str, document: Mapping[str, Any]) -> Path:
        """A TOML file of a network of branches. Raises `ConvolveError`."""
        path = self.folder / f"{name.replace(' ', '-')}.toml"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(path, tomli_w.dumps(document))
        return path

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """The first images of this trial's data (N, 1, H, W), of mean 0 and deviation 1, and their classes (N,)."""
        import numpy as np
        import torch

        from convolve.datasets.layouts import open_dataset

        dataset = open_dataset(QUICK if self.quick else FULL)
        indices = np.arange(count)
        pixels = np.stack([dataset.images.read(int(index)) for index in indices]).astype(np.float32)
        labels = dataset.ground_truths["labels"]
        if not isinstance(labels, Labels):
            raise ClaimError(f"{dataset.root} has no labels; give a dataset for classification.")
        classes = labels.values[indices]
        normalized = (pixels - pixels.mean()) / pixels.std()
        return torch.from_numpy(normalized).movedim(3, 1), torch.from_numpy(np.asarray(classes))

    def train(self, name: str, recipe: Recipe, minutes: float | None = None) -> Measured:
        """Train a classifier by a recipe, with ``minutes`` as many epochs as fit, and evaluate it on the test split.
        Raises `ConvolveError`.
        """
        trained, folder = self.run(name, recipe, minutes)
        return Measured(
            test_error=100 * (1 - trained.metrics["accuracy"]),
            validation_error=100 * (1 - max(epoch["accuracy"] for epoch in trained.epochs)),
            epochs=trained.epochs,
            seconds=trained.seconds,
            weights=folder / WEIGHTS,
            trained=trained,
        )

    def run(self, name: str, recipe: Recipe, minutes: float | None = None) -> tuple[Trained, Path]:
        """Train by a recipe of any task: what it gave, and the folder with its weights. Raises `ConvolveError`."""
        self._listener(Message(f"Seed {self.seed}: {name}"))
        folder = self.folder / f"{name.replace(' ', '-').replace('/', '-')}-{self.seed}"
        shutil.rmtree(folder, ignore_errors=True)
        trained = train(recipe, folder, self._progress_alone, minutes)
        self.recipes.setdefault(name, recipe_document(trained.prepared.recipe))
        return trained, folder

    def train_all(self, recipes: Mapping[str, Recipe]) -> dict[str, Measured]:
        """Train by each recipe in turn."""
        return {name: self.train(name, recipe) for name, recipe in recipes.items()}

    def train_best(self, name: str, recipe: Recipe, learning_rates: Iterable[float]) -> tuple[float, Measured]:
        """Train at each of the learning rates: the rate with the lowest validation error, and what it gave."""
        found: list[tuple[float, Measured]] = []
        for rate in learning_rates:
            changed = replace(recipe, optimization=replace(recipe.optimization, learning_rate=rate))
            found.append((rate, self.train(f"{name} {rate:g}", changed)))
        return min(found, key=lambda pair: pair[1].validation_error)

    def _progress_alone(self, event: Progress | Message) -> None:
        if isinstance(event, Progress):
            self._listener(event)
