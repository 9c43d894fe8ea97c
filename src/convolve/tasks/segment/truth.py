"""What segmentation needs of a dataset, and the task made from a recipe or from a run."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress

import numpy as np
import torch

from convolve.datasets.batches import Examples
from convolve.datasets.cache import PixelSource
from convolve.datasets.masks import MaskTruth, chosen, laid_over, pixel_counts, pixels_by_class
from convolve.datasets.tiles import tiles
from convolve.errors import DataError, NetworkError, OptionError
from convolve.models import Network
from convolve.tasks.segment.learning import Segment
from convolve.training.recipe import Recipe
from convolve.training.run import Manifest
from convolve.values import Batch, Dataset, Floats, Indices, Labels, Masks, Pixels, Preprocessing, Splits


def accept(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The dataset without the class that the recipe ignores. Raises `DataError` where there are no masks, no two
    classes, or no such class, `OptionError` for what blends or softens one label an image.
    """
    for name in ("label_smoothing", "mixup"):
        if getattr(recipe.regularization, name):
            raise OptionError(
                f"{name} is for images of one label, not for masks; leave --{name.replace('_', '-')} out."
            )
    labels, ignored = dataset.labels, recipe.pixels.ignore
    if dataset.masks is None:
        raise DataError(f"{dataset.root} has no masks; give images and masks of the same names, or --task classify.")
    if ignored is None:
        kept = list(range(len(labels.classes)))
    elif ignored in labels.classes:
        kept = [place for place, name in enumerate(labels.classes) if name != ignored]
    else:
        raise DataError(f"{dataset.root} has no class '{ignored}' to ignore; it has {', '.join(labels.classes)}.")
    if len(kept) < 2:
        raise DataError(f"{dataset.root} has one class only, '{labels.classes[kept[0]]}'; segmentation needs two.")
    return _only(dataset, kept)


def relabel(dataset: Dataset, manifest: Manifest) -> Dataset:
    """A dataset whose masks count in a run's classes. Raises `DataError` when it has classes that the run lacks."""
    unknown = [name for name in dataset.labels.classes if name not in manifest.classes]
    if unknown:
        raise DataError(
            f"The run does not know the class '{unknown[0]}' of {dataset.root}; it knows {', '.join(manifest.classes)}."
        )
    places = [dataset.labels.classes.index(name) if name in dataset.labels.classes else -1 for name in manifest.classes]
    return _only(dataset, places, manifest.classes)


def _only(dataset: Dataset, places: list[int], names: tuple[str, ...] | None = None) -> Dataset:
    """The classes at ``places``, in that order; -1 is one that does not occur."""
    labels = dataset.labels
    flags = np.pad(np.asarray(labels.values), ((0, 0), (0, 1)))[:, places]
    names = names or tuple(labels.classes[place] for place in places)
    return replace(dataset, labels=Labels(flags, names), masks=chosen(_masks(dataset), places))


def marked(pictures: Pixels, batch: Batch, dataset: Dataset) -> Pixels:
    """(N, H, W, 3) the pictures (N, H, W, 1 or 3) half in their masks' colors."""
    colors, masks = _masks(dataset).colors, batch.targets.astype(np.uint8)
    wide = np.broadcast_to(pictures, (*pictures.shape[:3], 3))
    return np.stack([laid_over(picture, mask, colors) for picture, mask in zip(wide, masks, strict=True)])


def named(batch: Batch, dataset: Dataset) -> list[str]:
    """The classes that each mask shows, with plus signs between."""
    classes = dataset.labels.classes
    flags = [pixels_by_class(mask, len(classes)) > 0 for mask in batch.targets.astype(np.uint8)]
    return [" + ".join(compress(classes, shown)) for shown in flags]


def examples(dataset: Dataset, source: PixelSource, preprocessing: Preprocessing, budget: int) -> Examples:
    """Every image, or with `tiles` every tile, with its mask, moved as it is."""
    masks = _masks(dataset)
    if preprocessing.fit == "tiles":
        return tiles(dataset.images, masks, source, preprocessing, budget)
    return Examples(source, MaskTruth(masks, source, preprocessing))


def build(network: Network, recipe: Recipe, dataset: Dataset, splits: Splits) -> Segment:
    """The task that learns as a settled recipe says. Raises `NetworkError` for a network that answers per image."""
    if not network.head_inputs:
        name = network.card.name
        raise NetworkError(f"{name} tells the class of an image, not of its pixels; take --network fcn8s_{name}.")
    weights = None
    if recipe.regularization.balance == "weights":
        weights = torch.from_numpy(median_frequency(_masks(dataset), splits.train, len(dataset.labels.classes)))
    return Segment(network, dataset.labels.classes, recipe.pixels.loss or "cross-entropy", weights)


def restore(network: Network, manifest: Manifest) -> Segment:
    """The task of a run."""
    return Segment(network, manifest.classes)


def sampling(recipe: Recipe, dataset: Dataset, part: Indices) -> Floats | None:
    """None: masks hold several classes. Raises `OptionError` where a balanced sampler is asked for."""
    del dataset, part
    if recipe.regularization.balance == "sampler":
        raise OptionError("A balanced sampler needs one label an image; take --balance weights.")
    return None


def median_frequency(masks: Masks, part: Indices, classes: int) -> Floats:
    """(classes,) the median of the classes' frequencies by each one's own, which is its share of the pixels of the
    masks in which it occurs (Eigen, Fergus 2015, section 6.3.2); 1 for a class that occurs in none.
    """
    counts = pixel_counts(masks, part, classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = counts.sum(0) / ((counts > 0) * counts.sum(1, keepdims=True)).sum(0)
        weights = np.nanmedian(frequency) / frequency
    return np.where(np.isfinite(weights), weights, 1.0).astype(np.float32)


def _masks(dataset: Dataset) -> Masks:
    if dataset.masks is None:
        raise DataError(f"{dataset.root} has no masks; give images and masks of the same names.")
    return dataset.masks
