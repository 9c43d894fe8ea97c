"""Supervisely's projects."""

from __future__ import annotations

import base64
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import masks_of
from tests.datasets.layouts.annotated import make_images, pixels, write_json


def bitmap(mask: np.ndarray[Any, Any]) -> str:
    """As Supervisely's own package packs it: the first color is transparent, whatever it is."""
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette([255, 255, 0, 255, 255, 255])
    stream = BytesIO()
    image.save(stream, "PNG", transparency=0, optimize=0)
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def one(title: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"id": 1, "classTitle": title, "geometryType": kind, "tags": []} | more


def points(exterior: list[list[int]], *interior: list[list[int]]) -> dict[str, Any]:
    return {"points": {"exterior": exterior, "interior": list(interior)}}


def document(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"description": "", "tags": [], "size": {"height": 6, "width": 10}, "objects": list(objects)}


def test_polygons_with_holes_and_bitmaps(tmp_path: Path) -> None:
    classes = [{"title": title, "shape": "any", "color": "#fff"} for title in ("wall", "disc", "unused")]
    write_json(tmp_path / "meta.json", {"classes": classes, "tags": []})
    make_images(tmp_path, "ds0/img/a.jpg", "ds0/img/b.jpg", "ds1/img/a.jpg")
    ring = points([[1, 1], [7, 1], [7, 5], [1, 5]], [[3, 2], [5, 2], [5, 4], [3, 4]])
    write_json(tmp_path / "ds0/ann/a.jpg.json", document(one("disc", "polygon", **ring)))
    corner = {"bitmap": {"data": bitmap(np.array([[1, 0], [1, 1]])), "origin": [8, 4]}}
    write_json(tmp_path / "ds0/ann/b.jpg.json", document(one("wall", "bitmap", **corner)))
    box, dot = points([[0, 0], [1, 2]]), points([[4, 4]])
    small = document(one("wall", "rectangle", **box), one("disc", "point", **dot), one("wall", "bitmap", **corner))
    write_json(tmp_path / "ds1/ann/a.jpg.json", small)
    data = open_dataset(tmp_path)
    assert (data.layout, masks_of(data).classes) == ("supervisely", ("background", "wall", "disc", "unused"))
    assert pixels(data) == {
        "ds0/img/a.jpg": [60 - 26, 0, 26, 0],  # 7x5 pixels without 3x3
        "ds0/img/b.jpg": [57, 3, 0, 0],
        "ds1/img/a.jpg": [51, 9, 0, 0],
    }
    assert masks_of(data).read(1)[4:, 8:].tolist() == [[1, 0], [1, 1]]
    assert data.notes == (
        "painted as rectangles: 1 object with only a box, such as in ds1/img/a.jpg",
        "not painted: 1 object with only a point, such as in ds1/img/a.jpg",
    )


def test_the_bitmap_of_superviselys_own_documentation(tmp_path: Path) -> None:
    """The docstring of `supervisely.Bitmap.base64_2_data` has it: a square of 3x3 pixels without its center."""
    text = (
        "eJzrDPBz5+WS4mJgYOD19HAJAtLMIMwIInOeqf8BUmwBPiGuQPr///9Lb86/C2QxlgT5BTM4PLuRBuTwebo4hlTMSa44sKHhISMDuxpTYrr03F6g"
        "DIOnq5/LOqeEJgDM5ht6"
    )
    make_images(tmp_path, "img/a.jpg", "img/b.jpg")
    plain = base64.b64encode(zlib.decompress(base64.b64decode(text))).decode()
    for name, data in (("a", text), ("b", plain)):
        bitmap = {"data": data, "origin": [2, 1]}
        write_json(tmp_path / f"ann/{name}.jpg.json", document(one("disc", "bitmap", bitmap=bitmap)))
    found = open_dataset(tmp_path)
    for index in range(2):
        mask = masks_of(found).read(index)
        assert mask.sum() == 8
        assert mask[1:4, 2:5].tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]


def test_what_hinders_reading_is_one_sentence(tmp_path: Path) -> None:
    make_images(tmp_path, "img/a.jpg")
    for broken in ({"data": "%%", "origin": [0, 0]}, {"data": base64.b64encode(b"no zlib").decode(), "origin": [0, 0]}):
        write_json(tmp_path / "ann/a.jpg.json", document(one("wall", "bitmap", bitmap=broken)))
        with pytest.raises(DataError, match=r"a\.jpg\.json has an object without class or outline; export it again"):
            open_dataset(tmp_path)
    (tmp_path / "img/a.jpg").rename(tmp_path / "img/b.jpg")
    with pytest.raises(DataError, match=r"holds none of the images of ann/a\.jpg\.json; put them there"):
        open_dataset(tmp_path)


def test_the_folders_of_a_project_are_no_classes(tmp_path: Path) -> None:
    """Neither where its files cannot be read, nor where only a few of its images are annotated."""
    make_images(tmp_path, *(f"ds{folder}/img/{number}.jpg" for folder in range(2) for number in range(3)))
    square = one("wall", "polygon", **points([[1, 1], [4, 1], [4, 3], [1, 3]]))
    write_json(tmp_path / "ds0/ann/0.jpg.json", document(square))
    data = open_dataset(tmp_path)
    assert (data.layout, len(data)) == ("supervisely", 1)
    assert data.notes == ("5 of 6 images left out, such as ds0/img/1.jpg, ds0/img/2.jpg, ds1/img/0.jpg",)
    for broken, why in (
        (
            document(one("wall", "point", **points([[1, 1]]))),
            "has no outlines, but 1 object with only a point",
        ),
        (document(square | {"classTitle": ""}), r"has an object of ds0/img/0\.jpg without a label"),
        (document(square) | {"size": {"height": 60, "width": 100}}, "no image has the size that the file gives"),
    ):
        write_json(tmp_path / "ds0/ann/0.jpg.json", broken)
        with pytest.raises(DataError, match=f"{why}.* To read classes all the same, choose --layout folders"):
            open_dataset(tmp_path)
