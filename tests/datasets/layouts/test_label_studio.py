"""Label Studio's exports."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.label_studio import unpack_alpha
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, ImageError
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.layouts.annotated import flags, make_images, pixels, write_json

STROKES = [
    *(0, 0, 0, 240, 57, 27, 254, 47, 0, 3, 254, 16, 8, 127, 225, 0, 135, 254, 16, 8, 127, 225, 0, 135, 254, 16, 8, 127),
    *(
        225,
        0,
        3,
        254,
        248,
        0,
        31,
        240,
        128,
        67,
        255,
        8,
        4,
        63,
        240,
        128,
        67,
        255,
        8,
        4,
        63,
        240,
        128,
        67,
        255,
        8,
        0,
        31,
    ),
    *(
        247,
        192,
        0,
        255,
        132,
        2,
        31,
        248,
        64,
        33,
        255,
        132,
        2,
        31,
        248,
        64,
        33,
        255,
        132,
        2,
        31,
        248,
        64,
        0,
        255,
        190,
        0,
    ),
    *(7, 252, 32, 16, 255, 194, 1, 15, 252, 32, 16, 255, 194, 1, 15, 252, 32, 16, 255, 194, 0, 7, 254, 47, 0, 0),
]
"""The square of rows 1 to 4 and columns 2 to 7 in red, as Label Studio's own converter packs it."""


def result(kind: str, **value: Any) -> dict[str, Any]:
    return {
        "id": "r1",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": 10,
        "original_height": 6,
        "image_rotation": 0,
        "value": value,
    }


def polygon(label: str, *points: list[float]) -> dict[str, Any]:
    return result("polygonlabels", points=list(points), polygonlabels=[label], closed=True)


def choice(*names: str) -> dict[str, Any]:
    return {"id": "c1", "type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": list(names)}}


def task(image: str, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    annotations = [{"id": 1, "completed_by": 1, "was_cancelled": False, "ground_truth": False, "result": list(results)}]
    return {"id": 1, "annotations": annotations, "predictions": [], "data": {"image": image}} | more


SQUARE = polygon("car", [20, 100 / 6], [80, 100 / 6], [80, 500 / 6], [20, 500 / 6])


BARE = result("polygon", points=[[0, 0], [10, 0], [10, 10]], closed=True)
"""A region that nobody gave a label."""


def test_outlines_in_percent_and_brush_strokes(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"images/{name}.png" for name in "abcde"))
    ellipse = result("ellipselabels", x=50, y=50, radiusX=10, radiusY=100 / 3, rotation=0, ellipselabels=["disc"])
    box = result("rectanglelabels", x=0, y=0, width=100, height=100, rotation=0, rectanglelabels=["disc"])
    dot = result("keypointlabels", x=10, y=10, width=0.5, keypointlabels=["eye"])
    tasks = [
        task("/data/upload/3/1234abcd-a.png", SQUARE, box),
        task("b.png", result("brushlabels", format="rle", rle=STROKES, brushlabels=["disc"])),
        task("/data/local-files/?d=set/images/c.png", ellipse, dot),
        task("s3://bucket/d.png"),
        task("e.png", annotations=[]),
    ]
    write_json(tmp_path / "project-1.json", tasks)
    data = open_dataset(tmp_path)
    assert (data.layout, masks_of(data).classes) == ("label-studio", ("background", "car", "disc", "eye"))
    assert pixels(data) == {
        "images/a.png": [0, 24, 36, 0],
        "images/b.png": [36, 0, 24, 0],
        "images/c.png": [52, 0, 8, 0],
        "images/d.png": [60, 0, 0, 0],
    }
    assert masks_of(data).read(1)[1:5, 2:8].all()
    assert data.notes == (
        "left out: 1 task without a finished annotation",
        "painted as rectangles: 1 object with only a box, such as in images/a.png",
        "not painted: 1 object with only points, such as in images/c.png",
        "1 of 5 images left out, such as images/e.png",
    )


def test_a_box_turns_about_its_upper_left_corner(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    box = result("rectanglelabels", x=50, y=0, width=20, height=50, rotation=90, rectanglelabels=["disc"])
    write_json(tmp_path / "a.json", [task("a.png", box, polygon("car", [0, 0], [10, 0], [10, 10]))])
    mask = masks_of(open_dataset(tmp_path)).read(0)
    assert np.flatnonzero((mask == 2).any(0)).tolist() == [2, 3, 4]
    assert np.flatnonzero((mask == 2).any(1)).tolist() == [0, 1]


def test_choices_alone_are_labels_in_every_export(tmp_path: Path) -> None:
    make_images(tmp_path, "images/a.png", "images/b.png")
    write_json(tmp_path / "full.json", [task("1234abcd-a.png", choice("cat")), task("b.png", choice("dog"))])
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("cat", "dog")
    assert flags(data) == {"images/a.png": 0, "images/b.png": 1}
    (tmp_path / "full.json").unlink()
    more = {"annotator": 1, "annotation_id": 5, "created_at": "x", "updated_at": "x", "lead_time": 3.5}
    lines = [
        {"image": "/data/upload/1/1234abcd-a.png", "id": 1, "choice": "cat", **more},
        {"image": "/data/upload/1/1234abcd-b.png", "id": 2, "choice": {"choices": ["cat", "dog"]}, **more},
    ]
    write_json(tmp_path / "min.json", lines)
    data = open_dataset(tmp_path)
    assert (data.layout, flags(data)) == ("label-studio", {"images/a.png": [1, 0], "images/b.png": [1, 1]})
    (tmp_path / "min.json").unlink()
    with (tmp_path / "project.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        for line in lines:
            writer.writerow({key: json.dumps(cell) if isinstance(cell, dict) else cell for key, cell in line.items()})
    data = open_dataset(tmp_path, ReadingOptions(layout="label-studio"))
    assert flags(data) == {"images/a.png": [1, 0], "images/b.png": [1, 1]}


def test_regions_in_the_short_export(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    drawn = SQUARE["value"] | {"original_width": 10, "original_height": 6}
    line = {"image": "a.png", "label": [drawn], "annotator": 1, "annotation_id": 5, "lead_time": 3.5}
    write_json(tmp_path / "min.json", [line])
    assert pixels(open_dataset(tmp_path)) == {"a.png": [36, 24]}


def test_several_columns_may_be_the_choice(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    line = {"image": "a.png", "animal": "cat", "quality": "good", "annotation_id": 5, "lead_time": 3.5}
    write_json(tmp_path / "min.json", [line])
    with pytest.raises(DataError, match="several columns that may be the label, animal, quality; say which one"):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path, ReadingOptions(label_column="animal"))
    assert labels_of(data).classes == ("cat",)


def test_what_hinders_reading_is_one_sentence(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    two: list[dict[str, Any]] = [{"result": [choice("cat")]}, {"result": [choice("dog")]}]
    for tasks, why in (
        ([task("a.png", annotations=two)], r"has 2 annotations of a\.png that differ; mark one as ground truth"),
        (
            [task("a.png", {**SQUARE, "original_width": None})],
            r"a region of a\.png without size, or turned, or with odd numbers",
        ),
        (
            [task("a.png", {**SQUARE, "image_rotation": 90})],
            r"a region of a\.png without size, or turned, or with odd numbers",
        ),
        ([task("a.png", choice("cat")), task("a.png", choice("dog"))], r"annotates a\.png twice and differently"),
        (
            [task("z.png", SQUARE)],
            r"a\.json in .* names images that are not there, such as z\.png; put them next to it",
        ),
        ([task("a.png", annotations=[])], "has no finished annotation; annotate some"),
        ([task("a.png", SQUARE, BARE)], r"a\.json has an object of a\.png without a label; give it one, or remove it"),
        ([task("a.png", BARE)], r"a\.json has an object of a\.png without a label; give it one, or remove it"),
        ([task("a.png")], "has neither regions nor choices; annotate some"),
        ([task("", data={"text": "a"})], "has a task without an image's path"),
    ):
        write_json(tmp_path / "a.json", tasks)
        with pytest.raises(DataError, match=why):
            open_dataset(tmp_path)
    two[1]["ground_truth"] = True
    write_json(tmp_path / "a.json", [task("a.png", annotations=two)])
    assert labels_of(open_dataset(tmp_path)).classes == ("dog",)
    write_json(tmp_path / "a.json", [task("a.png", result("brushlabels", rle=STROKES[:20], brushlabels=["car"]))])
    with pytest.raises(ImageError, match=r"An object of a\.png cannot be drawn \(its brush strokes end too early"):
        masks_of(open_dataset(tmp_path)).read(0)


def test_the_label_of_a_region_can_be_a_result_of_its_own(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    write_json(tmp_path / "a.json", [task("a.png", SQUARE, BARE, result("labels", **BARE["value"], labels=["disc"]))])
    assert labels_of(open_dataset(tmp_path)).classes == ("car", "disc")
    write_json(tmp_path / "a.json", [task("a.png", BARE, result("choices", **BARE["value"], choices=["cat"]))])
    assert labels_of(open_dataset(tmp_path)).classes == ("cat",)


def test_a_line_that_ends_too_early(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png", "b.png")
    lines = ["annotation_id,choice,id,image,lead_time", "1,cat,1,a.png,3.5", "2,dog,2,b.png"]
    (tmp_path / "project.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"project\.csv has a line that ends too early; export it again"):
        open_dataset(tmp_path, ReadingOptions(layout="label-studio"))


def test_strokes_of_other_sizes_are_refused() -> None:
    assert unpack_alpha(STROKES, 60).sum() == 24 * 255
    with pytest.raises(DataError, match="are not bytes"):
        unpack_alpha([0, 0, 0, 1, 255, 255, 255, 255], 1)
