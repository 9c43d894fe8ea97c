"""Masks on disk and how they follow what happens to their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from convolve.choices import Fit
from convolve.datasets import masks as masks_module
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageFiles
from convolve.datasets.masks import MaskArray, MaskFiles, Masks, colorize, count_pixels
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Pixels, Preprocessing
from tests.datasets.ground_truths import placement, values

COLORS = ((0, 0, 0), (200, 30, 40))
CLASSES = ("black", "white")


def cross(size: tuple[int, int], shift: int) -> Image.Image:
    """A white cross on black, on no axis of symmetry."""
    image = Image.new("L", size)
    pen = ImageDraw.Draw(image)
    pen.rectangle((40 + shift, 20, 55 + shift, 80), fill=255)
    pen.rectangle((20 + shift, 40, 100, 52), fill=255)
    return image


def pairs(folder: Path, count: int = 6) -> tuple[ImageFiles, Masks]:
    for number in range(count):
        image = cross((120 + 13 * number, 90 + 7 * number), 3 * number)
        image.save(folder / f"{number}.png")
        image.point(lambda value: value // 255).save(folder / f"{number}.mask.png")
    images = ImageFiles(folder, tuple(f"{number}.png" for number in range(count)))
    reader = MaskFiles(folder, tuple(f"{number}.mask.png" for number in range(count)), (0, 1))
    return images, Masks(reader, CLASSES, COLORS)


@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch"])
@pytest.mark.parametrize(
    "variation",
    [
        None,
        Augmentation(0.4, True, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        Augmentation(0.6, True, True, 40.0, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_masks_move_with_their_images(fit: Fit, variation: Augmentation | None, tmp_path: Path) -> None:
    images, masks = pairs(tmp_path)
    preprocessing = Preprocessing(64, 72, 1, fit, (0.0,), (1.0,))
    source = open_cache(images, preprocessing, tmp_path / "cache", 1 << 30, 0)
    options = BatchOptions(preprocessing, 6, 3, shuffle=True, augmentation=variation, workers=0)
    batches = Batches(source, masks, np.arange(6), options)
    for epoch in range(3):
        (batch,) = batches.epoch(epoch)
        white, marked = batch.images[..., 0] > 0.5, values(batch) == 1
        assert marked.any()
        if fit == "letterbox":
            white &= values(batch) != IGNORE
        assert edge(white) >= np.count_nonzero(white != marked)  # they differ on the outline at most


def edge(flags: npt.NDArray[np.bool_]) -> int:
    """How many pixels are on an outline."""
    across, down = flags[:, :, 1:] != flags[:, :, :-1], flags[:, 1:] != flags[:, :-1]
    return int(np.count_nonzero(across) + np.count_nonzero(down)) // 2


def test_what_files_store_is_given_its_class(tmp_path: Path) -> None:
    numbers = np.array([[0, 255, 7], [7, 7, 0]], dtype=np.uint8)
    Image.fromarray(numbers).save(tmp_path / "gray.png")
    indexed = Image.fromarray(numbers, "P")
    indexed.putpalette([value for number in range(256) for value in (number, 0, 255 - number)])
    indexed.save(tmp_path / "indexed.png")
    indexed.convert("RGB").save(tmp_path / "color.png")
    wanted = [[0, IGNORE, 1], [1, 1, 0]]
    for name in ("gray.png", "indexed.png"):
        masks = Masks(MaskFiles(tmp_path, (name,), (0, 7), ignored=(255,)), CLASSES, COLORS)
        assert masks.read(0).tolist() == wanted
        assert masks.pixel_counts().tolist() == [[2, 3]]
    colors = MaskFiles(tmp_path, ("color.png",), ((0, 0, 255), (7, 0, 248)), ignored=((255, 0, 0),))
    assert colors.read(0).tolist() == wanted
    assert colorize(COLORS, colors.read(0))[0].tolist() == [[0, 0, 0], [255, 255, 255], [200, 30, 40]]


def test_an_unknown_value_and_a_broken_file_are_one_sentence(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3]], dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image")
    masks = Masks(MaskFiles(tmp_path, ("a.png", "b.png", "c.png"), (0, 1)), CLASSES, COLORS)
    with pytest.raises(ImageError, match=r"a\.png holds the value 3, which names no class"):
        masks.read(0)
    with pytest.raises(ImageError, match=r"b\.png cannot be read as a mask"):
        masks.read(1)
    with pytest.raises(ImageError, match=r"c\.png cannot be opened"):
        masks.digest(2)
    assert list(masks.findings.failed) == [0, 1, 2]
    assert "b.png cannot be read as a mask" in masks.findings.failed[1]
    assert not masks.presence().any()


THREE = np.array([[[0, 0, 1], [2, 2, 2]], [[IGNORE, 1, 1], [1, 1, 1]], [[2, 0, 0], [0, 0, 0]]], dtype=np.uint8)
WIDE = Preprocessing(4, 6, 1, "stretch", (0.0,), (1.0,))


class Reader:
    """Masks in memory that count how often each is read; the last one is broken."""

    def __init__(self) -> None:
        self.inner, self.reads = MaskArray(np.concatenate([THREE, THREE[:1]])), [0, 0, 0, 0]

    def __len__(self) -> int:
        return 4

    def read(self, index: int) -> Pixels:
        self.reads[index] += 1
        if index == 3:
            raise ImageError("the last mask is broken")
        return self.inner.read(index)

    def digest(self, index: int) -> bytes:
        return self.inner.digest(index)


def three() -> tuple[Reader, Masks]:
    reader = Reader()
    return reader, Masks(reader, ("sky", "road", "car"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)))


def test_pixels_are_counted_once_and_views_share_the_counts() -> None:
    reader, masks = three()
    assert masks.pixel_counts().tolist() == [[2, 1, 3], [0, 5, 0], [5, 0, 1], [0, 0, 0]]
    assert masks.presence().tolist() == [[True] * 3, [False, True, False], [True, False, True], [False] * 3]
    findings = masks.findings
    assert findings.failed == {3: "the last mask is broken"}
    assert findings.counts["pixels"].tolist() == masks.pixel_counts().tolist()
    part = masks.take(np.array([2, -1, 3, 0])).with_classes(("car", "boat", "sky"))
    assert part.pixel_counts().tolist() == [[1, 0, 5], [0, 0, 0], [0, 0, 0], [3, 0, 2]]
    assert part.findings.failed == {2: "the last mask is broken"}
    assert part.findings.counts["pixels"].tolist() == part.pixel_counts().tolist()
    assert part.covers.tolist() == [True, False, True, True]
    assert reader.reads == [1, 1, 1, 1]
    whole = Masks(MaskArray(THREE), masks.classes, masks.colors)
    assert whole.take(np.array([0, -1])).pixel_counts().tolist() == [[2, 1, 3], [0, 0, 0]]


def test_classes_that_are_not_named_are_ignored() -> None:
    _, masks = three()
    part = masks.with_classes(("car", "boat", "sky"))
    assert part.read(0).tolist() == [[2, 2, IGNORE], [0, 0, 0]]
    assert part.colors == ((3, 3, 3), (0, 0, 0), (1, 1, 1))
    assert part.with_classes(("sky",)).read(0).tolist() == [[0, 0, IGNORE], [IGNORE] * 3]
    assert masks.with_classes(masks.classes) is masks
    found = part.targets(np.array([0, 1]), placement([(2, 3)] * 2, WIDE)).values
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], part.read(0).repeat(2, 0).repeat(2, 1))
    assert (found[1] == IGNORE).all()


def test_a_mask_smaller_than_its_image_covers_all_of_it() -> None:
    _, masks = three()
    small = masks.targets(np.array([0]), placement([(2, 3)], WIDE)).values
    np.testing.assert_array_equal(masks.targets(np.array([0]), placement([(20, 30)], WIDE)).values, small)


def test_the_digest_changes_with_the_meaning_of_what_is_stored(tmp_path: Path) -> None:
    Image.fromarray(THREE[2]).save(tmp_path / "a.png")
    stored = [((0, 1, 2), ()), ((1, 0, 2), ()), ((0, 1), (2,)), ((0, 1, 2), (3,))]
    masks = [
        Masks(MaskFiles(tmp_path, ("a.png",), *each), "abc"[: len(each[0])], COLORS[:1] * 3) for each in stored[:2]
    ]
    digests = [each.digest(0) for each in masks]
    digests += [masks[0].with_classes(names).digest(0) for names in ("bac", "ab", "ba", "acb")]
    digests += [MaskFiles(tmp_path, ("a.png",), *each).digest(0) for each in stored]
    assert len(set(digests)) == len(digests)
    assert masks[0].with_classes("abc").digest(0) == masks[0].digest(0)
    assert masks[0].take(np.array([-1])).digest(0) == b""


def test_an_image_without_a_mask_cannot_be_read() -> None:
    _, masks = three()
    part = masks.take(np.array([-1, 0]))
    for read in (part.read, lambda index: part.targets(np.array([index]), placement([(2, 3)], WIDE))):
        with pytest.raises(ImageError, match="Image 0 has no mask"):
            read(0)
    with pytest.raises(DataError, match="Masks of 3 classes have 2 colors"):
        Masks(MaskArray(THREE), ("a", "b", "c"), COLORS)


def test_decoded_masks_stay_in_memory_as_far_as_that_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, masks = three()
    for limit, reads in ((2**30, [1, 1, 1, 0]), (6, [5, 5, 5, 0])):
        monkeypatch.setattr(masks_module, "IN_MEMORY", limit)
        reader, masks = three()
        for _ in range(5):
            masks.targets(np.arange(3), placement([(2, 3)] * 3, WIDE))
        assert reader.reads == reads


def test_masks_are_drawn_over_their_images() -> None:
    _, masks = three()
    images = np.full((1, 2, 3, 1), 101, np.uint8)
    targets = masks.targets(np.array([1]), placement([(2, 3)], Preprocessing(2, 3, 1, "stretch", (0.0,), (1.0,))))
    assert masks.draw(images, targets)[0][0, 0].tolist() == [[101] * 3, [52] * 3, [52] * 3]


@pytest.mark.parametrize("classes", [1, 3, 256])
def test_counts_are_numpy_s(classes: int) -> None:
    mask = np.random.default_rng(0).integers(0, 256, (1100, 1000), dtype=np.uint8)
    assert count_pixels(mask, classes).tolist() == [int((mask == index).sum()) for index in range(classes)]
