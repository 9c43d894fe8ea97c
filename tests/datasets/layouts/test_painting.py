"""Regions painted into masks: the same pixels as by a plain reading of the rules, and never more of them than any
annotation needs.
"""

from __future__ import annotations

import base64
import json
import math
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convolve.datasets.layouts import open_dataset, painting
from convolve.datasets.layouts.label_studio import unpack_alpha
from convolve.datasets.layouts.painting import Corners
from convolve.datasets.layouts.shapes import Ellipse, Polygons, Rle, paste
from convolve.datasets.layouts.supervisely import PixelPolygon
from convolve.datasets.rle import encode
from convolve.errors import DataError, ImageError
from convolve.values import Pixels
from tests.datasets.ground_truths import masks_of
from tests.datasets.layouts.annotated import paint, write_json

SIDE = 7200
"""Of images in a few bytes, near the largest that they vouch for."""
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
NUMBERS = st.one_of(st.floats(-20, 60), st.integers(-20, 60), st.floats(-2000, 2000))
WHOLE = st.tuples(st.integers(-20, 60), st.integers(-20, 60))
BANDS = st.sampled_from((20, 2**18))


def inside(corners: Corners, size: tuple[int, int]) -> Pixels:
    """Edge by edge: a center is inside where a line up from it crosses the edges an odd number of times."""
    crossed = np.zeros((size[0] + 1, size[1]), np.uint8)
    for (left, top), (right, bottom) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = sorted((left, right))
        columns = np.arange(max(0, np.ceil(low - 0.5)), min(size[1], np.ceil(high - 0.5)), dtype=np.int64)
        if len(columns):
            heights = top + (columns + 0.5 - left) / (right - left) * (bottom - top)
            rows = np.ceil(heights - 0.5).clip(0, size[0]).astype(np.int64)
            crossed[rows, columns] ^= 1
    return np.bitwise_xor.accumulate(crossed, axis=0)[:-1]


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=12), SIZES, BANDS)
@settings(max_examples=200, deadline=None)
def test_polygons_are_what_lies_inside(corners: list[tuple[float, float]], size: tuple[int, int], band: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painting, "_BAND", band)
        shape = Polygons([[value for corner in corners for value in corner]])
        assert np.array_equal(paint(shape, size), inside(np.array(corners, np.float64), size))


@given(
    st.tuples(NUMBERS, NUMBERS),
    st.tuples(st.floats(0.01, 3000), st.floats(0.01, 99)),
    st.floats(-400, 400),
    SIZES,
    BANDS,
)
@settings(max_examples=200, deadline=None)
def test_ellipses_are_what_lies_inside(
    center: tuple[float, float], radii: tuple[float, float], angle: float, size: tuple[int, int], band: int
) -> None:
    rows, columns = np.ogrid[: size[0], : size[1]]
    right, down = columns + 0.5 - center[0], rows + 0.5 - center[1]
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, across = right * cosine + down * sine, down * cosine - right * sine
    wanted = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painting, "_BAND", band)
        assert np.array_equal(paint(Ellipse(center, radii, angle), size), wanted)


@given(st.lists(WHOLE, min_size=1, max_size=9), st.lists(WHOLE, min_size=1, max_size=9), SIZES)
@settings(max_examples=200, deadline=None)
def test_polygons_of_pixels_are_opencvs(
    outer: list[tuple[int, int]], hole: list[tuple[int, int]], size: tuple[int, int]
) -> None:
    wanted = np.zeros(size, np.uint8)
    cv2.fillPoly(wanted, [np.array(outer, np.int32)], [1])
    cv2.fillPoly(wanted, [np.array(hole, np.int32)], [0])
    assert np.array_equal(paint(PixelPolygon(tuple(outer), (tuple(hole),)), size), wanted)


@given(SIZES, st.sampled_from((0.0, 0.01, 0.5, 1.0)), st.integers(0, 99), WHOLE)
@settings(max_examples=200, deadline=None)
def test_runs_and_pasted_regions_keep_what_is_around(
    size: tuple[int, int], fraction: float, seed: int, origin: tuple[int, int]
) -> None:
    flags = np.random.default_rng(seed).random(size) < fraction
    assert np.array_equal(paint(Rle(encode(flags), list(size)), size), flags)
    around, wanted = np.full((99, 99), 7, np.uint8), np.full((99, 99), 7, np.uint8)
    left, top = origin[0] + 20, origin[1] + 20
    wanted[top : top + size[0], left : left + size[1]][flags[: 99 - top, : 99 - left]] = 9
    mask = around[20:80, 20:80]
    paste(mask, flags, origin, 9)
    wanted[:20], wanted[80:], wanted[:, :20], wanted[:, 80:] = 7, 7, 7, 7
    assert np.array_equal(around, wanted)


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 255), min_size=1, max_size=9)), max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_alpha_of_strokes_is_every_fourth_value(parts: list[tuple[bool, list[int]]]) -> None:
    """Runs and lists of values that begin and end anywhere in a pixel."""
    values = [value for run, listed in parts for value in (listed[:1] * len(listed) if run else listed)]
    rest = -len(values) % 4
    parts = [*parts, (False, [5] * rest)] if rest else parts
    bits = f"{len(values) + rest:032b}{7:05b}" + f"{3:04b}" * 4
    for run, listed in parts:
        bits += f"{run:b}00{len(listed) - 1:04b}" + "".join(f"{value:08b}" for value in listed[: 1 if run else None])
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    assert unpack_alpha(data, (len(values) + rest) // 4).tolist() == [*values, *[5] * rest][3::4]


def large_image(path: Path) -> None:
    """A JPEG whose header announces `SIDE` squared pixels."""
    stream = BytesIO()
    Image.new("L", (8, 8), 90).save(stream, "JPEG")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue().replace(b"\x08\0\x08\0\x08\1", b"\x08" + SIDE.to_bytes(2, "big") * 2 + b"\1"))


def coco(root: Path, *segmentations: Any) -> None:
    objects = [
        {"image_id": 1, "category_id": 1 + number % 2, "segmentation": each}
        for number, each in enumerate(segmentations)
    ]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    images = [{"id": 1, "file_name": "a.jpg"}]
    write_json(root / "instances.json", {"images": images, "annotations": objects, "categories": categories})


def triangles(root: Path) -> None:
    coco(root, *[[[0, 0, SIDE, 1, SIDE, SIDE]]] * 300)


def corners(root: Path) -> None:
    coco(root, [[0, 0, *(value for row in range(20_000) for value in (SIDE, row % SIDE, 0, row % SIDE))]])


def runs(root: Path) -> None:
    coco(root, *[{"counts": [0, SIDE**2], "size": [SIDE, SIDE]}] * 200)


def ellipses(root: Path) -> None:
    shape = {"name": "ellipse", "cx": 4000, "cy": 4000, "rx": 3000, "ry": 3000}
    regions = [{"shape_attributes": shape, "region_attributes": {"k": "ab"[number % 2]}} for number in range(60)]
    write_json(root / "via.json", {"a.jpg": {"filename": "a.jpg", "regions": regions}})


def strokes(root: Path) -> None:
    total = 4 * SIDE**2
    bits = f"{total:032b}{7:05b}" + f"{15:04b}" * 4 + ("1" + "00" + "1" * 24) * -(-total // 2**16)
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    size = {"original_width": SIDE, "original_height": SIDE}
    results = [
        {**size, "type": "brushlabels", "value": {"format": "rle", "rle": data, "brushlabels": ["ab"[number % 2]]}}
        for number in range(20)
    ]
    write_json(root / "t.json", [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": results}]}])


@pytest.mark.parametrize("write", [triangles, corners, runs, ellipses, strokes], ids=lambda write: write.__name__)
def test_more_than_any_annotation_needs_is_refused_at_once(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    large_image(tmp_path / "a.jpg")
    masks = masks_of(open_dataset(tmp_path))
    start = time.process_time()
    with pytest.raises(ImageError, match=r"^The \d+ objects? of a\.jpg would take [\d,]+ steps to draw, more than"):
        masks.read(0)
    assert time.process_time() - start < 2


def test_many_small_objects_of_a_large_image_take_no_time(tmp_path: Path) -> None:
    coco(tmp_path, *[[[left, 9, left + 8, 9, left + 8, 20]] for left in range(0, 5000, 2)])
    large_image(tmp_path / "a.jpg")
    masks = masks_of(open_dataset(tmp_path))
    start = time.process_time()
    assert set(np.unique(masks.read(0)[:30]).tolist()) == {0, 1, 2}
    assert time.process_time() - start < 2


@pytest.mark.parametrize("padding", [0, 2**25])
def test_the_packed_bytes_of_a_bitmap_vouch_for_it(padding: int, tmp_path: Path) -> None:
    """Neither what zlib makes of zeros after the image nor an image of one color are worth a gigabyte."""
    stream = BytesIO()
    Image.new("LA", (5000, 5000), (9, 255)).save(stream, "PNG")
    data = base64.b64encode(zlib.compress(stream.getvalue() + bytes(padding), 9)).decode()
    large_image(tmp_path / "ds/img/a.jpg")
    region = {"classTitle": "a", "geometryType": "bitmap", "bitmap": {"origin": [0, 0], "data": data}}
    write_json(tmp_path / "ds/ann/a.jpg.json", {"size": {"height": SIDE, "width": SIDE}, "objects": [region]})
    (tmp_path / "meta.json").write_text(json.dumps({"classes": [{"title": "a"}]}))
    start = time.process_time()
    with pytest.raises((DataError, ImageError), match=r"its bitmap is not a readable PNG|without class or outline"):
        masks_of(open_dataset(tmp_path)).read(0)
    assert time.process_time() - start < 2
