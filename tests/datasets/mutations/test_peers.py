"""What torchvision, pycocotools, and by a record supervision and Keras, read of the same trees."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convolve.datasets.layouts import open_dataset
from convolve.values import IGNORE, Dataset, Pixels
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.mutations.case import Case, write
from tests.datasets.mutations.pixels import encode, identify
from tests.datasets.mutations.record_peers import RECORD, coco_cases, folders_of_classes
from tests.datasets.mutations.runner import LAYOUTS

datasets = pytest.importorskip("torchvision.datasets")


def _numbers(dataset: Dataset) -> list[int]:
    return [identify(dataset.images.read(row)) for row in range(len(dataset))]


def _classes(dataset: Dataset) -> dict[int, set[str]]:
    labels = labels_of(dataset)
    names = [{labels.classes[i] for i in np.flatnonzero(flags)} for flags in labels.presence()]
    return dict(zip(_numbers(dataset), names, strict=True))


def test_image_folder(tmp_path: Path) -> None:
    write(LAYOUTS["folders"](3), tmp_path)
    peer = datasets.ImageFolder(tmp_path)
    found = {identify(np.asarray(image)): {peer.classes[label]} for image, label in peer}
    assert _classes(open_dataset(tmp_path)) == found


@pytest.mark.parametrize(("word", "folder"), [("train", "train"), ("validation", "val"), ("test", "test")])
def test_image_folder_of_a_split(word: str, folder: str, tmp_path: Path) -> None:
    write(LAYOUTS["split folders"](2), tmp_path)
    peer = datasets.ImageFolder(tmp_path / folder)
    found = {identify(np.asarray(image)): {peer.classes[label]} for image, label in peer}
    dataset = open_dataset(tmp_path)
    assert _classes(dataset.take(dataset.given_splits[word])) == found


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("shapes", ["polygon", "rle"])
@pytest.mark.parametrize("layout", ["coco", "single coco"])
def test_coco_detection(layout: str, shapes: str, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    case = LAYOUTS[layout](3)
    for style in case.coco:
        style.shapes = shapes
    write(case, tmp_path)
    dataset = open_dataset(tmp_path)
    rows = {number: row for row, number in enumerate(_numbers(dataset))}
    read = 0
    for style in case.coco:
        images = next(str(PurePosixPath(s.path).parent) for s in case.samples if style.split in (None, s.split))
        peer = datasets.CocoDetection(tmp_path / images, str(tmp_path / style.path))
        names = {key: one["name"] for key, one in peer.coco.cats.items()}
        for image, objects in peer:
            row = rows[identify(np.asarray(image))]
            mask = np.zeros(np.asarray(image).shape[:2], np.uint8)
            for one in sorted(objects, key=lambda each: -each["area"]):
                name = names[one["category_id"]]
                mask[peer.coco.annToMask(one) > 0] = masks_of(dataset).classes.index(name)
            assert np.array_equal(masks_of(dataset).read(row), mask)
            assert _classes(dataset)[identify(np.asarray(image))] == {names[one["category_id"]] for one in objects}
            read += 1
    assert read == len(dataset)


@pytest.mark.parametrize(("word", "split"), [("train", "train"), ("val", "validation")])
def test_voc_segmentation(word: str, split: str, tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    write(LAYOUTS["voc"](2), root)
    peer = datasets.VOCSegmentation(tmp_path, "2012", word)
    found: dict[int, Pixels] = {identify(np.asarray(image)): np.asarray(mask) for image, mask in peer}
    dataset = open_dataset(root)
    dataset = dataset.take(dataset.given_splits[split])
    assert set(_numbers(dataset)) == set(found)
    assert any((mask == IGNORE).any() for mask in found.values())
    for row, number in enumerate(_numbers(dataset)):
        assert np.array_equal(masks_of(dataset).read(row), found[number])


@pytest.mark.parametrize("train", [True, False])
def test_mnist(train: bool, tmp_path: Path) -> None:
    import gzip

    case = LAYOUTS["idx"](3)
    case.files = {f"MNIST/raw/{path.removesuffix('.gz')}": gzip.decompress(blob) for path, blob in case.files.items()}
    write(case, tmp_path)
    peer = datasets.MNIST(tmp_path, train=train)
    found = {identify(np.asarray(image)[..., None]): {str(label)} for image, label in peer}
    dataset = open_dataset(tmp_path)
    assert _classes(dataset.take(dataset.given_splits["train" if train else "test"])) == found


_RECORD: dict[str, Any] = json.loads(RECORD.read_text())


@pytest.mark.parametrize(("layout", "shapes", "case"), list(coco_cases()))
def test_supervision(layout: str, shapes: str, case: Case, tmp_path: Path) -> None:
    write(case, tmp_path)
    dataset = open_dataset(tmp_path)
    peer = _RECORD["supervision"]["cases"][f"{layout}, {shapes}"]
    assert {dataset.images.name(row) for row in range(len(dataset))} == set(peer)
    for row, number in enumerate(_numbers(dataset)):
        objects = peer[dataset.images.name(row)]
        assert _classes(dataset)[number] == {name for name, _ in objects}
        found = masks_of(dataset).read(row)
        for name, mask in objects if shapes == "rle" else ():
            bits = np.array([[int(pixel) for pixel in line] for line in mask])
            assert np.array_equal(found == masks_of(dataset).classes.index(name), bits > 0)


@pytest.mark.parametrize(("layout", "folder", "case"), list(folders_of_classes()))
def test_keras(layout: str, folder: str, case: Case, tmp_path: Path) -> None:
    write(case, tmp_path)
    dataset = open_dataset(tmp_path)
    names = [PurePosixPath(dataset.images.name(row)) for row in range(len(dataset))]
    classes = [_classes(dataset)[number] for number in _numbers(dataset)]
    below = {str(name.relative_to(folder)): own for name, own in zip(names, classes, strict=True)
             if name.is_relative_to(folder)}  # fmt: skip
    peer = _RECORD["keras"]["cases"][f"{layout}, {folder}"]
    assert below == {name: {label} for name, label in peer.items()}


_SIZE = (24, 30)


@st.composite
def _objects(draw: st.DrawFn) -> dict[str, Any]:
    """A category and an outline: one or two rectangles as polygons, or one as run lengths, compressed or not."""
    from pycocotools import mask as coco

    kind = draw(st.sampled_from(("polygon", "polygons", "counts", "compressed", "crowd")))
    flags = np.zeros(_SIZE, np.uint8)
    polygons, area = [], 0
    for _ in range(2 if kind == "polygons" else 1):
        top, left = draw(st.integers(0, 18)), draw(st.integers(0, 20))
        bottom, right = draw(st.integers(top + 2, 24)), draw(st.integers(left + 2, 30))
        flags[top:bottom, left:right] = 1
        area += (bottom - top) * (right - left)
        polygons.append([left, top, right, top, right, bottom, left, bottom])
    outline: Any = polygons
    if kind in ("counts", "crowd"):
        changes = np.flatnonzero(np.diff(np.pad(flags.T.ravel(), 1, constant_values=2))).tolist()
        counts = np.diff(changes).tolist()
        outline = {"size": list(_SIZE), "counts": counts if flags[0, 0] == 0 else [0, *counts]}
    if kind == "compressed":
        packed = coco.encode(np.asfortranarray(flags))
        outline = {"size": list(_SIZE), "counts": packed["counts"].decode()}
    found = {"category_id": draw(st.integers(1, 3)), "segmentation": outline, "iscrowd": int(kind == "crowd")}
    return {**found, "area": area, "bbox": [0, 0, 1, 1]}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@settings(max_examples=60, derandomize=True, database=None, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(objects=st.lists(_objects(), min_size=1, max_size=6))
def test_smaller_objects_lie_on_larger_ones(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    """As pycocotools draws each of them, crowds too; of equal ones the later is on top. (A polygon in several parts is
    as large as these together, also where they overlap.)
    """
    peer = pytest.importorskip("pycocotools.coco").COCO()
    images = [{"id": 1, "file_name": "a.png", "height": _SIZE[0], "width": _SIZE[1]}]
    annotations = [{**one, "id": number, "image_id": 1} for number, one in enumerate(objects, start=1)]
    peer.dataset = {"images": images, "annotations": annotations,
                    "categories": [{"id": key, "name": f"class {key}"} for key in (1, 2, 3)]}  # fmt: skip
    peer.createIndex()
    (tmp_path / "a.png").write_bytes(encode(np.zeros((*_SIZE, 3), np.uint8), ".png"))
    (tmp_path / "instances.json").write_text(json.dumps(peer.dataset))
    mask = np.zeros(_SIZE, np.uint8)
    for one in sorted(annotations, key=lambda each: -each["area"]):
        mask[peer.annToMask(one) > 0] = one["category_id"]
    assert np.array_equal(masks_of(open_dataset(tmp_path)).read(0), mask)
