"""Classic filters and poolings of small images whose result is known."""

from __future__ import annotations

import numpy as np
import pytest

from convolve.from_scratch.filters import FILTERS, Pool, apply_all, apply_filter, pool, to_pixels


def test_filters_of_an_image() -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    image[:, 4:] = (100, 50, 10)
    edges = apply_filter(image, FILTERS["vertical edges"])
    np.testing.assert_array_equal(edges[2, :, 0], [0, 0, 0, 300, 300, 0, 0, 0])
    np.testing.assert_array_equal(edges[0, 3], [300, 150, 30])  # the border continues the image
    np.testing.assert_array_equal(apply_filter(image, FILTERS["horizontal edges"]), np.zeros_like(image))
    np.testing.assert_array_equal(apply_filter(image.swapaxes(0, 1), FILTERS["horizontal edges"]), edges.swapaxes(0, 1))
    np.testing.assert_array_equal(apply_filter(image, FILTERS["sharpen"])[2, :, 1], [0, 0, 0, -50, 100, 50, 50, 50])
    np.testing.assert_array_equal(
        apply_filter(np.full((4, 4, 1), 7, np.uint8), FILTERS["emboss"]), np.full((4, 4, 1), 7)
    )
    np.testing.assert_array_equal(to_pixels(np.array([-3.0, 0.6, 300])), np.array([0, 1, 255], np.uint8))


@pytest.mark.parametrize(("kind", "expected"), [("min", 1), ("max", 7), ("average", 4)])
def test_poolings_of_an_image(kind: Pool, expected: int) -> None:
    image = np.array([[1, 3], [5, 7]], np.uint8)[:, :, None].repeat(3, 2)
    np.testing.assert_array_equal(pool(image, kind, 2), np.full((1, 1, 3), expected))


def test_all_filters_of_a_photograph() -> None:
    image = np.zeros((80, 90, 1), np.uint8)
    image[:, 45:] = 100
    results = {result.name: result for result in apply_all(image)}
    assert list(results)[1:5] == ["sharpen", "emboss", "vertical edges", "horizontal edges"]
    assert [results[name].value_range for name in ("vertical edges", "horizontal edges")] == [(0, 300), (0, 0)]
    assert results["average pooling"].image.shape == (40, 45, 1)
    assert results["max pooling"].image[0, 22] == 100  # the window across the edge
    assert (results["min pooling"].image[0, 22], results["average pooling"].image[0, 22]) == (0, 50)
    with pytest.raises(ValueError, match="smaller than the 3x3 filters"):
        apply_all(image[:2])
