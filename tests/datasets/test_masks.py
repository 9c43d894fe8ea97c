"""Masks on disk and how they follow what happens to their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageFiles
from convolve.datasets.masks import MaskFiles, MaskTruth, class_flags, shown_in
from convolve.datasets.augmentation import Augmentation
from convolve.errors import ImageError
from convolve.values import IGNORE, Preprocessing
from convolve.words import Fit

COLORS = ((0, 0, 0), (200, 30, 40))


def drawn(size: tuple[int, int], shift: int) -> Image.Image:
    """A white cross on black, on no axis of symmetry."""
    picture = Image.new("L", size)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((40 + shift, 20, 55 + shift, 80), fill=255)
    pen.rectangle((20 + shift, 40, 100, 52), fill=255)
    return picture


def pairs(folder: Path, count: int = 6) -> tuple[ImageFiles, MaskFiles]:
    for number in range(count):
        picture = drawn((120 + 13 * number, 90 + 7 * number), 3 * number)
        picture.save(folder / f"{number}.png")
        picture.point(lambda value: value // 255).save(folder / f"{number}.mask.png")
    images = ImageFiles(folder, tuple(f"{number}.png" for number in range(count)))
    return images, MaskFiles(folder, tuple(f"{number}.mask.png" for number in range(count)), (0, 1), COLORS)


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
    batches = Batches(source, MaskTruth(masks, source, preprocessing), np.arange(6), options)
    for epoch in range(3):
        (batch,) = batches.epoch(epoch)
        white, marked = batch.images[..., 0] > 0.5, batch.targets == 1
        assert marked.any()
        if fit == "letterbox":
            white &= batch.targets != IGNORE
        assert edge(white) >= np.count_nonzero(white != marked)  # they differ on the outline at most


def edge(flags: npt.NDArray[np.bool_]) -> int:
    """How many pixels stand on an outline."""
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
        masks = MaskFiles(tmp_path, (name,), (0, 7), COLORS, ignored=(255,))
        assert masks.read(0).tolist() == wanted
        assert class_flags(masks).tolist() == [[1, 1]]
    colors = MaskFiles(tmp_path, ("color.png",), ((0, 0, 255), (7, 0, 248)), COLORS, ignored=((255, 0, 0),))
    assert colors.read(0).tolist() == wanted
    assert shown_in(COLORS, colors.read(0))[0].tolist() == [[0, 0, 0], [255, 255, 255], [200, 30, 40]]


def test_a_strange_value_and_a_broken_file_are_one_sentence(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3]], dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    masks = MaskFiles(tmp_path, ("a.png", "b.png", "c.png"), (0, 1), COLORS)
    with pytest.raises(ImageError, match=r"a\.png holds the value 3, which names no class"):
        masks.read(0)
    with pytest.raises(ImageError, match=r"b\.png cannot be read as a mask"):
        masks.read(1)
    with pytest.raises(ImageError, match=r"c\.png cannot be opened"):
        masks.digest(2)
