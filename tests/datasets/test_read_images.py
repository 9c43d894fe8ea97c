"""Each file is read once and decoded at most once, for the survey and the cache together."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.cache import SAMPLE, open_cache, read_images
from convolve.datasets.duplicates import near_groups
from convolve.datasets.images import EncodedFile, ImageArray, ImageFiles, read_digests
from convolve.datasets.pixel_sources import PixelSource
from convolve.datasets.preprocess import least_side, resize_for_cache
from convolve.datasets.survey import ImageFacts, Survey, survey
from convolve.errors import DataError, ImageError
from convolve.values import EncodedImage, Images, Indices, Pixels, Preprocessing
from tests.datasets.synthetic import CountedImages, preprocessing, random_image

COUNT = 90  # more than the sample


def choose(facts: ImageFacts) -> Preprocessing:
    """A large input for photographs and a small one for others, as the recipe's defaults have it."""
    large = facts.channels == 3 and facts.shorter_side >= 96
    return preprocessing(64 if large else 24, 64 if large else 24, facts.channels)


def square(side: int, facts: ImageFacts) -> Preprocessing:
    return preprocessing(side, side, facts.channels)


def jpegs(root: Path, count: int = COUNT, channels: int = 3, mode: str = "") -> ImageFiles:
    """Photographs of different sizes, which decoders reduce."""
    root.mkdir(parents=True, exist_ok=True)
    names = tuple(f"{number:03}.jpg" for number in range(count))
    for number, name in enumerate(names):
        pixels = random_image(300 + number, 420 - number, channels, number)
        image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
        image.convert(mode or image.mode).save(root / name, quality=90)
    return ImageFiles(root, names)


def read(images: Images, folder: Path, budget: int = 10**9) -> tuple[Survey, PixelSource]:
    return read_images(images, choose, budget, 2, folder)


def each_once(count: int = COUNT) -> Counter[int]:
    return Counter(range(count))


def assert_same_pixels(source: PixelSource, images: Images, goal: Preprocessing) -> None:
    for index in range(len(images)):
        expected = resize_for_cache(images.read(index, least_side(goal)), goal)
        np.testing.assert_array_equal(source.get(index), expected)


def test_files_are_read_and_decoded_once_and_later_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = jpegs(tmp_path / "images")
    shutil.copy(tmp_path / "images" / "003.jpg", tmp_path / "images" / "070.jpg")
    reads, decodes = Counter[str](), Counter[str]()
    open_image, decode = ImageFiles.open, EncodedFile.decode

    def counted_open(files: ImageFiles, index: int) -> EncodedFile:
        reads[files.names[index]] += 1
        return open_image(files, index)

    def counted_decode(file: EncodedFile, at_least: int = 0) -> Pixels:
        decodes[file.name] += 1
        return decode(file, at_least)

    monkeypatch.setattr(ImageFiles, "open", counted_open)
    monkeypatch.setattr(EncodedFile, "decode", counted_decode)
    cold, built = read(images, tmp_path / "caches")
    assert reads == decodes == Counter(images.names)
    reads.clear()
    decodes.clear()
    warm, found = read(images, tmp_path / "caches")
    assert reads == Counter(images.names)
    assert not decodes
    assert "decoded once" in built.description
    assert "earlier run" in found.description
    assert tuple(cold.digests) == tuple(warm.digests)
    np.testing.assert_array_equal(cold.usable, warm.usable)
    np.testing.assert_array_equal(cold.measurements, warm.measurements)


def test_cached_pixels_are_those_of_a_reduced_decoding(tmp_path: Path) -> None:
    images = jpegs(tmp_path / "images")
    assert images.read(0, least_side(preprocessing(64, 64))).shape[0] == 75  # reduced
    for _ in ("cold", "warm"):
        assert_same_pixels(read(images, tmp_path / "caches")[1], images, preprocessing(64, 64))


@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch", "tiles"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_pixels_for_every_fit(tmp_path: Path, fit: str, channels: int) -> None:
    images, goal = jpegs(tmp_path / "images", 5), preprocessing(40, 64, channels, fit)
    for _ in ("cold", "warm"):
        _, source = read_images(images, lambda _: goal, 10**9, 2, tmp_path / "caches")
        assert_same_pixels(source, images, goal)


def test_the_survey_is_nearly_that_of_a_survey_alone(tmp_path: Path) -> None:
    images = jpegs(tmp_path / "images")
    found, _ = read(images, tmp_path / "caches")
    alone = survey(images, 2)
    assert tuple(found.digests) == tuple(alone.digests)
    np.testing.assert_array_equal(found.usable, alone.usable)
    one, other = found.measurements, alone.measurements
    np.testing.assert_array_equal(one["size"], other["size"])
    np.testing.assert_array_equal(one["color"], other["color"])
    np.testing.assert_allclose(one["mean"], other["mean"], atol=1 / 255)
    np.testing.assert_allclose(one["square"], other["square"], atol=0.02)
    assert np.abs(one["luma"].astype(int) - other["luma"]).mean() < 2
    assert found.facts == ImageFacts(COUNT, 3, 337, 382)


def test_near_duplicates_are_found_whatever_the_scale_of_decoding(tmp_path: Path) -> None:
    files = jpegs(tmp_path)
    for number, size in enumerate([(210, 150), (419, 300), (1000, 700)]):
        with Image.open(tmp_path / files.names[number]) as image:
            image.resize(size).save(tmp_path / f"copy{number}.{'png' if number == 1 else 'jpg'}", quality=60)
    images = ImageFiles(tmp_path, (*files.names, "copy0.jpg", "copy1.png", "copy2.jpg"))
    for side in (32, 64, 224):
        found, _ = read_images(images, partial(square, side), 10**9, 2, tmp_path / "caches")
        groups = [group.tolist() for group in near_groups(found.thumbnails, found.usable)]
        assert groups == [[0, 90], [1, 91], [2, 92]]


def test_gray_files_are_decoded_once(tmp_path: Path) -> None:
    images = CountedImages(jpegs(tmp_path / "images", channels=1))
    _, source = read(images, tmp_path / "caches")
    assert images.opened == images.decoded == each_once()
    assert_same_pixels(source, images, preprocessing(24, 24, 1))


def test_gray_images_in_color_files_cost_the_sample_twice(tmp_path: Path) -> None:
    images = CountedImages(jpegs(tmp_path / "images", channels=1, mode="RGB"))
    _, source = read(images, tmp_path / "caches")
    assert images.opened == each_once()
    assert sum(images.decoded.values()) == COUNT + SAMPLE
    assert_same_pixels(source, images, preprocessing(24, 24, 1))
    images.decoded.clear()
    read(images, tmp_path / "caches")
    assert not images.decoded


def test_what_the_sample_has_missed_is_decoded_again_but_in_one_run_only(tmp_path: Path) -> None:
    files = jpegs(tmp_path / "images", channels=1)
    images = CountedImages(files)
    first, _ = read(images, tmp_path / "elsewhere")
    sampled = set(np.linspace(0, COUNT - 1, SAMPLE).astype(int).tolist())
    missed = next(index for index in range(COUNT) if index not in sampled)
    Image.fromarray(random_image(300, 400)).save(tmp_path / "images" / files.names[missed])
    images.opened.clear()
    images.decoded.clear()
    found, source = read(images, tmp_path / "caches")
    assert first.facts.channels == 1
    assert found.facts.channels == 3
    assert images.opened == images.decoded == Counter(dict.fromkeys(range(COUNT), 2))
    assert_same_pixels(source, images, preprocessing(64, 64, 3))
    images.opened.clear()
    images.decoded.clear()
    again, source = read(images, tmp_path / "caches")
    assert images.opened == each_once()
    assert not images.decoded
    np.testing.assert_array_equal(again.measurements["luma"], found.measurements["luma"])
    assert_same_pixels(source, images, preprocessing(64, 64, 3))


def test_only_what_is_new_is_decoded(tmp_path: Path) -> None:
    read(jpegs(tmp_path / "images"), tmp_path / "caches")
    picture_9 = Image.fromarray(random_image(311, 222, seed=1000))
    picture_9.save(tmp_path / "images" / "009.jpg")
    images = jpegs(tmp_path / "more", 3)
    names = tuple(f"images/{number:03}.jpg" for number in range(COUNT)[::-1] if number != 50)
    files = ImageFiles(tmp_path, (*names, *(f"more/{name}" for name in images.names)))
    counted = CountedImages(files)
    found, source = read(counted, tmp_path / "caches")
    assert counted.opened == each_once(COUNT + 2)
    assert counted.decoded == Counter([names.index("images/009.jpg")])  # `more` has copies of the first three
    assert tuple(found.digests) == read_digests(files)
    np.testing.assert_array_equal(found.measurements["size"], [files.size(index) for index in range(len(files))])
    assert_same_pixels(source, files, preprocessing(64, 64))


@pytest.mark.parametrize("count", [19, 21])
def test_what_precedes_a_change_is_taken_over(tmp_path: Path, count: int) -> None:
    files = jpegs(tmp_path / "images", 21)
    (tmp_path / "images" / "003.jpg").write_bytes(b"no image")
    read(ImageFiles(files.root, files.names[:20]), tmp_path / "caches")
    images = CountedImages(ImageFiles(files.root, files.names[:count]))
    _, source = read(images, tmp_path / "caches")
    assert images.opened == each_once(count)
    assert images.decoded == Counter([3, 20] if count == 21 else [3])
    assert "decoded once" in source.description
    for opened in (source, read(images, tmp_path / "caches")[1]):
        assert len(opened) == count
        assert opened.failed.keys() == {3}
        for index in set(range(count)) - {3}:
            expected = resize_for_cache(files.read(index, least_side(preprocessing(64, 64))), preprocessing(64, 64))
            np.testing.assert_array_equal(opened.get(index), expected)
    assert "earlier run" in opened.description


@dataclass(frozen=True)
class Unreliable(Images):
    """Files of which some raise what a file system does."""

    files: ImageFiles
    unreliable: frozenset[int]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return self.files.name(index)

    def open(self, index: int) -> EncodedImage:
        if index in self.unreliable:
            raise TimeoutError(f"{self.name(index)}: no answer")
        return self.files.open(index)

    def take(self, indices: Indices) -> Images:
        return self.files.take(indices)


def test_an_image_whose_disk_gives_up_has_failed_and_the_cache_goes_on(tmp_path: Path) -> None:
    sampled = set(np.linspace(0, COUNT - 1, SAMPLE).astype(int).tolist())
    missed = next(index for index in range(COUNT) if index not in sampled)
    found, source = read(Unreliable(jpegs(tmp_path / "images"), frozenset([0, missed])), tmp_path / "caches")
    assert found.failed == source.failed == {0: "000.jpg: no answer", missed: f"{missed:03}.jpg: no answer"}
    assert "decoded once" in source.description


def test_unreadable_images_are_told_once(tmp_path: Path) -> None:
    files = jpegs(tmp_path / "images")
    (tmp_path / "images" / "000.jpg").write_bytes(b"no image")  # in the sample, as the first one always is
    (tmp_path / "images" / "089.jpg").unlink()
    (tmp_path / "images" / "042.jpg").write_bytes((tmp_path / "images" / "042.jpg").read_bytes()[:300])
    images = CountedImages(files)
    for decoded in (each_once(COUNT - 1), Counter({0: 1, 42: 1})):  # what could not be decoded is tried again
        images.opened.clear()
        images.decoded.clear()
        found, source = read(images, tmp_path / "caches")
        assert images.opened == each_once()
        assert images.decoded == decoded
        assert found.failed.keys() == source.failed.keys() == {0, 42, 89}
        assert "000.jpg is not an image" in found.failed[0]
        assert "042.jpg is" in found.failed[42]
        assert "089.jpg cannot be opened" in found.failed[89]
        with pytest.raises(ImageError, match=r"042\.jpg"):
            source.get(42)
        np.testing.assert_array_equal(
            source.get(41), resize_for_cache(files.read(41, least_side(preprocessing(64, 64))), preprocessing(64, 64))
        )
    assert "earlier run" in source.description


def test_what_has_been_repaired_is_decoded(tmp_path: Path) -> None:
    files = jpegs(tmp_path / "images", 20)
    good = (tmp_path / "images" / "007.jpg").read_bytes()
    (tmp_path / "images" / "007.jpg").write_bytes(good[:300])
    assert set(read(files, tmp_path / "caches")[1].failed) == {7}
    (tmp_path / "images" / "007.jpg").write_bytes(good)
    images = CountedImages(files)
    _, source = read(images, tmp_path / "caches")
    assert images.decoded == Counter([7])
    assert not source.failed
    assert_same_pixels(source, files, preprocessing(64, 64))


def test_what_a_better_decoder_can_read_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, decode = jpegs(tmp_path / "images", 20), EncodedFile.decode

    def old_decode(file: EncodedFile, at_least: int = 0) -> Pixels:
        if file.name == "007.jpg":
            raise ImageError("007.jpg is in a format of the future")
        return decode(file, at_least)

    with monkeypatch.context() as patch:
        patch.setattr(EncodedFile, "decode", old_decode)
        assert set(read(files, tmp_path / "caches")[1].failed) == {7}
    _, source = read(files, tmp_path / "caches")
    assert "decoded once" in source.description
    assert_same_pixels(source, files, preprocessing(64, 64))


@pytest.mark.parametrize("length", [20, 1000])
@pytest.mark.parametrize("broken", [range(10), range(COUNT)])
def test_too_many_unreadable_images_are_refused(tmp_path: Path, broken: range, length: int) -> None:
    files = jpegs(tmp_path / "images")
    for index in broken:
        path = tmp_path / "images" / files.names[index]
        path.write_bytes(path.read_bytes()[:length])
    for _ in range(2):
        with pytest.raises(DataError, match=rf"{len(broken)} of 90 images cannot be read, more than 10%.*000\.jpg is "):
            read(files, tmp_path / "caches")


def test_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There are no images"):
        read(ImageFiles(tmp_path, ()), tmp_path / "caches")


def test_what_takes_too_much_is_surveyed_once_and_streamed(tmp_path: Path) -> None:
    images = CountedImages(jpegs(tmp_path / "images"))
    (tmp_path / "images" / "042.jpg").write_bytes(b"no image")
    found, source = read(images, tmp_path / "caches", budget=10_000)
    assert images.opened == images.decoded == each_once()
    assert "allowed; training waits" in source.description
    assert not (tmp_path / "caches").exists()
    assert source.failed.keys() == found.failed.keys() == {42}
    assert source.size(3) == source.get(3).shape[:2]
    assert images.opened == each_once() + Counter([3])  # not to learn the size, which is known
    with pytest.raises(ImageError, match=r"042\.jpg"):
        source.size(42)


def test_a_disk_that_fills_up_on_the_way_ends_the_cache_and_not_the_survey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=0, free=1_000_000))
    images = CountedImages(jpegs(tmp_path / "images"))
    found, source = read(images, tmp_path / "caches")
    assert images.opened == images.decoded == each_once()
    assert "cannot be written (the 1 MB that it may take are full)" in source.description
    assert len(found.usable) == COUNT
    assert not list((tmp_path / "caches").iterdir())


def test_images_in_memory_stay_there(tmp_path: Path) -> None:
    array = np.stack([random_image(24, 24, 1, seed) for seed in range(70)])
    found, source = read(ImageArray(array, "digits"), tmp_path / "caches")
    assert source.whole is array
    assert found.facts == ImageFacts(70, 1, 24, 24)
    assert not (tmp_path / "caches").exists()


def test_with_known_digests_cached_files_are_not_read(tmp_path: Path) -> None:
    files, goal = jpegs(tmp_path / "images"), preprocessing(64, 64)
    digests = read_digests(files, 2)
    (tmp_path / "images" / "042.jpg").unlink()
    images = CountedImages(files)
    open_cache(images, goal, tmp_path / "caches", 10**9, 2, digests)
    assert images.decoded == each_once() - Counter([42])
    images.opened.clear()
    images.decoded.clear()
    source = open_cache(images, goal, tmp_path / "caches", 10**9, 2, read_digests(files))
    assert images.opened == Counter([42])
    assert not images.decoded
    assert set(source.failed) == {42}
    assert "earlier run" in source.description
    Image.fromarray(random_image(300, 400)).save(tmp_path / "images" / "042.jpg")
    source = open_cache(images, goal, tmp_path / "caches", 10**9, 2, read_digests(files))
    assert images.decoded == Counter([42])
    assert_same_pixels(source, files, goal)


def test_a_changed_file_is_noticed_though_size_and_time_are_the_same(tmp_path: Path) -> None:
    names = ("a.bmp", "b.bmp")
    for name, seed in zip(names, (1, 2), strict=True):
        Image.fromarray(random_image(40, 50, seed=seed)).save(tmp_path / name)
    files, changed = ImageFiles(tmp_path, names), tmp_path / "b.bmp"
    read(files, tmp_path / "caches")
    before = changed.stat()
    Image.fromarray(random_image(40, 50, seed=3)).save(changed)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed.stat().st_size == before.st_size
    _, source = read(files, tmp_path / "caches")
    assert "decoded once" in source.description
    assert_same_pixels(source, files, preprocessing(24, 24))


def test_a_bitmap_of_black_and_white_with_8_bits_a_pixel_is_not_black(tmp_path: Path) -> None:
    image = Image.fromarray(np.eye(9, dtype=np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "a.bmp")
    assert np.array_equal(ImageFiles(tmp_path, ("a.bmp",)).read(0)[..., 0], 255 * np.eye(9))
