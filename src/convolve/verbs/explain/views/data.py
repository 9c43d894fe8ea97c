"""The views of a network by itself and of its data: filters, patches, statistics, embedding, images of a class."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convolve.explainers.class_images import Ascent, class_images
from convolve.explainers.embedding import Projection, embedded
from convolve.explainers.exciting_patches import cut, exciting_patches, some_units
from convolve.explainers.feature_maps import chosen_stage
from convolve.explainers.filters import as_pixels, first_filters
from convolve.explainers.penultimate import penultimate
from convolve.explainers.statistics import layer_statistics
from convolve.reports.embedding_figure import pictures_figure, points_figure
from convolve.reports.layers_figure import LayerBar, layers_figure
from convolve.reports.sheets import Block, sheet, square
from convolve.tasks.task import Task
from convolve.values import Indices
from convolve.verbs.explain.views.asked import Inside, first_images, picture_written, seen_as_pixels, written
from convolve.verbs.looking import visible

UNITS, PATCHES = 12, 9
"""Units and patches of each in a sheet of patches: as many patches as in figure 2 of Zeiler and Fergus."""
_COUNTED, _POINTS, _CLASSES = 96, 500, 20
_BEYOND = np.uint8(242)  # light gray, for what lies beyond an image
_SKIPPED = ("Flatten", "Dropout", "Identity")


def filters(inside: Inside) -> tuple[Path, ...]:
    """`filters.png`: the filters of the first layer."""
    found = first_filters(inside.network, inside.shape)
    count, height, width = found.weights.shape[:3]
    title = f"{inside.network.card.name}, {found.layer.rpartition('.')[2]}: {count} filters of {height}x{width}"
    block = Block("", as_pixels(found.weights), square(count))
    note = "Middle gray is 0; each filter is scaled by its own largest weight."
    return written(inside.out / "filters", sheet(title, [block], note), {"weights": found.weights})


def patches(inside: Inside) -> tuple[Path, ...]:
    """`patches.png`: for some units of the stage, the patches of the data that excite them most."""
    network, stage = inside.network, chosen_stage(inside.network, inside.stage)
    units = some_units(network.channels[stage], UNITS, inside.seed)
    batches = ((inside.runtime.images(batch.images), batch.indices) for batch in inside.batches())
    found = exciting_patches(network, batches, stage, units, PATCHES)
    shown = [
        cut(found.images[int(index)], box, np.nan)
        for index, box in zip(found.indices.flatten(), found.boxes.reshape(-1, 4), strict=True)
    ]
    outside = np.isnan(np.stack(shown)).transpose(0, 2, 3, 1)
    tiles = np.where(outside, _BEYOND, seen_as_pixels(np.nan_to_num(np.stack(shown)), inside.preprocessing))
    sides = found.boxes[0, 0, 2:] - found.boxes[0, 0, :2]
    block = Block("", tiles, PATCHES, 80, rows=[f"channel {unit}" for unit in units.tolist()])
    title = f"{network.card.name}, {stage}: the patches that excite a unit most"
    note = (
        f"A unit of {stage} sees {sides[0]}x{sides[1]} pixels of the network's input. The strongest patch stands first."
    )
    arrays = {name: getattr(found, name) for name in ("units", "values", "indices", "places", "boxes")}
    return written(inside.out / "patches", sheet(title, [block], note), arrays | {"pixels": tiles})


def statistics(inside: Inside) -> tuple[Path, ...]:
    """`statistics.png`: values and slopes layer by layer, over some of the data."""
    batches = list(first_images(inside.batches(), _COUNTED))
    pairs = [(inside.runtime.images(batch.images), inside.runtime.targets(batch.targets)) for batch in batches]
    every = layer_statistics(inside.network, pairs, partial(_loss, inside.task))
    found = [one for one in every if not one.type.startswith(_SKIPPED)]
    bars = [
        LayerBar(
            one.name.removeprefix("stages."),
            one.values.mean,
            one.values.deviation,
            one.values.zeros,
            one.slopes.deviation,
            one.slopes.zeros,
        )
        for one in found
    ]
    count = sum(len(batch.indices) for batch in batches)
    figure = layers_figure(bars, f"{inside.network.card.name}: what leaves each layer, over {count} images")
    names = ("name", "mean", "deviation", "zeros", "gradients", "gradient_zeros")
    arrays = {name: np.array([getattr(bar, name) for bar in bars]) for name in names}
    return written(inside.out / "statistics", figure, arrays)


def embedding(inside: Inside) -> tuple[Path, ...]:
    """`embedding.png`: PCA and t-SNE of the features before the scores; `embedding-pictures.png`: with the pictures.

    Both of images that the network did not learn from: its own training images lie apart because it knows them.
    """
    batches = list(first_images(inside.unseen(), _POINTS))
    features = [penultimate(inside.network, inside.runtime.images(batch.images)).cpu().numpy() for batch in batches]
    labels = np.concatenate([_one_label(batch.targets) for batch in batches])
    ways: tuple[Projection, ...] = ("pca", "tsne")
    points = {str(way): embedded(np.concatenate(features), way, inside.seed) for way in ways}
    panels = [("principal components", points["pca"]), ("t-SNE", points["tsne"])]
    classes, title = inside.task.classes, f"{inside.network.card.name}: t-SNE of the features before the scores"
    pictures = visible(np.concatenate([batch.images for batch in batches]), inside.preprocessing)
    few = pictures_figure(title, points["tsne"], pictures, labels, classes)
    indices = np.concatenate([batch.indices for batch in batches])
    arrays = {"features": np.concatenate(features), "labels": labels, "indices": indices} | points
    files = written(inside.out / "embedding", points_figure(panels, labels, classes), arrays)
    return (*files, picture_written(inside.out / "embedding-pictures.png", few))


def best_images(inside: Inside) -> tuple[Path, ...]:
    """`class-images.png`: images that the classes asked for, or the first ones, have their greatest scores for."""
    classes = inside.asked or tuple(range(min(_CLASSES, len(inside.task.classes))))
    mean, std = (torch.tensor(values) for values in (inside.preprocessing.mean, inside.preprocessing.std))
    bounds = -mean / std, (1 - mean) / std
    chosen = torch.tensor(classes, device=inside.runtime.device)
    found = class_images(inside.network, chosen, bounds, inside.shape[1:], Ascent(seed=inside.seed))
    tiles = seen_as_pixels(found.images, inside.preprocessing)
    ends = found.scores[:, -1].tolist()
    captions = [f"{end:.1f}  {inside.task.classes[place]}" for place, end in zip(classes, ends, strict=True)]
    block = Block("", tiles, square(len(tiles), 5), 176, captions)
    note = "Below each image the class's score. The images are no photographs: the network alone finds them so good."
    title = f"{inside.network.card.name}: images with the greatest score of a class"
    arrays: dict[str, npt.NDArray[Any]] = {"images": tiles, "scores": found.scores, "classes": np.array(classes)}
    return written(inside.out / "class-images", sheet(title, [block], note), arrays)


def _loss(task: Task, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    del network  # the task's own
    return task.loss(images, targets, torch.Generator(images.device))["loss"]


def _one_label(targets: npt.NDArray[Any]) -> Indices:
    """(N,) the class, or the first of an image's labels."""
    return np.asarray(targets.argmax(1) if targets.ndim == 2 else targets, dtype=np.int64)
