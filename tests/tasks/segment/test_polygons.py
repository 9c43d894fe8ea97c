"""Polygons drawn again by COCO's own program, and by our reader, are the regions that they came from, to the pixel."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from convolve.datasets.layouts.shapes import Polygons
from convolve.tasks.segment.polygons import Flags, Polygon, find_polygons
from tests.datasets.layouts.annotated import paint

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


def draw(found: list[Polygon], shape: tuple[int, int]) -> Flags:
    polygons = [polygon.flat() for polygon in found]
    assert np.array_equal(paint(Polygons(polygons), shape), coco.decode(coco.merge(coco.frPyObjects(polygons, *shape))))
    return np.asarray(paint(Polygons(polygons), shape) > 0)


def check(inside: Flags) -> None:
    found = find_polygons(inside)
    shape = (inside.shape[0], inside.shape[1])
    assert len(found) == cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)[0] - 1
    if not found:
        return
    assert np.array_equal(draw(found, shape), inside)
    for polygon in found:
        one = draw([polygon], shape)
        assert polygon.area == one.sum()
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert polygon.box() == [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert [polygon.area for polygon in found] == sorted((polygon.area for polygon in found), reverse=True)


def test_every_small_region() -> None:
    for height, width in itertools.product(range(1, 4), range(1, 4)):
        for number in range(2 ** (height * width)):
            flags = [bool(number >> bit & 1) for bit in range(height * width)]
            check(np.array(flags).reshape(height, width))


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.5, 0.7, 0.95])
def test_noise_full_of_holes_and_islands(fraction: float) -> None:
    random = np.random.default_rng(int(100 * fraction))
    for _ in range(12):
        check(random.random(tuple(random.integers(5, 60, 2))) < fraction)


def test_holes_within_islands_within_holes() -> None:
    inside = np.zeros((41, 43), np.uint8)
    for number, size in enumerate(range(20, 1, -2)):
        cv2.circle(inside, (21, 20), size, 1 - number % 2, -1)
    check(inside > 0)


def test_a_pixel_a_line_and_a_whole_image_have_corners() -> None:
    inside = np.zeros((4, 5), bool)
    inside[1, 2] = True
    (one,) = find_polygons(inside)
    assert sorted(map(tuple, one.corners.tolist())) == [(2, 1), (2, 2), (3, 1), (3, 2)]
    inside[1] = True
    (line,) = find_polygons(inside)
    assert (len(line.corners), line.area, line.box()) == (4, 5, [0, 1, 5, 1])
    (whole,) = find_polygons(np.ones((4, 5), bool))
    assert (len(whole.corners), whole.box()) == (4, [0, 0, 5, 4])
    assert find_polygons(np.zeros((4, 5), bool)) == []
    check(np.eye(9, dtype=bool))


def test_a_region_with_a_hole_is_one_polygon_that_goes_to_the_hole_and_back() -> None:
    inside = np.ones((5, 5), bool)
    inside[2, 2] = False
    (polygon,) = find_polygons(inside)
    assert polygon.area == 24
    assert {(2, 0), (2, 2), (3, 2), (3, 3), (2, 3)} < set(map(tuple, polygon.corners.tolist()))
