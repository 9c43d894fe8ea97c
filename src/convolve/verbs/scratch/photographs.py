"""The operations of `convolve scratch` that take a photograph: its filters, and selective search."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from convolve.datasets.images import EncodedFile, to_channels
from convolve.datasets.region_grouping import describe_regions, texture_bins
from convolve.datasets.selective_search import color_channels, segment_regions
from convolve.errors import OptionError
from convolve.from_scratch.filters import FilteredImage, apply_all
from convolve.from_scratch.grouping import Region
from convolve.from_scratch.traces.grouping import GroupingInputs, grouping_trace
from convolve.from_scratch.traces.trace import Point, Trace
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.values import Flags, Pixels
from convolve.verbs.scratch import Scratch

_LONGEST_SIDE = 480  # at which filters of 3x3 are visible
_GROUPED_SIDE = 240
_MOST_REGIONS = 10
"""First regions of a photograph at most, so that every merge can be read."""
_SCALE = 100
_TOLERANCE = 0.7  # pixels between a region's edge and its outline


def filter_photograph(options: Scratch) -> tuple[FilteredImage, ...]:
    """The photograph through each filter, the page written if one is asked for. Raises `OptionError`, `ImageError`."""
    pixels = _read_photograph(options, _LONGEST_SIDE)
    try:
        images = apply_all(pixels)
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.traces import write_images

        write_images(options.page, Path(str(options.input)).name, images, options.language or "en")
    return images


def group_photograph(options: Scratch) -> Trace:
    """The trace of selective search on the photograph, reduced and by one hierarchy; the page written if one is asked
    for. Raises `OptionError`, `ImageError`, and `DataError` without scikit-image.
    """
    pixels = to_channels(_read_photograph(options, _LONGEST_SIDE), 3)
    trace = grouping_trace(_first_regions(_thumbnail(pixels, _GROUPED_SIDE)))
    if options.page:
        from convolve.reports.traces import write_trace

        write_trace(options.page, trace, options.language or "en", pixels)
    return trace


def _first_regions(pixels: Pixels) -> GroupingInputs:
    """Those of the finest segmentation that has few enough regions."""
    channels = color_channels(pixels, "hsv")
    scale = _SCALE
    labels = segment_regions(channels, scale)
    while labels.max() >= _MOST_REGIONS:
        scale += scale // 2
        labels = segment_regions(channels, scale)
    found = describe_regions(labels, channels, texture_bins(channels))
    regions = [
        Region(int(size), (left, top, right, bottom), colors.astype(np.float64), textures.astype(np.float64))
        for size, (left, top, right, bottom), colors, textures in zip(
            found.sizes.tolist(), found.boxes.astype(np.int64).tolist(), found.colors, found.textures, strict=True
        )
    ]
    return GroupingInputs(regions, labels, [(a, b) for a, b in found.neighbors.tolist()], _outline)


def _outline(mask: Flags) -> tuple[Point, ...]:
    """The polygon around the largest part of a region, through the centers of its edge's pixels."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=len)
    points = cv2.approxPolyDP(largest, _TOLERANCE, closed=True).reshape(-1, 2) + 0.5
    return tuple((x, y) for x, y in points.tolist())


def _read_photograph(options: Scratch, longest: int) -> Pixels:
    """(H, W, channels), reduced so that the longer side has ``longest`` pixels at most."""
    path = str(options.input)
    try:
        pixels = EncodedFile(read_file(path, IMAGE_BYTES), path).decode()
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror or error}); check the path.") from None
    return _thumbnail(pixels, longest)


def _thumbnail(pixels: Pixels, longest: int) -> Pixels:
    from PIL import Image

    image = Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
