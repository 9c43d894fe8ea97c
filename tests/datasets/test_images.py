"""Collections of images keep names, pixels and digests through taking and joining."""

from __future__ import annotations

import hashlib
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages, TakenImages
from convolve.errors import ImageError
from convolve.values import Images


def array(count: int, label: str = "digits") -> ImageArray:
    pixels = np.arange(count * 2 * 3).reshape(count, 2, 3, 1).astype(np.uint8)
    return ImageArray(pixels, label)


def files(root: Path, count: int = 3) -> ImageFiles:
    for number in range(count):
        Image.new("L", (4, 5), number).save(root / f"{number}.png")
    return ImageFiles(root, tuple(f"{number}.png" for number in range(count)))


def test_array() -> None:
    images = array(4)
    assert (len(images), images.name(2)) == (4, "digits#2")
    np.testing.assert_array_equal(images.read(2), images.array[2])
    assert images.digest(1) == ImageArray(images.array[1:], "other").digest(0)
    assert len({images.digest(index) for index in range(4)}) == 4
    assert images.digest(0) != ImageArray(images.array.reshape(4, 3, 2, 1), "turned").digest(0)


def test_files(tmp_path: Path) -> None:
    images = files(tmp_path)
    assert (len(images), images.name(1)) == (3, "1.png")
    assert images.read(2).tolist() == np.full((5, 4, 1), 2).tolist()
    assert images.digest(1) == hashlib.blake2b((tmp_path / "1.png").read_bytes(), digest_size=16).digest()


def test_missing_file_is_named(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path, ("gone.png",))
    for use in (images.read, images.digest):
        with pytest.raises(ImageError, match=r"gone\.png cannot be opened \(No such file"):
            use(0)


def test_taking_and_joining(tmp_path: Path) -> None:
    joined = JoinedImages((array(2, "a"), files(tmp_path), array(0, "none"), array(2, "b")))
    assert [joined.name(index) for index in range(len(joined))] == [
        "a#0",
        "a#1",
        "0.png",
        "1.png",
        "2.png",
        "b#0",
        "b#1",
    ]
    taken: Images = joined.take(np.array([6, 0, 3])).take(np.array([2, 0]))
    assert [taken.name(index) for index in range(len(taken))] == ["1.png", "b#1"]
    np.testing.assert_array_equal(taken.read(1), joined.read(6))
    assert taken.digest(0) == joined.parts[1].digest(1)
    assert isinstance(array(3).take(np.array([1])), TakenImages)
    assert files(tmp_path).take(np.array([2, 0])).names == ("2.png", "0.png")
    for index in (7, -1):
        with pytest.raises(IndexError):
            joined.name(index)


def test_digests_of_seventy_thousand_take_a_moment() -> None:
    images = JoinedImages((ImageArray(np.zeros((70_000, 28, 28, 1), np.uint8), "zeros"),))
    start = perf_counter()
    assert len({images.digest(index) for index in range(len(images))}) == 1
    assert perf_counter() - start < 3


def test_the_size_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    picture = Image.new("RGB", (30, 20))
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(tmp_path / "plain.jpg")
    picture.save(tmp_path / "turned.jpg", exif=turned)
    pictures = ImageFiles(tmp_path, ("plain.jpg", "turned.jpg"))
    assert [pictures.size(index) for index in range(2)] == [(20, 30), (30, 20)]
    assert [pictures.size(index) for index in range(2)] == [pictures.read(index).shape[:2] for index in range(2)]
