"""Selective search: boxes around what may be an object, from regions that are merged step by step.

Jasper Uijlings, Koen van de Sande, Theo Gevers and Arnold Smeulders, "Selective search for object recognition", IJCV
2013. The first regions are those of Pedro Felzenszwalb and Daniel Huttenlocher, "Efficient graph-based image
segmentation", IJCV 2004, in scikit-image's implementation.

Deviations: an image is first reduced to `LONGEST_SIDE` pixels (R-CNN: to a width of 500), and the scales of its
segmentation, in the paper 50, 100, 150 and 300, are 0.64 of these, as it has 0.64 of the pixels; boxes narrower than 20
pixels stay. The paper orders boxes by rank times a random number; for what decides here see `selective_search`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.images import to_channels
from convolve.datasets.region_grouping import Measures, Regions, describe_regions, group_regions, texture_bins
from convolve.errors import DataError
from convolve.values import Floats, Indices, Pixels

BoxArray = npt.NDArray[np.float64]
ReducedBoxes = npt.NDArray[np.uint16]
Mode = Literal["fast", "quality"]
ColorSpace = Literal["hsv", "lab", "rgi", "hue", "intensity"]
LONGEST_SIDE = 400
"""Pixels of the longer side of the image that is segmented; a larger one is reduced."""
SIGMA = 0.8
_SEED = 0
_CODES = 2 ** np.arange(0, 64, 16)  # which make one number of four below 2^15
_ALL: Measures = ("color", "texture", "size", "fill")


@final
@dataclass(frozen=True)
class Strategies:
    """What a mode varies: ``scales`` are the segmentation's k, which is also the fewest pixels of a region.

    Each color space, scale and set of measures gives a hierarchy of regions.
    """

    spaces: tuple[ColorSpace, ...]
    scales: tuple[int, ...]
    measures: tuple[Measures, ...]


MODES: dict[Mode, Strategies] = {
    "fast": Strategies(("hsv", "lab"), (32, 64), (_ALL, ("texture", "size", "fill"))),
    "quality": Strategies(
        ("hsv", "lab", "rgi", "hue", "intensity"),
        (32, 64, 96, 192),
        (_ALL, ("texture", "size", "fill"), ("fill",), ("size",)),
    ),
}
"""The paper's 8 and 80 hierarchies."""


def selective_search(image: Pixels, mode: Mode = "fast") -> BoxArray:
    """Boxes (K, 4) left, top, right, bottom in pixels around what may be an object of an image (H, W, 3), (H, W, 1) or
    (H, W), the most promising first. The same image always gives the same boxes; none of them occurs twice.

    The root of a region's rank in its hierarchy, which is 1 for the whole image, times a random number from 0 to 1
    decides the order, so that the first boxes are a sample of all sizes; divided by the number of boxes that differ
    little from it, to the power of 1.5, so that what several hierarchies find comes sooner. Boxes that differ little
    from an earlier one come after all others. Raises `DataError` without scikit-image.
    """
    height, width = image.shape[:2]
    return enlarge_boxes(search_reduced(image, mode), height, width)


def search_reduced(image: Pixels, mode: Mode) -> ReducedBoxes:
    """The boxes of `selective_search` (K, 4), in pixels of the reduced image, where their edges are whole."""
    if not image.size:
        return np.zeros((0, 4), np.uint16)
    pixels = to_channels(image if image.ndim == 3 else image[:, :, None], 3)
    size = reduced_size(*pixels.shape[:2])
    if size != pixels.shape[:2]:
        pixels = np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    return order_boxes(search_hierarchies(pixels, MODES[mode])).astype(np.uint16)


def reduced_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the image that is segmented: the longer side has `LONGEST_SIDE` pixels at most."""
    ratio = min(1.0, LONGEST_SIDE / max(height, width, 1))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def enlarge_boxes(boxes: ReducedBoxes, height: int, width: int) -> BoxArray:
    """Boxes (K, 4) of the reduced image in pixels of the original of that size."""
    rows, columns = reduced_size(height, width)
    enlarged: BoxArray = np.multiply(boxes, [width, height, width, height], dtype=np.float64)
    enlarged /= [columns, rows, columns, rows]
    return enlarged


def order_boxes(hierarchies: Sequence[Floats]) -> Floats:
    """The boxes of all hierarchies without duplicates, as `selective_search` orders them."""
    random = np.random.default_rng(_SEED)
    boxes = np.concatenate(hierarchies)
    ranks = np.concatenate([np.arange(len(each), 0, -1) for each in hierarchies])
    _, kinds, counts = np.unique(_kind_codes(boxes), return_inverse=True, return_counts=True)
    keys = np.sqrt(ranks) * random.random(len(boxes)) / counts[kinds] ** 1.5
    order = np.argsort(keys, kind="stable")
    distinct = order[np.sort(np.unique(boxes[order].astype(np.int64) @ _CODES, return_index=True)[1])]
    first = np.zeros(len(distinct), np.bool_)
    first[np.unique(kinds[distinct], return_index=True)[1]] = True
    ordered: Floats = boxes[np.concatenate([distinct[first], distinct[~first]])]
    return ordered


def _kind_codes(boxes: Floats) -> Indices:
    """A number for each box, the same for those that differ little: whose sides are the same when rounded to powers of
    the root of 2, and whose centers are when rounded to halves of these.
    """
    logarithms = np.round(2 * np.log2(boxes[:, 2:] - boxes[:, :2]))
    centers = np.round((boxes[:, :2] + boxes[:, 2:]) / 2 ** (logarithms / 2))
    codes: Indices = np.concatenate([logarithms, centers], axis=1).astype(np.int64) @ _CODES
    return codes


def search_hierarchies(image: Pixels, strategies: Strategies) -> list[Floats]:
    """The boxes of each hierarchy of an image (H, W, 3): those of the first regions, then of the merged ones in their
    order. Raises `DataError` without scikit-image.
    """
    hierarchies = []
    for space in strategies.spaces:
        channels = color_channels(image, space)
        textures = texture_bins(channels)
        regions: list[Regions] = []
        for scale in strategies.scales:
            labels = segment_regions(channels, scale)
            regions.append(describe_regions(labels, channels, textures))
        hierarchies += group_regions(regions, strategies.measures)
    return hierarchies


def color_channels(image: Pixels, space: ColorSpace) -> Pixels:
    """An RGB image (H, W, 3) in that color space, (H, W, channels), each channel from 0 to 255 at most."""
    if space == "lab":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.uint8)
    if space == "intensity":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None]
    if space == "rgi":
        red, green, blue = (image[:, :, channel].astype(np.int64) for channel in range(3))
        total = red + green + blue
        red, green = (255 * channel // np.maximum(total, 1) for channel in (red, green))
        return np.stack([red, green, total // 3], axis=2).astype(np.uint8)
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    return np.ascontiguousarray(hsv[:, :, :1]) if space == "hue" else hsv


def segmentation_version() -> str:
    """The version of scikit-image. Raises `DataError` without it."""
    return str(_scikit_image("skimage").__version__)


def segment_regions(channels: Pixels, scale: int) -> Indices:
    """Felzenszwalb and Huttenlocher's segmentation of an image (H, W, channels): labels (H, W) from 0 on.

    Regions have ``scale`` pixels at least, and more where it is greater. Raises `DataError` without scikit-image.
    """
    felzenszwalb = _scikit_image("skimage.segmentation").felzenszwalb
    return np.asarray(felzenszwalb(channels, scale=scale, sigma=SIGMA, min_size=scale), np.int64)


def _scikit_image(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "skimage":
            raise
        raise DataError("Selective search needs scikit-image; run `pip install 'convolve[detect]'`.") from error
