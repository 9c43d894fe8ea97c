"""Small images inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from convolve.reports.thumbnails import thumbnail


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiny_image_stays_as_it_is(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 20, channels), np.uint8)
    uri = thumbnail(pixels)
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(np.asarray(opened(uri)).reshape(pixels.shape), pixels)


@pytest.mark.parametrize(("height", "width", "size"), [(300, 600, (96, 48)), (65, 65, (65, 65)), (4000, 10, (1, 96))])
def test_a_large_one_becomes_a_small_jpeg_of_the_same_shape(height: int, width: int, size: tuple[int, int]) -> None:
    uri = thumbnail(np.full((height, width, 3), 90, np.uint8))
    assert uri.startswith("data:image/jpeg;base64,")
    assert opened(uri).size == size
    assert abs(int(np.asarray(opened(uri)).mean()) - 90) <= 2
