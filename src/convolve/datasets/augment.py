"""Augmentation: a batch's random changes drawn at once, applied as one resampling and one color matrix per image.

Every parameter has a column of draws of its own, used or not, so that turning one variation on or off leaves what the
others draw as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.color import ColorChange, change_matrices, colored, normalizing
from convolve.datasets.geometry import box_matrices, source_boxes, warp
from convolve.datasets.smallwarp import SMALL, warp_small
from convolve.values import Floats, Indices, Pixels, Preprocessing

Draws = npt.NDArray[np.float64]
WIDEST = 4 / 3
"""Largest change of a crop's proportions, either way (Szegedy et al. 2015, section 6); milder for mild crops."""
_SMALLEST = 0.05  # of the size, whatever `scale` asks for
_PLACES = 2**18  # where a stretch of the noise table may begin


@dataclass(frozen=True)
class Drawn:
    """What happens to N images: ``matrices`` (N, 2, 3) from source to frame, which carry masks, boxes and points too
    (coordinates: see `geometry`); ``colors`` (N or 1, C, C + 1) from 8 bits to normalized values; ``noise`` (N,)
    where each image's noise begins in the table.
    """

    matrices: Draws
    colors: Draws
    noise: Indices


def draw(
    variation: Augmentation, sizes: Indices, preprocessing: Preprocessing, axes: Draws, random: np.random.Generator
) -> Drawn:
    """Draw what happens to images of ``sizes`` (N, 2: height, width); ``axes`` (C, C) are `color.principal_axes`."""
    count = len(sizes)
    crops, turns, colors = random.random((4, count)), random.random((6, count)), random.random((3, count))
    shift = (variation.pca or 0.0) * random.standard_normal((count, preprocessing.channels)) @ axes.T
    places = random.integers(_PLACES, size=count)
    boxes = _crops(variation, sizes, preprocessing, crops)
    matrices = _moved(variation, box_matrices(boxes, preprocessing), preprocessing, turns)
    strengths = (variation.brightness, variation.contrast, variation.saturation)
    if not any((*strengths, variation.pca)):
        return Drawn(matrices, normalizing(preprocessing)[None], places)
    factors = [1 + (strength or 0.0) * _either_way(column) for strength, column in zip(strengths, colors, strict=True)]
    change = ColorChange(factors[0], factors[1], factors[2], shift)
    return Drawn(matrices, change_matrices(change, preprocessing), places)


def apply(
    drawn: Drawn,
    images: Sequence[Pixels] | Pixels,
    preprocessing: Preprocessing,
    noise: Floats | None = None,
) -> Floats:
    """(N, height, width, C) float32, normalized: the images (H, W, C) uint8 as drawn, with a `noise_table`'s noise."""
    result = colored(_warped(images, drawn.matrices, preprocessing), drawn.colors)
    if noise is not None:
        length = preprocessing.height * preprocessing.width
        for image, place in zip(result, drawn.noise.tolist(), strict=True):
            np.add(image, noise[place : place + length].reshape(image.shape), out=image)
    return result


def noise_table(sigma: float, preprocessing: Preprocessing, random: np.random.Generator) -> Floats:
    """(pixels, C) Gaussian noise of standard deviation ``sigma`` of white, in normalized units.

    Images take stretches of it from random places: thirty times cheaper than fresh draws, and a network cannot tell.
    """
    shape = (preprocessing.height * preprocessing.width + _PLACES, preprocessing.channels)
    return random.standard_normal(shape, dtype=np.float32) * np.float32(sigma / np.array(preprocessing.std))


def _warped(images: Sequence[Pixels] | Pixels, matrices: Draws, preprocessing: Preprocessing) -> Pixels:
    """One call per image, or for an array of small ones one call for all; they agree within rounding."""
    area = preprocessing.height * preprocessing.width
    if (
        preprocessing.fit == "letterbox"
        or not isinstance(images, np.ndarray)
        or area > SMALL
        or images[0, ..., 0].size > SMALL
    ):
        return warp(images, matrices, preprocessing)
    return warp_small(images, matrices, preprocessing.height, preprocessing.width)


def _crops(variation: Augmentation, sizes: Indices, preprocessing: Preprocessing, draws: Draws) -> Indices:
    """(N, 4) boxes of whole pixels with a random share, of what the frame shows, and place; `letterbox` keeps shape."""
    boxes = source_boxes(sizes, preprocessing)
    smallest = 1.0 if variation.crop is None else variation.crop
    if smallest >= 1:
        return boxes
    share = smallest + (1 - smallest) * draws[0]
    widest = 1.0 if preprocessing.fit == "letterbox" else min(WIDEST, 1 / max(smallest, 1 / WIDEST))
    stretch = widest ** _either_way(draws[1])
    limits = sizes[:, ::-1]
    extents = boxes[:, 2:] * np.sqrt(np.stack([share * stretch, share / stretch], axis=1))
    extents = np.clip(np.rint(extents), 1, limits).astype(np.int64)
    corners = (draws[2:].T * (limits - extents + 1)).astype(np.int64)
    return np.concatenate([corners, extents], axis=1)


def _moved(variation: Augmentation, matrices: Draws, preprocessing: Preprocessing, draws: Draws) -> Draws:
    """The matrices followed by mirroring, turning, scaling (about the frame's center) and shifting."""
    angle = np.deg2rad((variation.rotate or 0.0) * _either_way(draws[0]))
    size = np.maximum(_SMALLEST, 1 + (variation.scale or 0.0) * _either_way(draws[1]))
    mirror = np.where(draws[2:4] < 0.5, -1.0, 1.0)
    mirror[[not variation.flip, not variation.vertical_flip]] = 1.0
    cosine, sine = size * np.cos(angle), size * np.sin(angle)
    turn = np.stack([cosine * mirror[0], -sine * mirror[1], sine * mirror[0], cosine * mirror[1]], axis=1)
    turn = turn.reshape(-1, 2, 2)
    extent = np.array([preprocessing.width, preprocessing.height])
    offset = extent / 2 - turn @ (extent / 2) + (variation.translate or 0.0) * _either_way(draws[4:6]).T * extent
    moved = turn @ matrices
    moved[:, :, 2] += offset
    return np.asarray(moved)


def _either_way(draws: Draws) -> Draws:
    """Draws from 0 to 1, as -1 to 1."""
    return 2 * draws - 1
