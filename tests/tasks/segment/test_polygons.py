"""Polygons drawn again by COCO's own program, and by our reader, are the regions that they came from, to the pixel."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from convolve.datasets.layouts.coco import region
from convolve.tasks.segment.polygons import Flags, Ring, rings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


def drawn(outlines: list[Ring], shape: tuple[int, int]) -> Flags:
    polygons = [ring.flat() for ring in outlines]
    assert np.array_equal(region(polygons, shape), coco.decode(coco.merge(coco.frPyObjects(polygons, *shape))))
    return np.asarray(region(polygons, shape) > 0)


def check(inside: Flags) -> None:
    found = rings(inside)
    shape = (inside.shape[0], inside.shape[1])
    assert len(found) == cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)[0] - 1
    if not found:
        return
    assert np.array_equal(drawn(found, shape), inside)
    for ring in found:
        one = drawn([ring], shape)
        assert ring.area == one.sum()
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert ring.box() == [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert [ring.area for ring in found] == sorted((ring.area for ring in found), reverse=True)


def test_every_small_region() -> None:
    for height, width in itertools.product(range(1, 4), range(1, 4)):
        for number in range(2 ** (height * width)):
            flags = [bool(number >> place & 1) for place in range(height * width)]
            check(np.array(flags).reshape(height, width))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.95])
def test_noise_full_of_holes_and_islands(share: float) -> None:
    random = np.random.default_rng(int(100 * share))
    for _ in range(12):
        check(random.random(tuple(random.integers(5, 60, 2))) < share)


def test_holes_within_islands_within_holes() -> None:
    inside = np.zeros((41, 43), np.uint8)
    for number, size in enumerate(range(20, 1, -2)):
        cv2.circle(inside, (21, 20), size, 1 - number % 2, -1)
    check(inside > 0)


def test_a_pixel_a_line_and_a_whole_picture_have_corners() -> None:
    inside = np.zeros((4, 5), bool)
    inside[1, 2] = True
    (one,) = rings(inside)
    assert sorted(map(tuple, one.corners.tolist())) == [(2, 1), (2, 2), (3, 1), (3, 2)]
    inside[1] = True
    (line,) = rings(inside)
    assert (len(line.corners), line.area, line.box()) == (4, 5, [0, 1, 5, 1])
    (whole,) = rings(np.ones((4, 5), bool))
    assert (len(whole.corners), whole.box()) == (4, [0, 0, 5, 4])
    assert rings(np.zeros((4, 5), bool)) == []
    check(np.eye(9, dtype=bool))


def test_a_frame_is_one_ring_that_goes_to_the_hole_and_back() -> None:
    inside = np.ones((5, 5), bool)
    inside[2, 2] = False
    (ring,) = rings(inside)
    assert ring.area == 24
    assert {(2, 0), (2, 2), (3, 2), (3, 3), (2, 3)} < set(map(tuple, ring.corners.tolist()))
