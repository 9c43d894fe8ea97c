"""Boxes of any annotation file: around outlines, and turned with the images that their EXIF orientation turns."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from torchvision.datasets import CocoDetection

from convolve.datasets.images import EncodedFile
from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.cvat import RowRle
from convolve.datasets.layouts.object_boxes import turn_edges
from convolve.datasets.layouts.shapes import Bitmap, Ellipse, Polygons, Rle, Shape
from convolve.datasets.layouts.supervisely import PixelPolygon
from convolve.errors import DataError
from tests.datasets.ground_truths import boxes_by_image, boxes_of, labels_of, masks_of
from tests.datasets.layouts.annotated import make_images, paint, write_json
from tests.datasets.layouts.boxed import HEIGHT, WIDTH, Box, make_pictures, put_text, write_voc, yolo_lines

COCO_MINI = Path(__file__).parents[4] / "shared" / "data" / "coco_mini"
PATCH: Box = ("patch", 3, 2, 13, 8)


def coco(root: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    """COCO's file of the images 1.jpg and 2.jpg."""
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 10, "height": 6} for number in (1, 2)]
    categories = [{"id": 90, "name": "cup"}, {"id": 7, "name": "cat"}]
    make_images(root, "1.jpg", "2.jpg")
    write_json(
        root / "boxes.json", {"images": images, "annotations": list(annotations), "categories": categories} | more
    )
    return root


def box(image: object, category: object, *edges: float, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(edges), "area": 5.0, "iscrowd": 0} | more


def test_coco_with_boxes_alone(tmp_path: Path) -> None:
    data = open_dataset(coco(tmp_path, box("1", 90, 1, 2, 3, 4), box(1, "7", 0, 0, 10, 6, iscrowd=1, area=None)))
    assert (set(data.ground_truths), labels_of(data).classes) == ({"boxes", "labels"}, ("cat", "cup"))
    assert boxes_by_image(data) == {"1.jpg": [("cup", (1, 2, 4, 6)), ("cat", (0, 0, 10, 6))], "2.jpg": []}
    boxes = boxes_of(data)
    assert (boxes.areas.tolist(), boxes.crowd.tolist()) == ([5, 60], [False, True])
    assert labels_of(data).values.tolist() == [[1, 1], [0, 0]]


def test_a_category_that_heads_others_is_no_class(tmp_path: Path) -> None:
    """As Roboflow writes it, with the id 0."""
    categories = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "cup", "supercategory": "cells"},
    ]
    data = open_dataset(coco(tmp_path, box(1, 1, 1, 2, 3, 4), categories=categories))
    assert boxes_of(data).classes == ("cup",)
    assert data.notes == ("no object has the category cells, to which others belong; it is no class",)


@pytest.mark.parametrize("name", ["/home/kim/data/{}", "C:\\data\\{}", "%31.jpg", "https://x.org/a/{}?v=1"])
def test_names_of_other_machines(name: str, tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": name.format("1.jpg"), "width": 10, "height": 6}]
    assert boxes_by_image(open_dataset(coco(tmp_path, box(1, 7, 1, 2, 3, 4), images=images))) == {
        "1.jpg": [("cat", (1, 2, 4, 6))]
    }


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (box(1, 7, 1, 2, 3), r"boxes\.json has an object of the image 1 whose bbox is not four numbers; correct it"),
        (box(1, 7, 1, 2, 3, float("nan")), "whose bbox is not four numbers"),
        (box(1, 7, 0.1, 0.2, 0.3, 0.4), "has corners that are fractions of the image; export them in pixels"),
        (box(1, 8, 1, 2, 3, 4), "whose category_id is none of its categories' ids, such as 8"),
    ],
)
def test_what_hinders_reading_is_one_sentence(broken: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        open_dataset(coco(tmp_path, broken))


def test_boxes_beside_masks(tmp_path: Path) -> None:
    """The file's own, or else those around the outlines; what has a box alone has one too."""
    outline = {"image_id": 1, "category_id": 7, "segmentation": [[2, 1, 8, 1, 8, 5, 2, 5]]}
    rle = {"size": [6, 10], "counts": [13, 2, 4, 2, 39]}
    data = open_dataset(
        coco(
            tmp_path,
            outline,
            box(1, 90, 3, 3, 1, 1, segmentation=[[2, 1, 8, 1, 8, 5, 2, 5]], area=24),
            {"image_id": 1, "category_id": 7, "segmentation": rle, "iscrowd": 1},
            box(2, 7, 1, 1, 2, 2),
        )
    )
    assert set(data.ground_truths) == {"masks", "labels", "boxes"}
    assert boxes_by_image(data) == {
        "1.jpg": [("cat", (2, 1, 8, 5)), ("cup", (3, 3, 4, 4)), ("cat", (2, 1, 4, 3))],
        "2.jpg": [("cat", (1, 1, 3, 3))],
    }
    assert boxes_of(data).areas.tolist() == [24, 24, 4, 5]
    assert masks_of(data).covers.tolist() == [True, False]


def test_two_files_that_differ_by_boxes_are_refused(tmp_path: Path) -> None:
    coco(tmp_path, box(1, 7, 1, 2, 3, 4))
    document = json.loads((tmp_path / "boxes.json").read_text())
    write_json(tmp_path / "boxes2.json", document | {"annotations": [box(1, 7, 1, 2, 3, 3)]})
    with pytest.raises(DataError, match=r"boxes2\.json and boxes\.json in .* annotate 1\.jpg differently"):
        open_dataset(tmp_path)
    write_json(tmp_path / "boxes2.json", document | {"info": {"year": 2020}})
    assert open_dataset(tmp_path).notes == ("listed twice and taken once: 2 images, such as 1.jpg, 2.jpg",)


PNG = Image.fromarray(np.array([[0, 0, 0], [0, 255, 0], [0, 255, 255]], np.uint8))
SHAPES: list[Shape] = [
    Polygons([[1, 1, 9, 2, 4, 7]]),
    Polygons([[1, 1, 3, 1, 3, 3, 1, 3], [6, 4, 9, 4, 9, 8, 6, 8]]),
    Rle([3, 4, 6, 4, 103], [10, 12]),
    Ellipse((6, 5), (4, 2), 30),
    RowRle((1, 2, 1, 2), (2, 3), (2, 3)),
    PixelPolygon(((2, 2), (7, 2), (7, 5)), ()),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_box_of_an_outline_is_around_its_pixels(shape: Shape) -> None:
    mask = paint(shape, (10, 12))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    found = np.array(shape.bounds((10, 12)))
    around = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert np.abs(found - around).max() <= 1  # a sharp corner reaches beyond the centers of pixels
    assert (found[:2] <= around[:2] + 0.5).all()
    assert (found[2:] >= around[2:] - 0.5).all()


def test_shapes_of_no_pixel_have_no_box(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PNG.save(path)
    assert Bitmap(path.read_bytes(), (5, 2)).bounds((9, 9)) == (6, 3, 8, 5)
    Image.new("L", (3, 3)).save(path)
    assert Bitmap(path.read_bytes(), (5, 2)).bounds((9, 9)) is None
    assert Rle([120], [10, 12]).bounds((10, 12)) is None
    assert Polygons([]).bounds((10, 12)) is None


def test_other_programs_boxes(tmp_path: Path) -> None:
    """LabelMe, VIA, CVAT, Label Studio and Supervisely, whose last pixel belongs to the object."""
    expected = {"a.jpg": [("cat", (1.0, 2.0, 4.0, 5.0))]}
    folders = {name: tmp_path / name for name in ("labelme", "via", "cvat", "studio", "supervisely")}
    for name, folder in folders.items():
        make_images(folder, "ds0/img/a.jpg" if name == "supervisely" else "a.jpg")
    shape = {"label": "cat", "points": [[4, 5], [1, 2]], "shape_type": "rectangle"}
    write_json(folders["labelme"] / "a.json", {"shapes": [shape], "imagePath": "a.jpg"})
    region = {
        "shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 3},
        "region_attributes": {"k": "cat"},
    }
    write_json(folders["via"] / "via.json", {"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": [region]}})
    put_text(
        folders["cvat"] / "annotations.xml",
        '<annotations><meta/><image name="a.jpg" width="10" height="6">'
        '<box label="cat" xtl="1" ytl="2" xbr="4" ybr="5"/></image></annotations>',
    )
    value = {"x": 10, "y": 100 / 3, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]}
    result = {"original_width": 10, "original_height": 6, "value": value, "type": "rectanglelabels"}
    write_json(folders["studio"] / "t.json", [{"data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]}])
    points = {"exterior": [[1, 2], [3, 4]], "interior": []}
    one = {"classTitle": "cat", "geometryType": "rectangle", "points": points}
    ann = {"objects": [one], "size": {"height": 6, "width": 10}}
    write_json(folders["supervisely"] / "ds0/ann/a.jpg.json", ann)
    for name, folder in folders.items():
        data = open_dataset(folder)
        assert set(data.ground_truths) == {"boxes", "labels"}, name
        assert {path.rpartition("/")[2]: found for path, found in boxes_by_image(data).items()} == expected, name


def test_a_turned_rectangle_has_the_box_around_its_corners(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg")
    put_text(
        tmp_path / "annotations.xml",
        '<annotations><meta/><image name="a.jpg" width="10" height="6">'
        '<box label="cat" xtl="2" ytl="2" xbr="6" ybr="4" rotation="90"/></image></annotations>',
    )
    assert boxes_by_image(open_dataset(tmp_path)) == {"a.jpg": [("cat", (3, 1, 5, 5))]}


def stored_patch(root: Path, orientation: int) -> tuple[float, ...]:
    """An image with an EXIF orientation and a white patch at `PATCH` of its stored pixels; where that is, upright."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[2:8, 3:13] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    root.mkdir(exist_ok=True, parents=True)
    Image.fromarray(pixels).save(root / "a.png", exif=exif)
    upright = EncodedFile((root / "a.png").read_bytes(), "a").decode()[:, :, 0] > 0
    rows, columns = np.flatnonzero(upright.any(1)), np.flatnonzero(upright.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pixels_do(orientation: int, tmp_path: Path) -> None:
    expected = stored_patch(tmp_path, orientation)
    size = (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)
    assert turn_edges((3, 2, 13, 8), orientation, size) == expected


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_the_size_tells_whether_boxes_are_of_the_stored_or_of_the_upright_image(
    orientation: int, tmp_path: Path
) -> None:
    expected = stored_patch(tmp_path, orientation)
    write_voc(tmp_path / "a.xml", [PATCH], (WIDTH, HEIGHT))
    data = open_dataset(tmp_path)
    assert boxes_by_image(data) == {"a.png": [("patch", expected)]}
    about = "boxes of 1 image with an EXIF orientation are"
    assert data.notes == (f"{about} turned with it, as the file gives the stored size: a.png",)
    write_voc(tmp_path / "a.xml", [("patch", *expected)], (HEIGHT, WIDTH))  # type: ignore[list-item]
    data = open_dataset(tmp_path)
    assert boxes_by_image(data) == {"a.png": [("patch", expected)]}
    assert data.notes == (f"{about} those of the upright image, as the file gives its size: a.png",)
    assert boxes_of(data).sizes.tolist() == [[WIDTH, HEIGHT]]


def test_where_the_size_does_not_tell_the_upright_image_is_meant(tmp_path: Path) -> None:
    stored_patch(tmp_path, 3)
    write_voc(tmp_path / "a.xml", [PATCH])
    data = open_dataset(tmp_path)
    assert boxes_by_image(data) == {"a.png": [("patch", (3, 2, 13, 8))]}
    about = "boxes of 1 image with an EXIF orientation are those of the upright image"
    assert data.notes == (f"{about}, which the size does not tell: a.png",)


def test_without_a_size_the_upright_image_is_meant_unless_a_box_lies_outside(tmp_path: Path) -> None:
    stored_patch(tmp_path, 6)
    write_voc(tmp_path / "a.xml", [PATCH], (0, 0))
    data = open_dataset(tmp_path)
    assert (boxes_by_image(data), data.notes) == ({"a.png": [("patch", (3, 2, 13, 8))]}, ())
    write_voc(tmp_path / "a.xml", [PATCH, ("patch", 10, 2, 38, 8)], (0, 0))
    first, *_ = open_dataset(tmp_path).notes
    about = "boxes of 1 image with an EXIF orientation are those of the upright image"
    assert first == f"{about}, but some reach beyond it; save the image upright: a.png"


def test_fractions_are_of_the_upright_image(tmp_path: Path) -> None:
    make_pictures(tmp_path / "images", "a.jpg", orientation=6)
    put_text(tmp_path / "labels/a.txt", yolo_lines([0], [("x", 2, 4, 10, 30)], (HEIGHT, WIDTH)))
    put_text(tmp_path / "data.yaml", "names: [x]\n")
    data = open_dataset(tmp_path)
    assert (boxes_by_image(data), data.notes) == ({"images/a.jpg": [("x", (2, 4, 10, 30))]}, ())


def test_images_of_another_size_are_left_out_and_refused_where_all_are(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    write_voc(tmp_path / "a.xml", [PATCH])
    write_voc(tmp_path / "b.xml", [PATCH], (80, 40))
    data = open_dataset(tmp_path)
    assert (data.left_out, list(boxes_by_image(data))) == (("b.jpg",), ["a.jpg"])
    assert data.notes == ("left out: 1 whose size is not the file's, such as b.jpg (40x20, not 80x40)",)
    (tmp_path / "a.xml").unlink()
    with pytest.raises(
        DataError, match=r"no image has the size that the file gives, such as b\.jpg \(40x20, not 80x40\)"
    ):
        open_dataset(tmp_path)


def test_an_image_that_cannot_be_read_is_left_to_the_doctor(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    for name in "ab":
        write_voc(tmp_path / f"{name}.xml", [PATCH])
    put_text(tmp_path / "b.jpg", "no image")
    assert list(boxes_by_image(open_dataset(tmp_path))) == ["a.jpg", "b.jpg"]


def test_a_forged_bitmap_leaves_its_image_to_the_doctor(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg", "b.jpg")
    square = {"label": "cat", "points": [[2, 1], [8, 1], [8, 5]], "shape_type": "polygon"}
    broken = {"label": "cat", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": base64.b64encode(b"x").decode()}
    write_json(tmp_path / "a.json", {"shapes": [square], "imagePath": "a.jpg"})
    write_json(tmp_path / "b.json", {"shapes": [broken], "imagePath": "b.jpg"})
    boxes = boxes_of(open_dataset(tmp_path))
    assert boxes.findings.failed == {1: "An object of b.jpg has no box (its bitmap is not a readable PNG); correct it."}


def test_as_coco_and_torchvision_read_it(tmp_path: Path) -> None:
    root = coco(tmp_path, *(box(1, 7, 1, 2, 3, 4) | {"id": 1}, box(2, 90, 0, 0, 10, 6) | {"id": 2}))
    compare_with_coco(root, root, root / "boxes.json")


def compare_with_coco(root: Path, images: Path, file: Path) -> None:
    """Each object has the box, the area, the crowd and the class that COCO's own code gives it."""
    data, peer = open_dataset(root), CocoDetection(str(images), str(file))
    names = {category["id"]: category["name"] for category in COCO(str(file)).cats.values()}
    boxes, rows = boxes_of(data), {data.images.name(row): row for row in range(len(data))}
    folder = "" if images == root else f"{images.name}/"
    for index in range(len(peer)):
        _, targets = peer[index]
        path = folder + peer.coco.loadImgs(peer.ids[index])[0]["file_name"]
        found, _ = boxes.rows(np.array([rows[path]]))
        edges = np.array([one["bbox"] for one in targets], np.float64).reshape(-1, 4)
        edges[:, 2:] += edges[:, :2]
        np.testing.assert_allclose(boxes.boxes[found], edges, atol=0.5)  # some reach half a pixel beyond the image
        assert boxes.areas[found].tolist() == [one["area"] for one in targets]
        assert boxes.crowd[found].tolist() == [bool(one["iscrowd"]) for one in targets]
        kinds = [boxes.classes[kind] for kind in boxes.class_indices[found]]
        assert kinds == [names[one["category_id"]] for one in targets]


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason="needs the shared datasets")
def test_a_real_part_of_coco() -> None:
    data = open_dataset(COCO_MINI)
    parts = {name: boxes_of(data).take(part) for name, part in data.given_splits.items()}
    assert {name: len(part.boxes) for name, part in parts.items()} == {"train": 739, "validation": 624}
    assert {name: part.crowd.sum() for name, part in parts.items()} == {"train": 8, "validation": 5}
    assert masks_of(data).classes[1:] == boxes_of(data).classes
    for split in ("train", "val"):
        file = COCO_MINI / f"annotations/instances_{split}2017.json"
        compare_with_coco(COCO_MINI, COCO_MINI / f"{split}2017", file)
