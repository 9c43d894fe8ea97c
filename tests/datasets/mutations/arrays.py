"""A small dataset in each layout of arrays, with what is true of it."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable, Sequence
from importlib.resources import files

import numpy as np
from PIL import Image
from scipy.io import savemat  # type: ignore[import-untyped]

from convolve.values import Pixels
from tests.datasets.mutations.case import Case
from tests.datasets.mutations.mask_style import MaskStyle
from tests.datasets.mutations.pixels import class_mask, gray, pixels, shape
from tests.datasets.mutations.sample import Sample

_TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PAGES = (0, 20, 40)  # numbers of one shape
_LAST_PAGE = 60


def _samples(parts: Sequence[tuple[str | None, int]], names: Sequence[str]) -> list[Sample]:
    splits = [split for split, count in parts for _ in range(count)]
    return [
        Sample(number, classes=frozenset([names[number % len(names)]]), split=split)
        for number, split in enumerate(splits)
    ]


def _numbers(samples: Sequence[Sample], split: str | None) -> list[int]:
    return [sample.number for sample in samples if sample.split == split]


def _planes(numbers: Sequence[int]) -> Pixels:
    stacked = np.stack([pixels(number, 32, 32) for number in numbers])
    return stacked.transpose(0, 3, 1, 2).reshape(len(numbers), -1)


def _batches(samples: Sequence[Sample]) -> dict[str, list[int]]:
    train = _numbers(samples, "train")
    found = {f"data_batch_{part + 1}": train[part::5] for part in range(5)}
    return {**found, "test_batch": _numbers(samples, "test")}


def cifar(count: int) -> Case:
    """CIFAR-10's pickles."""
    samples = _samples((("train", 10), ("test", 3 * count)), _TEN)
    found = {
        name: pickle.dumps({b"data": _planes(numbers), b"labels": [number % 10 for number in numbers]}, protocol=2)
        for name, numbers in _batches(samples).items()
    }
    found["batches.meta"] = pickle.dumps({b"label_names": [name.encode() for name in _TEN]}, protocol=2)
    inside = {f"cifar-10-batches-py/{name}": content for name, content in found.items()}
    return Case("cifar", samples, files=inside, optional_classes=set(_TEN))


def binary_cifar(count: int) -> Case:
    """CIFAR-10's binary files."""
    samples = _samples((("train", 10), ("test", 3 * count)), _TEN)
    found = {}
    for name, numbers in _batches(samples).items():
        labels = np.array([[number % 10] for number in numbers], np.uint8)
        found[f"cifar-10-batches-bin/{name}.bin"] = np.hstack([labels, _planes(numbers)]).tobytes()
    found["cifar-10-batches-bin/batches.meta.txt"] = "\n".join(_TEN).encode()
    return Case("binary cifar", samples, files=found, optional_classes=set(_TEN))


def _idx(values: Pixels) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def idx(count: int) -> Case:
    """MNIST's files, compressed."""
    samples = _samples((("train", 4 * count), ("test", 2 * count)), "0123")
    found = {}
    for split, word in (("train", "train"), ("test", "t10k")):
        numbers = _numbers(samples, split)
        images = np.stack([gray(number, 28, 28) for number in numbers])
        found[f"{word}-images-idx3-ubyte.gz"] = gzip.compress(_idx(images), 1, mtime=0)
        labels = np.array([number % 4 for number in numbers], np.uint8)
        found[f"{word}-labels-idx1-ubyte.gz"] = gzip.compress(_idx(labels), 1, mtime=0)
    return Case("idx", samples, files=found)


def _matlab(content: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, content)
    return buffer.getvalue()


def svhn(count: int) -> Case:
    """House numbers, cut out."""
    samples = _samples((("train", 4 * count), ("test", 2 * count)), "0123456789")
    found = {}
    for split in ("train", "test"):
        numbers = _numbers(samples, split)
        images = np.stack([pixels(number, 32, 32) for number in numbers], axis=-1)
        labels = np.array([[number % 10 or 10] for number in numbers], np.uint8)
        found[f"{split}_32x32.mat"] = _matlab({"X": images, "y": labels})
    return Case("svhn", samples, files=found, optional_classes=set("0123456789"))


def flowers(count: int) -> Case:
    """The Oxford flowers."""
    names = files("convolve.datasets.layouts").joinpath("flowers102.txt").read_text("utf-8").splitlines()
    samples = _samples((("train", 3 * count), ("validation", count), ("test", 3)), names[:3])
    for sample in samples:
        sample.path = f"jpg/image_{sample.number + 1:05}.jpg"
    labels = np.array([[sample.number % 3 + 1 for sample in samples]])
    keys = {"train": "trnid", "validation": "valid", "test": "tstid"}
    sets: dict[str, object] = {
        key: np.array([[number + 1 for number in _numbers(samples, split)]]) for split, key in keys.items()
    }
    found = {"imagelabels.mat": _matlab({"labels": labels}), "setid.mat": _matlab(sets)}
    return Case("flowers", samples, files=found, optional_classes=set(names))


def _pages(arrays: Sequence[Pixels]) -> bytes:
    buffer = io.BytesIO()
    first, *rest = (Image.fromarray(array) for array in arrays)
    first.save(buffer, "TIFF", save_all=True, append_images=rest)
    return buffer.getvalue()


def stacks(count: int) -> Case:
    """Two TIFF files of pages."""
    numbers = _PAGES[: max(2, count)]
    assert len({shape(number) for number in numbers}) == 1
    masks = [class_mask(number, 2) * np.uint8(255) for number in numbers]
    found = {"train-volume.tif": _pages([pixels(number) for number in numbers]), "train-labels.tif": _pages(masks)}
    samples = [Sample(number) for number in numbers]
    return Case("stacks", samples, ("masks",), files=found, style=MaskStyle(2))


def numbered_stacks(count: int) -> Case:
    """Two TIFF files of pages for each of two scans."""
    found, masks = {}, MaskStyle(2)
    for scan, numbers in enumerate((_PAGES[:2], (*_PAGES[2:], _LAST_PAGE)), start=1):
        found[f"scan_{scan}_volume.tif"] = _pages([pixels(number) for number in numbers])
        found[f"scan_{scan}_labels.tif"] = _pages([class_mask(number, 2) * np.uint8(255) for number in numbers])
    samples = [Sample(number) for number in (*_PAGES, _LAST_PAGE)]
    return Case("numbered stacks", samples, ("masks",), files=found, style=masks)


ARRAYS: dict[str, Callable[[int], Case]] = {
    "cifar": cifar,
    "binary cifar": binary_cifar,
    "idx": idx,
    "svhn": svhn,
    "flowers": flowers,
    "stacks": stacks,
    "numbered stacks": numbered_stacks,
}
"""By name: from a number of images to a case."""
