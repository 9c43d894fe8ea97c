"""The views of a run's network that `convolve explain --show` writes: figures, and their numbers next to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convolve.choices import View
from convolve.errors import DataError
from convolve.explainers.class_images import Ascent, class_images
from convolve.explainers.contributions import contributions, penultimate_features
from convolve.explainers.embedding import Projection, embed
from convolve.explainers.feature_maps import choose_stage, feature_maps
from convolve.explainers.filters import filters_to_pixels, first_filters
from convolve.explainers.receptive_fields import unit_field
from convolve.explainers.score_targets import SpatialMean
from convolve.explainers.statistics import layer_statistics
from convolve.explainers.top_patches import crop_box, sample_channels, top_patches
from convolve.reports.colors import color_maps
from convolve.reports.contributions_figure import ScoreSum, contributions_figure
from convolve.reports.embedding_figure import images_figure, points_figure
from convolve.reports.fields_figure import fields_figure
from convolve.reports.image_grids import GridBlock, Scale, column_count, image_grid
from convolve.reports.layers_figure import LayerBar, layers_figure
from convolve.setup.contact_sheet import denormalize
from convolve.tasks.task import Task
from convolve.values import Floats
from convolve.verbs.explain.view_context import (
    ViewContext,
    file_stem,
    first_batches,
    require_classes,
    require_images,
    to_pixels,
    write_figure,
    write_view,
)

UNITS, PATCHES = 12, 9
"""Units and patches of each in a grid of patches: as many patches as in figure 2 of Zeiler and Fergus."""
_COUNTED, _POINTS, _CLASSES = 96, 500, 20
_MAPS_OF_ONE, _MAPS_OF_EACH = 64, 16
_ROWS = 6
_PADDING = np.uint8(242)  # light gray, for what lies beyond an image
_SKIPPED = ("Flatten", "Dropout", "Identity")


def filters(context: ViewContext) -> tuple[Path, ...]:
    """`filters.png`: the filters of the first layer."""
    found = first_filters(context.network, context.shape)
    count, height, width = found.weights.shape[:3]
    title = f"{context.network.card.label}, {found.layer.rpartition('.')[2]}: {count} filters of {height}x{width}"
    block = GridBlock("", filters_to_pixels(found.weights), column_count(count))
    note = "Middle gray is 0; each filter is scaled by its own largest weight."
    return write_view(context.out / "filters", image_grid(title, [block], note), {"weights": found.weights})


def maps(context: ViewContext) -> tuple[Path, ...]:
    """`feature-maps-….png` for each image: the maps of the stage of the options, or some of each stage."""
    require_images(context, "feature-maps")
    only = None if context.stage is None else choose_stage(context.network, context.stage)
    found = {
        name: values for name, values in feature_maps(context.network, context.inputs).items() if only in (None, name)
    }
    most = _MAPS_OF_ONE if only else _MAPS_OF_EACH
    files: list[Path] = []
    for index, name in enumerate(context.images):
        own = {stage: values[index] for stage, values in found.items()}
        blocks = [GridBlock("", context.pixels[index : index + 1], 1, 192)]
        blocks += [_maps_block(stage, values, most) for stage, values in own.items()]
        left_out = any(len(values) > most for values in own.values())
        note = "Where not all channels are shown, they are those that vary most over the image." if left_out else ""
        grid = image_grid(f"{context.network.card.label}: {Path(name).name}", blocks, note)
        files += write_view(context.out / file_stem("feature-maps", index, name), grid, own)
    return tuple(files)


def patches(context: ViewContext) -> tuple[Path, ...]:
    """`patches.png`: for some units of the stage, the patches of the data that activate them most."""
    network, stage = context.network, choose_stage(context.network, context.stage)
    units = sample_channels(network.channels[stage], UNITS, context.seed)
    batches = ((context.runtime.images(batch.images), batch.indices) for batch in context.training())
    found = top_patches(network, batches, stage, units, PATCHES)
    crops = [
        crop_box(found.images[int(index)], box, np.nan)
        for index, box in zip(found.indices.flatten(), found.boxes.reshape(-1, 4), strict=True)
    ]
    outside = np.isnan(np.stack(crops)).transpose(0, 2, 3, 1)
    tiles = np.where(outside, _PADDING, to_pixels(np.nan_to_num(np.stack(crops)), context.preprocessing))
    sides = found.boxes[0, 0, 2:] - found.boxes[0, 0, :2]
    block = GridBlock("", tiles, PATCHES, 80, rows=[f"channel {unit}" for unit in units.tolist()])
    title = f"{network.card.label}, {stage}: the patches that activate a unit most"
    note = (
        f"The receptive field of a unit of {stage} is {sides[0]}x{sides[1]} pixels of the network's input. The "
        "strongest patch comes first."
    )
    arrays = {name: getattr(found, name) for name in ("units", "values", "indices", "positions", "boxes")}
    return write_view(context.out / "patches", image_grid(title, [block], note), arrays | {"pixels": tiles})


def fields(context: ViewContext) -> tuple[Path, ...]:
    """`receptive-field.png`: the receptive field of the middle unit of each stage, or of the one of the options, on the
    first image.
    """
    require_images(context, "receptive-field")
    network = context.network
    stages = list(network.stages) if context.stage is None else [choose_stage(network, context.stage)]
    found = [unit_field(network, context.inputs, stage) for stage in stages]
    title = f"{network.card.label}: receptive field of the middle unit of {context.stage or 'each stage'}"
    figure = fields_figure(context.pixels[0], found, title)
    names = ("theoretical", "effective", "gradients")
    arrays = {f"{field.stage}_{name}": getattr(field, name) for field in found for name in names}
    return write_view(context.out / "receptive-field", figure, arrays)


def statistics(context: ViewContext) -> tuple[Path, ...]:
    """`statistics.png`: activations and gradients layer by layer, over some of the data."""
    batches = list(first_batches(context.training(), _COUNTED))
    pairs = [(context.runtime.images(batch.images), batch.targets.to(context.runtime.device)) for batch in batches]
    layers = layer_statistics(context.network, pairs, partial(_loss, context.task))
    bars = [
        LayerBar(
            layer.name.removeprefix("stages."),
            layer.activations.mean,
            layer.activations.deviation,
            layer.activations.zeros,
            layer.gradients.deviation,
            layer.gradients.zeros,
        )
        for layer in layers
        if not layer.type.startswith(_SKIPPED)
    ]
    count = sum(len(batch.indices) for batch in batches)
    figure = layers_figure(bars, f"{context.network.card.label}: the output of each layer, over {count} images")
    columns = ("name", "mean", "deviation", "zeros", "gradients", "gradient_zeros")
    arrays = {
        column: np.array(values) for column, values in zip(columns, zip(*map(astuple, bars), strict=True), strict=True)
    }
    return write_view(context.out / "statistics", figure, arrays)


def score_contributions(context: ViewContext) -> tuple[Path, ...]:
    """`contributions-….png`: the scores of the explained classes as sums of contributions, six per figure."""
    require_images(context, "contributions")
    names = [name for row in context.targets.names for name in row]
    images = [index for index, row in enumerate(context.targets.names) for _ in row]
    columns = [target.classes for target in context.targets.targets]
    if any(column is None for column in columns):
        raise DataError("--show contributions explains scores of classes, and the run has none; leave it out.")
    classes = torch.stack([column for column in columns if column is not None], 1).flatten()
    found = contributions(context.network, context.inputs[images], classes)
    rows = [
        ScoreSum(pixels, name, values, float(bias), float(score))
        for pixels, name, values, bias, score in zip(
            context.pixels[images], names, found.values, found.bias, found.scores, strict=True
        )
    ]
    files: list[Path] = []
    for number, start in enumerate(range(0, len(rows), _ROWS), 1):
        part = slice(start, start + _ROWS)
        figure = contributions_figure(rows[part], f"{context.network.card.label}: scores as sums of contributions")
        arrays = {name: getattr(found, name)[part] for name in ("values", "bias", "scores")}
        arrays |= {"images": np.array(images[part]), "classes": classes[part].cpu().numpy()}
        files += write_view(context.out / f"contributions-{number}", figure, arrays)
    return tuple(files)


def embedding(context: ViewContext) -> tuple[Path, ...]:
    """`embedding.png`: PCA and t-SNE of the features before the scores; `embedding-images.png`: with the images.

    Both of images that the network was not trained on: its own training images lie apart because it knows them.
    """
    require_classes(context, "embedding")
    batches = list(first_batches(context.unseen(), _POINTS))
    features = np.concatenate(
        [penultimate_features(context.network, context.runtime.images(batch.images)).cpu().numpy() for batch in batches]
    )[:_POINTS]
    indices = np.concatenate([batch.indices for batch in batches])[:_POINTS]
    labels = context.unseen_classes(indices)
    projections: tuple[Projection, ...] = ("pca", "tsne")
    points = {str(projection): embed(features, projection, context.seed) for projection in projections}
    panels = [("principal components", points["pca"]), ("t-SNE", points["tsne"])]
    title = f"{context.network.card.label}: t-SNE of the features before the scores"
    pixels = denormalize(np.concatenate([batch.images for batch in batches])[:_POINTS], context.preprocessing)
    with_images = images_figure(title, points["tsne"], pixels, labels, context.classes)
    arrays = {"features": features, "labels": labels, "indices": indices} | points
    files = write_view(context.out / "embedding", points_figure(panels, labels, context.classes), arrays)
    return (*files, write_figure(context.out / "embedding-images.png", with_images))


def best_images(context: ViewContext) -> tuple[Path, ...]:
    """`class-images.png`: images that maximize the scores of the classes of the options, or of the first ones."""
    require_classes(context, "class-images")
    classes = context.class_indices or tuple(range(min(_CLASSES, len(context.classes))))
    device = context.runtime.device
    mean, std = (torch.tensor(values) for values in (context.preprocessing.mean, context.preprocessing.std))
    bounds = (-mean / std).to(device), ((1 - mean) / std).to(device)
    target = SpatialMean(torch.tensor(classes, device=device))
    found = class_images(context.network, target, bounds, context.shape[1:], Ascent(seed=context.seed))
    tiles = to_pixels(found.images, context.preprocessing)
    scores = found.scores[:, -1].tolist()
    captions = [f"{score:.1f}  {context.classes[index]}" for index, score in zip(classes, scores, strict=True)]
    block = GridBlock("", tiles, column_count(len(tiles), 5), 176, captions)
    note = "Below each image is the class's score. These are no photographs: they are optimized for the score."
    title = f"{context.network.card.label}: images with the greatest score of a class"
    arrays: dict[str, npt.NDArray[Any]] = {"images": tiles, "scores": found.scores, "classes": np.array(classes)}
    return write_view(context.out / "class-images", image_grid(title, [block], note), arrays)


VIEWS: Mapping[View, Callable[[ViewContext], tuple[Path, ...]]] = MappingProxyType(
    {
        "filters": filters,
        "feature-maps": maps,
        "patches": patches,
        "receptive-field": fields,
        "statistics": statistics,
        "contributions": score_contributions,
        "embedding": embedding,
        "class-images": best_images,
    }
)
"""What writes each view; it returns the files it wrote. Raises `ConvolveError`."""


def _maps_block(stage: str, values: Floats, most: int) -> GridBlock:
    """The channels (C, h, w) that vary most, in their own order, on one scale."""
    channels = np.sort(np.argsort(-values.std((1, 2)), kind="stable")[:most])
    tiles, low, high = color_maps(values[channels])
    count, height, width = values.shape
    some = f"{len(channels)} of {count}" if len(channels) < count else f"{count}"
    heading = f"{stage}: {some} channels, {height}x{width}"
    return GridBlock(heading, tiles, 8, 128, captions=[str(index) for index in channels], scale=Scale(low, high))


def _loss(task: Task, network: nn.Module, images: Tensor, targets: Any) -> Tensor:
    del network  # the task's own
    return task.loss(images, targets, torch.Generator(images.device))["loss"]
