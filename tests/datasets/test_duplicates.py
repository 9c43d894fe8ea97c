from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from convolve.datasets import duplicates
from convolve.datasets.images import ImageArray
from convolve.datasets.survey import MEASUREMENT, Measurements, survey
from convolve.values import Pixels

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
    return near_groups(np.concatenate([one.measurements for one in seen]))


def near_groups(thumbnails: Measurements, workers: int | None = None) -> list[list[int]]:
    found = duplicates.near_groups(thumbnails, np.arange(len(thumbnails)), workers=workers)
    return [group.tolist() for group in found]


def thumbnails(luma: Pixels) -> Measurements:
    """Gray ones."""
    found = np.zeros(len(luma), MEASUREMENT)
    found["luma"], found["chroma"] = luma, 128
    return found


def as_array(picture: Image.Image) -> Pixels:
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def digits() -> Pixels:
    return np.stack([cv2.resize(image, (16, 16)) for image in load_digits().images.astype(np.uint8) * 15])


def digits_with_copies(random: np.random.Generator) -> Pixels:
    """800 thumbnails: 600 digits, and coarsely altered copies of 200 of them, some nearer than a limit and some not."""
    luma = digits()
    noise = random.normal(0, 5, (200, 4, 4)).repeat(4, 1).repeat(4, 2)
    return np.concatenate([luma[:600], np.clip(luma[:200] + noise, 0, 255).astype(np.uint8)])


def test_exact_groups_are_the_digests_that_several_rows_share() -> None:
    digests = b"".join(letter * 16 for letter in (b"a", b"b", b"a", b"c", b"b", b"a"))
    found = duplicates.exact_groups(np.frombuffer(digests, np.uint8).reshape(-1, 16))
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
    assert near_groups(thumbnails(luma)) == []
    assert duplicates.blank(thumbnails(luma), np.arange(count)).tolist() == [False] * count


def test_handwritten_digits_of_different_people_are_not_copies() -> None:
    assert len(near_groups(thumbnails(digits()))) <= 5


def test_noisy_copies_of_digits_are_found_among_all_others() -> None:
    luma = digits()
    noise = np.random.default_rng(0).integers(-4, 5, (50, 16, 16))
    copies = np.clip(luma[:50] + noise, 0, 255).astype(np.uint8)
    found = near_groups(thumbnails(np.concatenate([luma, copies])))
    together = {(group[0], group[-1]) for group in found}
    assert len(together & {(row, len(luma) + row) for row in range(50)}) >= 48


def groups_by_comparing_all(pixels: Measurements) -> list[list[int]]:
    """The groups that comparing every pair finds, by the definition alone."""
    rows = np.arange(len(pixels))
    limits = duplicates._sketch(pixels, rows).limits
    first, second = (side.astype(np.int32) for side in np.triu_indices(len(pixels), 1))
    near = duplicates._are_near(pixels, rows, limits, np.stack([first, second]))
    parts = {row: {row} for row in range(len(pixels))}
    for one, other in zip(first[near].tolist(), second[near].tolist(), strict=True):
        if parts[one] is not parts[other]:
            parts[one] |= parts[other]
            parts |= dict.fromkeys(parts[other], parts[one])
    return sorted(sorted(part) for part in {id(part): part for part in parts.values()}.values() if len(part) > 1)


@pytest.mark.parametrize("seed", range(8))
def test_the_search_finds_the_groups_that_comparing_all_pairs_finds(seed: int) -> None:
    luma = thumbnails(digits_with_copies(np.random.default_rng(seed)))
    found = near_groups(luma)
    assert 50 < len(found) < 150
    assert found == groups_by_comparing_all(luma)


CLUSTERS = {
    "seed": st.integers(0, 2**32 - 1),
    "spread": st.floats(1, 80),
    "scale": st.floats(0.5, 12),
    "kinds": st.integers(1, 60),
}


def clusters(seed: int, spread: float, scale: float, kinds: int) -> Measurements:
    """Up to 400 distinct images, each one of ``kinds`` with noise."""
    random = np.random.default_rng(seed)
    coarse = random.normal(0, spread, (kinds, 4, 4)).repeat(4, 1).repeat(4, 2)[random.integers(0, kinds, 400)]
    noise = random.normal(0, scale, (400, 16, 16)) * random.uniform(0, 1, (400, 1, 1))
    pixels = thumbnails(np.clip(coarse + noise + 120, 0, 255).astype(np.uint8))
    pixels = pixels[~duplicates.blank(pixels, np.arange(400))]
    _, kept = np.unique(pixels["luma"], axis=0, return_index=True)
    return pixels[np.sort(kept)]


@settings(max_examples=30, deadline=None)
@given(**CLUSTERS)
@example(seed=110, spread=22.624848039803528, scale=0.5, kinds=1)
def test_groups_of_few_are_those_of_all_pairs_however_images_cluster(**options: Any) -> None:
    pixels = clusters(**options)
    assert near_groups(pixels) == (groups_by_comparing_all(pixels) if len(pixels) > 1 else [])


@settings(max_examples=30, deadline=None)
@given(**CLUSTERS)
@example(seed=110, spread=22.624848039803528, scale=0.5, kinds=1)
def test_groups_of_many_join_nothing_else_and_miss_few(**options: Any) -> None:
    pixels = clusters(**options)
    assume(len(pixels) > 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_FEW", 1)
        found = near_groups(pixels)
    true = groups_by_comparing_all(pixels)
    number = {row: index for index, group in enumerate(true) for row in group}
    assert all(len({number[row] for row in group}) == 1 for group in found)
    assert len(number) - sum(map(len, found)) <= 0.02 * len(pixels)


def test_exact_duplicates_of_near_ones_belong_to_their_group() -> None:
    first, second, other = (np.asarray(photograph(seed).convert("L").resize((16, 16))) for seed in range(3))
    almost = (second * 0.9 + 12).astype(np.uint8)
    tone = np.full((16, 16), 9, np.uint8)
    pixels = thumbnails(np.stack([tone, first, second, first, second, other, tone, almost, other, second]))
    exact = [np.array(group) for group in ([0, 6], [1, 3], [2, 4, 9], [5, 8])]
    rows = np.arange(len(pixels))
    assert [group.tolist() for group in duplicates.near_groups(pixels, rows, exact)] == [[2, 4, 7, 9]]
    some = np.array([1, 2, 4, 7])
    assert [group.tolist() for group in duplicates.near_groups(pixels, some, [np.array([2, 4])])] == [[2, 4, 7]]
    assert duplicates.near_groups(pixels, np.array([0, 6]), [np.array([0, 6])]) == []


def test_threads_find_the_same_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", 64)
    luma = thumbnails(digits_with_copies(np.random.default_rng(0)))
    assert near_groups(luma, workers=3) == near_groups(luma, workers=1)


def test_thousands_alike_are_one_group_and_take_no_time() -> None:
    one = np.random.default_rng(0).integers(0, 255, (1, 16, 16)).astype(np.uint8)
    start = time.perf_counter()
    assert [len(group) for group in near_groups(thumbnails(np.repeat(one, 20_000, 0)))] == [20_000]
    assert time.perf_counter() - start < 2


def test_thousands_nearly_alike_are_one_group_and_take_little_time() -> None:
    random = np.random.default_rng(0)
    luma = random.integers(20, 235, (1, 16, 16)) + random.integers(-1, 2, (20_000, 16, 16)) * (
        random.random((16, 16)) < 0.1
    )
    start = time.perf_counter()
    assert [len(group) for group in near_groups(thumbnails(luma.astype(np.uint8)))] == [20_000]
    assert time.perf_counter() - start < 30
