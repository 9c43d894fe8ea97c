from __future__ import annotations

import io
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from convolve.datasets import duplicates
from convolve.datasets.images import ImageArray
from convolve.datasets.survey import survey
from convolve.values import Floats, Indices, Pixels

Change = Callable[[Image.Image], Image.Image]


def photograph(seed: int) -> Image.Image:
    """96x128, soft colors with finer detail over them, as unlike from seed to seed as photographs are."""
    random = np.random.default_rng(seed)
    layers = [random.normal(0, weight, (side, side, 3)) for side, weight in ((4, 50), (9, 30), (24, 12))]
    wide = sum(cv2.resize(layer, (128, 96), interpolation=cv2.INTER_CUBIC) for layer in layers)
    return Image.fromarray(np.clip(wide + 120, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


CHANGES: dict[str, Change] = {
    "encoded again": jpeg,
    "half the size": lambda image: image.resize((64, 48), Image.Resampling.BICUBIC),
    "twice the size": lambda image: image.resize((256, 192), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "cropped a little": lambda image: image.crop((2, 1, 126, 95)),
    "gray": lambda image: image.convert("L"),
}


def groups(pictures: list[Image.Image]) -> list[list[int]]:
    seen = [survey(ImageArray(as_array(picture)[None], ""), 0) for picture in pictures]
    measured = np.concatenate([one.measurements for one in seen])
    return [group.tolist() for group in duplicates.near_groups(measured["luma"], measured["chroma"])]


def as_array(picture: Image.Image) -> Pixels:
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def digits() -> tuple[Pixels, Pixels]:
    luma = np.stack([cv2.resize(image, (16, 16)) for image in load_digits().images.astype(np.uint8) * 15])
    return luma, np.full((len(luma), 4, 4, 2), 128, np.uint8)


def test_exact_groups_are_the_digests_that_several_rows_share() -> None:
    found = duplicates.exact_groups([b"a", b"b", b"a", b"c", b"b", b"a"])
    assert [group.tolist() for group in found] == [[0, 2, 5], [1, 4]]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change: str) -> None:
    pictures = [photograph(seed) for seed in range(40)]
    assert groups([*pictures, *(CHANGES[change](picture) for picture in pictures[:10])]) == [
        [row, 40 + row] for row in range(10)
    ]


def test_copies_of_copies_are_one_group() -> None:
    first = photograph(0)
    others = [photograph(seed) for seed in range(1, 20)]
    assert groups([first, *others, jpeg(first), ImageEnhance.Brightness(first).enhance(1.1)]) == [[0, 20, 21]]


def test_the_same_shape_in_another_color_is_another_picture() -> None:
    def disc(color: str) -> Image.Image:
        pixels = np.full((64, 64, 3), 255, np.uint8)
        fill = {"red": (230, 20, 20), "blue": (20, 20, 230)}[color]
        return Image.fromarray(cv2.circle(pixels, (32, 32), 20, fill, -1))

    assert groups([disc("red"), disc("blue")]) == []
    assert groups([disc("red"), jpeg(disc("red"))]) == [[0, 1]]


def test_blank_pictures_are_no_copies_of_each_other() -> None:
    tones = [Image.new("RGB", (40, 30), (tone, tone, tone)) for tone in range(0, 250, 5)]
    assert groups(tones) == []


@pytest.mark.parametrize("count", [0, 1, 2, 5, 6])
def test_few_pictures(count: int) -> None:
    luma = np.random.default_rng(0).integers(0, 255, (count, 16, 16)).astype(np.uint8)
    assert duplicates.near_groups(luma, np.full((count, 4, 4, 2), 128, np.uint8)) == []
    assert duplicates.blank(luma).tolist() == [False] * count


def test_handwritten_digits_of_different_people_are_not_copies() -> None:
    assert len(duplicates.near_groups(*digits())) <= 5


def test_noisy_copies_of_digits_are_found_among_all_others() -> None:
    luma, chroma = digits()
    noise = np.random.default_rng(0).integers(-4, 5, (50, 16, 16))
    copies = np.clip(luma[:50] + noise, 0, 255).astype(np.uint8)
    found = duplicates.near_groups(np.concatenate([luma, copies]), np.concatenate([chroma, chroma[:50]]))
    together = {(group[0], group[-1]) for group in (one.tolist() for one in found)}
    assert len(together & {(row, len(luma) + row) for row in range(50)}) >= 48


def test_the_search_finds_what_comparing_all_pairs_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    luma, chroma = digits()
    noise = np.random.default_rng(0).normal(0, 5, (200, 4, 4)).repeat(4, 1).repeat(4, 2)
    copies = np.clip(luma[:200] + noise, 0, 255).astype(np.uint8)
    luma, chroma = np.concatenate([luma[:600], copies]), chroma[:800]
    searched = duplicates._near_pairs(luma, chroma, np.arange(len(luma)), 1, None)
    assert 50 < len(searched) < 150

    class AllPairs:
        """Everything is as near as can be to everything."""

        def __init__(self, points: Floats, leafsize: int) -> None:
            self.count = len(points)

        def query(self, *_: object, **__: object) -> tuple[Floats, Indices]:
            shape = self.count, self.count
            return np.zeros(shape, np.float32), np.broadcast_to(np.arange(self.count), shape)

    monkeypatch.setattr("scipy.spatial.KDTree", AllPairs)
    assert searched.tolist() == duplicates._near_pairs(luma, chroma, np.arange(len(luma)), 1, None).tolist()


def test_thousands_alike_are_one_group_and_take_no_time() -> None:
    one = np.random.default_rng(0).integers(0, 255, (1, 16, 16)).astype(np.uint8)
    start = time.perf_counter()
    found = duplicates.near_groups(np.repeat(one, 20_000, 0), np.full((20_000, 4, 4, 2), 128, np.uint8))
    assert [len(group) for group in found] == [20_000]
    assert time.perf_counter() - start < 2
