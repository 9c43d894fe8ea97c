"""What a classifier needs of a dataset, and the task made from a recipe or from a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from convolve.datasets.batches import Examples
from convolve.datasets.cache import PixelSource
from convolve.errors import DataError, NetworkError, OptionError
from convolve.models import Network
from convolve.tasks.classify.learning import Classify
from convolve.training.recipe import Recipe
from convolve.training.run import Manifest
from convolve.values import Batch, Dataset, Floats, Indices, Labels, Pixels, Preprocessing, Splits
from convolve.words import Fit


def accept(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The dataset as it is. Raises `DataError` for a single class, `OptionError` for tiles."""
    _refuse_tiles(recipe.fit)
    labels = dataset.labels
    if len(labels.classes) < 2 and not labels.multiple:
        raise DataError(f"{dataset.root} has one class only, '{labels.classes[0]}'; a classifier needs two.")
    return dataset


def relabel(dataset: Dataset, manifest: Manifest) -> Dataset:
    """A dataset whose labels count in a run's classes. Raises `DataError` when it has classes that the run lacks, or
    several labels an image where the run knows one.
    """
    labels, classes = dataset.labels, manifest.classes
    if labels.multiple and not manifest.multiple:
        raise DataError(
            f"{dataset.root} gives images several labels, but the run learned one for each; give other data."
        )
    unknown = [name for name in labels.classes if name not in classes]
    if unknown:
        raise DataError(
            f"The run does not know the class '{unknown[0]}' of {dataset.root}; it knows {', '.join(classes)}."
        )
    places = np.array([classes.index(name) for name in labels.classes], dtype=np.int64)
    if manifest.multiple:
        flags = labels.values if labels.multiple else np.eye(len(labels.classes), dtype=np.uint8)[labels.values]
        values = np.zeros((len(labels), len(classes)), dtype=np.uint8)
        values[:, places] = flags
        return replace(dataset, labels=Labels(values, classes))
    return replace(dataset, labels=Labels(places[labels.values], classes))


def marked(pictures: Pixels, batch: Batch, dataset: Dataset) -> Pixels:
    """The pictures as they are: a class has no place in them."""
    del batch, dataset
    return pictures


def named(batch: Batch, dataset: Dataset) -> list[str]:
    """The class that each image shows, or several with plus signs between."""
    classes, multiple = dataset.labels.classes, dataset.labels.multiple
    numbers = [np.flatnonzero(value) if multiple else [int(value)] for value in batch.targets]
    return [" + ".join(classes[number] for number in shown) for shown in numbers]


def examples(dataset: Dataset, source: PixelSource, preprocessing: Preprocessing, budget: int) -> Examples:
    """Every image with its labels, whatever it is made into. Raises `OptionError` for tiles."""
    del budget
    _refuse_tiles(preprocessing.fit)
    return Examples(source, dataset.labels)


def _refuse_tiles(fit: Fit | None) -> None:
    if fit == "tiles":
        raise OptionError("Tiles are for masks, as a part of an image need not show its class; take --fit crop.")


def build(network: Network, recipe: Recipe, dataset: Dataset, splits: Splits) -> Classify:
    """The task that learns as a settled recipe says. Raises `NetworkError` for a network that answers per pixel."""
    if network.head_inputs:
        name = network.card.name
        plain = name.partition("s_")[2] if name.startswith("fcn") else "resnet18"
        raise NetworkError(f"{name} tells the class of every pixel, not of an image; take --network {plain}.")
    labels, regularization = dataset.labels, recipe.regularization
    weights = class_weights(labels.take(splits.train)) if regularization.balance == "weights" else None
    return Classify(
        network,
        labels.classes,
        labels.multiple,
        regularization.label_smoothing or 0.0,
        regularization.mixup or 0.0,
        None if weights is None else torch.from_numpy(weights),
    )


def restore(network: Network, manifest: Manifest) -> Classify:
    """The task of a run, whose probabilities its temperature corrects."""
    temperature = float(manifest.results.get("temperature", 1.0))
    return Classify(network, manifest.classes, manifest.multiple, temperature=temperature)


def sampling(recipe: Recipe, dataset: Dataset, part: Indices) -> Floats | None:
    """(N,) weights by which a balanced sampler draws the images of ``part``. Raises `OptionError`."""
    if recipe.regularization.balance != "sampler":
        return None
    labels = dataset.labels.take(part)
    if labels.multiple:
        raise OptionError("A balanced sampler needs one label an image; take --balance weights.")
    return class_weights(labels)[labels.values]


def class_weights(labels: Labels) -> Floats:
    """(classes,) weights that make every class count alike.

    For one class per image the inverse frequency, with mean 1 over the images; for several labels the number of
    images without the label for each image with it. Classes without images weigh 1.
    """
    counts = labels.counts().astype(np.float64)
    total = float(len(labels)) if labels.multiple else counts.sum()
    present = counts > 0
    weights = np.ones(len(counts))
    if labels.multiple:
        weights[present] = (total - counts[present]) / counts[present]
    else:
        weights[present] = total / (present.sum() * counts[present])
    return weights.astype(np.float32)
