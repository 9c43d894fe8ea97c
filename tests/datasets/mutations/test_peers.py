"""What torchvision and pycocotools read of the same trees."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset
from convolve.values import IGNORE, Dataset, Pixels
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.mutations.case import write
from tests.datasets.mutations.pixels import identify
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
