"""The VGG Image Annotator's regions, as JSON and as CSV."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from tests.datasets.ground_truths import masks_of
from tests.datasets.layouts.annotated import flags, make_images, pixels, write_json

SQUARE = {"name": "polygon", "all_points_x": [2, 8, 8, 2], "all_points_y": [1, 1, 5, 5]}
ELLIPSE = {"name": "ellipse", "cx": 5, "cy": 3, "rx": 2, "ry": 1}
WHOLE = {"name": "rect", "x": 0, "y": 0, "width": 10, "height": 6}


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def files(**regions: Any) -> dict[str, Any]:
    return {
        f"{name}.jpg123": {"filename": f"{name}.jpg", "size": 123, "regions": found, "file_attributes": {}}
        for name, found in regions.items()
    }


def test_polygons_rectangles_circles_and_ellipses(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"{name}.jpg" for name in "abcde"))
    turned = {**ELLIPSE, "theta": math.pi / 2}
    content = files(
        a=[region(SQUARE, kind="disc"), region(WHOLE, kind="wall")],
        b=[region({"name": "circle", "cx": 3, "cy": 3, "r": 2}, kind="disc")],
        c=[region(turned, kind="wall")],
        d=[],
        e=[region({"name": "point", "cx": 3, "cy": 3}, kind="disc")],
    )
    write_json(tmp_path / "via_region_data.json", content)
    data = open_dataset(tmp_path)
    assert (data.layout, masks_of(data).classes) == ("via", ("background", "disc", "wall"))
    assert pixels(data) == {
        "a.jpg": [0, 24, 36],
        "b.jpg": [48, 12, 0],
        "c.jpg": [52, 0, 8],
        "d.jpg": [60, 0, 0],
        "e.jpg": [60, 0, 0],
    }
    assert np.flatnonzero(masks_of(data).read(2).any(0)).tolist() == [4, 5]
    assert flags(data)["e.jpg"] == [1, 0]
    assert data.notes == (
        "no region, so all background: 1 image, d.jpg",
        "painted as rectangles: 1 object with only a box, such as in a.jpg",
        "not painted: 1 object with only a point, such as in e.jpg",
    )


def test_a_project_and_version_1_and_a_table_say_the_same(tmp_path: Path) -> None:
    make_images(tmp_path / "1", "a.jpg", "b.jpg")
    content = files(a=[region(SQUARE, kind="disc")], b=[region(ELLIPSE, kind="wall"), region(SQUARE, kind="disc")])
    old = {key: {**one, "regions": dict(enumerate(one["regions"]))} for key, one in content.items()}
    found = []
    for document in (content, {"_via_settings": {}, "_via_img_metadata": content, "_via_attributes": {}}, old):
        write_json(tmp_path / "1/via.json", document)
        found.append(pixels(open_dataset(tmp_path / "1")))
    (tmp_path / "1/via.json").unlink()
    with (tmp_path / "1/via_region_data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ("filename", "file_size", "file_attributes", "region_count", "region_id")
        writer.writerow((*columns, "region_shape_attributes", "region_attributes"))
        for one in content.values():
            for index, each in enumerate(one["regions"]):
                cells = (json.dumps(each["shape_attributes"]), json.dumps(each["region_attributes"]))
                writer.writerow((one["filename"], 123, "{}", len(one["regions"]), index, *cells))
    found += [pixels(open_dataset(tmp_path / "1")), pixels(open_dataset(tmp_path / "1/via_region_data.csv"))]
    assert found == [{"a.jpg": [36, 24, 0], "b.jpg": [36, 16, 8]}] * 5


def test_the_class_is_the_only_attribute_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg", "b.jpg")
    write_json(tmp_path / "via.json", files(a=[region(SQUARE)], b=[region(SQUARE)]))
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("background", "object")
    assert "its regions have no attribute and are of one class, object" in data.reason
    ticked = {"car": True, "bus": False}
    write_json(tmp_path / "via.json", files(a=[region(SQUARE, kind=ticked)], b=[region(SQUARE, kind={"bus": True})]))
    assert masks_of(open_dataset(tmp_path)).classes == ("background", "bus", "car")
    several = files(a=[region(SQUARE, kind="car", color="red")], b=[region(SQUARE, kind="bus", color="red")])
    write_json(tmp_path / "via.json", several)
    with pytest.raises(
        DataError, match=r"several attributes, kind, color; say which is the class, such as --label-col"
    ):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path, ReadingOptions(label_column="kind"))
    assert masks_of(data).classes == ("background", "bus", "car")
    with pytest.raises(DataError, match=r"regions without an attribute 'size'; they have kind, color"):
        open_dataset(tmp_path, ReadingOptions(label_column="size"))


def test_what_hinders_reading_is_one_sentence(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg", "b.jpg")
    for content, why in (
        (files(a=[region(SQUARE, kind="car")], b=[region(SQUARE, kind="")]), r"a region of b\.jpg without one 'kind'"),
        (files(a=[region({**SQUARE, "all_points_y": [1]}, kind="car")]), r"a polygon of a\.jpg with odd numbers"),
        (files(a=[{"x": 1}]), "has a region without shape_attributes"),
        (files(a=[region({"name": "point"}, kind="car")]), "has no outlines, but 1 object with only a point"),
        (files(z=[region(SQUARE, kind="car")]), r"none of the images that via\.json names, such as z\.jpg"),
    ):
        write_json(tmp_path / "via.json", content)
        with pytest.raises(DataError, match=why):
            open_dataset(tmp_path)
