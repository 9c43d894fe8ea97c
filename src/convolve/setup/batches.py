"""Batches to train and to evaluate on, by a resolved recipe."""

from __future__ import annotations

import dataclasses

from convolve.datasets.batches import Batches, BatchOptions, Examples
from convolve.datasets.parallel import reader_threads
from convolve.training.recipe import Recipe
from convolve.values import Floats, Indices, Preprocessing

_MOST_IMAGES, _MOST_PIXELS = 250, 2**19


def training_batches(
    recipe: Recipe, examples: Examples, images: Indices, preprocessing: Preprocessing, weights: Floats | None = None
) -> Batches:
    """Shuffled and augmented; drawn by ``weights`` if given."""
    indices = examples.of(images)
    options = BatchOptions(
        preprocessing,
        recipe.batch or 1,
        recipe.seed or 0,
        shuffle=True,
        augmentation=recipe.augmentation if augments(recipe) else None,
        sampler_weights=weights,
        workers=reader_threads(),
        drop_last=len(indices) % (recipe.batch or 1) == 1,  # batch normalization cannot learn from a single image
    )
    return Batches(examples.source, examples.targets, indices, options)


def evaluation_batches(examples: Examples, images: Indices, preprocessing: Preprocessing) -> Batches:
    """In order, without augmentation."""
    options = BatchOptions(
        preprocessing, evaluation_batch_size(preprocessing), seed=0, shuffle=False, workers=reader_threads()
    )
    return Batches(examples.source, examples.targets, examples.of(images), options)


def evaluation_batch_size(preprocessing: Preprocessing) -> int:
    """How many images are evaluated together: few enough that the maps of a large network stay within 2 GB."""
    return min(_MOST_IMAGES, max(1, _MOST_PIXELS // (preprocessing.height * preprocessing.width)))


def augments(recipe: Recipe) -> bool:
    """Whether a recipe's augmentation changes anything."""
    chosen = dataclasses.asdict(recipe.augmentation)
    return chosen.pop("crop") != 1.0 or any(chosen.values())
