"""From a picture on the page to the cause of its answer: heat for the class it was taken for and for its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from convolve.datasets.preprocess import fitted, frame, least_side, normalized
from convolve.errors import ConvolveError, ImageError
from convolve.explainers.methods import default_method, maps_of_targets, scale
from convolve.explainers.score_targets import ClassScore
from convolve.reports.heatmaps import heatmap_uri, project_to_image
from convolve.reports.report import Overlay
from convolve.runtime import Runtime
from convolve.summary import summarize
from convolve.tasks.classify.learning import Classify
from convolve.values import Floats, Images, Pixels, Preprocessing

BUDGET = 100e9
"""Multiply-adds that a page's heat may cost: 25 images of 224x224 through ResNet-50, a few seconds of two cores."""
_BATCH = 16
_SIDE = 40
Asked = Mapping[int, tuple[int, ...]]
Found = dict[int, tuple[Overlay, ...]]


@dataclass(frozen=True)
class _Seen:
    """What the network sees of an image, and the picture's own height and width."""

    pixels: Pixels
    size: tuple[int, int]


def overlays(task: Classify, runtime: Runtime, images: Images, preprocessing: Preprocessing, asked: Asked) -> Found:
    """Of the first images that `BUDGET` allows, by their index: heat for each of the classes asked for.

    An image that cannot be read has none; nor has any where the network has no map, or its heat cannot be had: a page
    must not fail for that.
    """
    found: Found = {}
    try:
        indices = list(asked)[: affordable(task, preprocessing)]
        for start in range(0, len(indices), _BATCH):
            some = {index: asked[index] for index in indices[start : start + _BATCH]}
            found |= _of_some(task, runtime, images, preprocessing, some)
    except (ConvolveError, RuntimeError):
        return {}
    return found


def affordable(task: Classify, preprocessing: Preprocessing) -> int:
    """How many images `BUDGET` allows; none for a network that has no map but the image itself."""
    network, size = task.network, preprocessing
    if not any(True for _ in network.stages.parameters()):
        return 0
    return int(BUDGET // max(1, summarize(network, (size.channels, size.height, size.width)).macs))


def _of_some(task: Classify, runtime: Runtime, images: Images, preprocessing: Preprocessing, asked: Asked) -> Found:
    seen: dict[int, _Seen] = {}
    for index in asked:
        with suppress(ImageError):
            picture = images.read(index, least_side(preprocessing))
            seen[index] = _Seen(fitted(picture, preprocessing), (picture.shape[0], picture.shape[1]))
    if not seen:
        return {}
    inputs = runtime.images(normalized(np.stack([one.pixels for one in seen.values()]), preprocessing))
    pairs = [(place, number) for place, index in enumerate(seen) for number in asked[index]]
    places, classes = torch.tensor(pairs, dtype=torch.int64, device=inputs.device).reshape(-1, 2).T
    with runtime.arithmetic():
        maps = maps_of_targets(task.network, inputs, places, ClassScore(classes))
    if maps.shape[1:].numel() == 1 or not maps.isfinite().all():
        return {}
    heat = iter(scale(maps).cpu().numpy())
    signed = default_method(task.network)[0].signed
    return {
        index: tuple(_overlay(number, next(heat), one.size, preprocessing, signed) for number in asked[index])
        for index, one in seen.items()
    }


def _overlay(number: int, heat: Floats, size: tuple[int, int], preprocessing: Preprocessing, signed: bool) -> Overlay:
    seen = preprocessing.height, preprocessing.width
    laid = project_to_image(heat, seen, frame(*size, preprocessing), size, _SIDE)
    return Overlay(number, heatmap_uri(laid, signed, _SIDE))
