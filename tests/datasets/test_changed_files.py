"""Files that are replaced or removed while a training reads them: one sentence, and never a batch without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import read_images
from convolve.datasets.images import EncodedFile, ImageFiles
from convolve.datasets.labels import Labels
from convolve.datasets.masks import MaskFiles, Masks
from convolve.datasets.tiles import tiles
from convolve.errors import ChangedImageError
from convolve.setup import prepare
from convolve.values import Placement, Preprocessing
from tests.datasets.synthetic import preprocessing, random_image

GOAL = preprocessing(32, 32)
COUNT = 8


def photographs(root: Path) -> ImageFiles:
    root.mkdir()
    for number in range(COUNT):
        Image.fromarray(random_image(200, 300, seed=number)).save(root / f"{number}.jpg")
    return ImageFiles(root, tuple(f"{number}.jpg" for number in range(COUNT)))


def streamed(images: ImageFiles, goal: Preprocessing = GOAL) -> Batches:
    """Batches of images that no cache may hold."""
    _, source = read_images(images, lambda _: goal, 100, 1)
    assert "decoded anew at each use" in source.description
    options = BatchOptions(goal, 3, seed=1, shuffle=True, augmentation=Augmentation(0.5, True), workers=1)
    return Batches(source, Labels(np.zeros(COUNT, np.int64), ("a",)), np.arange(COUNT), options)


@pytest.mark.parametrize("size", [(210, 300), (300, 200), (400, 600), (100, 150)])
def test_an_image_of_another_size_is_no_longer_that_image(size: tuple[int, int], tmp_path: Path) -> None:
    images = photographs(tmp_path / "images")
    batches = streamed(images)
    assert sum(len(batch.images) for batch in batches.epoch(0)) == COUNT
    Image.fromarray(random_image(*size, seed=1)).save(tmp_path / "images" / "5.jpg")
    now = f"{size[1]}x{size[0]}"
    with pytest.raises(ChangedImageError, match=rf"^5\.jpg was changed while it was read .*300x200 .* {now} now"):
        list(batches.epoch(1))


def test_an_image_that_cannot_be_read_any_more_ends_it(tmp_path: Path) -> None:
    images = photographs(tmp_path / "images")
    batches = streamed(images)
    path = tmp_path / "images" / "5.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:400])
    with pytest.raises(ChangedImageError, match=r"5\.jpg is damaged or cut short"):
        list(batches.epoch(1))
    path.unlink()
    with pytest.raises(ChangedImageError, match=r"5\.jpg cannot be opened \(No such file"):
        list(batches.epoch(1))
    path.write_bytes(content)
    assert sum(len(batch.images) for batch in batches.epoch(1)) == COUNT


def test_tiles_of_another_size_are_none(tmp_path: Path) -> None:
    images = photographs(tmp_path / "images")
    goal = preprocessing(64, 64, fit="tiles")
    _, source = read_images(images, lambda _: goal, 100, 1)
    names = tuple(f"{number}.png" for number in range(COUNT))
    for name in names:
        Image.new("L", (300, 200), 1).save(tmp_path / "images" / name)
    masks = Masks(MaskFiles(tmp_path / "images", names, (0, 1)), ("a", "b"), ((0, 0, 0), (255, 0, 0)))
    found = tiles(images, masks, source, goal, 0)
    assert found.source.get(0).shape == (64, 64, 3)
    Image.fromarray(random_image(600, 300)).save(tmp_path / "images" / "0.jpg")
    with pytest.raises(ChangedImageError, match=r"0\.jpg was changed while it was read"):
        found.source.get(0)


def test_a_mask_of_another_size_is_no_longer_that_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convolve.datasets.masks.IN_MEMORY", 1)
    names = ("0.png", "1.png")
    for name in names:
        Image.new("L", (30, 20), 1).save(tmp_path / name)
    masks = Masks(MaskFiles(tmp_path, names, (0, 1)), ("a", "b"), ((0, 0, 0), (255, 0, 0)))
    assert masks.presence().tolist() == [[False, True]] * 2
    where = Placement(np.eye(2, 3)[None].repeat(2, 0), np.array([[20, 30]] * 2), preprocessing(20, 30))
    masks.targets(np.array([0, 1]), where)
    Image.new("L", (20, 30), 1).save(tmp_path / "0.png")
    with pytest.raises(ChangedImageError, match=r"^0\.png was changed while it was read \(it had 30x20 pixels"):
        masks.targets(np.array([0, 1]), where)


def test_a_training_without_a_cache_ends_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, times = EncodedFile.decode, {"left": 3 * 24}

    def replace(file: EncodedFile, at_least: int = 0) -> object:
        times["left"] -= 1
        if times["left"] == 0:
            for name in "ab":
                Image.fromarray(random_image(80, 90)).save(tmp_path / f"{name}.jpg")
                (tmp_path / f"{name}.jpg").replace(tmp_path / "data" / name / "3.jpg")  # other threads read meanwhile
        return decode(file, at_least)

    for name in "ab":
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            image = Image.fromarray(random_image(64, 64, seed=number + 100 * (name == "b")))
            image.save(tmp_path / "data" / name / f"{number}.jpg")
    monkeypatch.setattr(prepare, "CACHE_BYTES", 100)
    monkeypatch.setattr(EncodedFile, "decode", replace)
    with pytest.raises(ChangedImageError, match=r"3\.jpg was changed while it was read"):
        convolve.train(
            str(tmp_path / "data"), network="lenet5_keras", size=16, epochs=9, batch=8, threads=1, progress=False,
            out=tmp_path / "run",
        )  # fmt: skip
