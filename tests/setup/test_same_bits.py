"""A training learns from the same bits wherever its pixels come from: decoded now, or out of any cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from convolve.choices import Fit
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.cache_files import CachedImages
from convolve.datasets.pixel_sources import StreamedImages
from convolve.datasets.tiles import Tiles
from convolve.setup import prepare as module
from convolve.setup.prepare import Prepared, prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.targets import ArrayTargets
from convolve.training.recipe import Recipe
from convolve.values import Pixels
from tests.datasets.synthetic import random_image

FULL = Augmentation(0.5, True, True, 20.0, 0.1, 0.1, 0.05, 0.2, 0.2, 0.2, 0.1)
FLIPS = Augmentation(crop=0.6, flip=True)
COUNT, MANY = 16, 80
"""Images; many are more than the sample from which the preprocessing is guessed."""


def save(path: Path, pixels: Pixels, orientation: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    image.save(path, exif=exif) if orientation else image.save(path)


def write(root: Path, data: str) -> None:
    """Images in two folders, or with masks, of which no two are alike."""
    for number in range(MANY if "many" in data else COUNT):
        channels = 1 if "gray" in data else 3
        height, width = {
            "photographs": (160 + number, 240 - number), "small": (28, 28), "mixed": (20 + number, 40 - number),
        }[data.rsplit(maxsplit=1)[-1]]  # fmt: skip
        pixels = random_image(height, width, channels, number)
        pixels = (pixels.astype(int) // 2 + np.random.default_rng(number).integers(0, 128, pixels.shape)).astype(
            np.uint8
        )
        suffix = "jpg" if "photographs" in data else "png"
        if "masked" in data:
            save(root / "images" / f"{number}.{suffix}", pixels, 6 if number % 3 == 0 else 0)
            upright = pixels if number % 3 else np.rot90(pixels, -1)
            save(root / "masks" / f"{number}.png", (upright[..., :1] > 127).astype(np.uint8))
        else:
            save(root / "ab"[number % 2] / f"{number}.{suffix}", pixels, number % 9 if "turned" in data else 0)


def prepared(root: Path, size: int, augmentation: Augmentation, fit: Fit | None) -> Prepared:
    network = "fcn1s_resnet20_cifar" if (root / "masks").is_dir() else "lenet5_keras"
    recipe = Recipe(str(root), network=network, size=size, batch=5, fit=fit, seed=3, augmentation=augmentation)
    return prepare(recipe, RuntimeOptions("cpu", "fp32", 1)).prepared


def learned_from(found: Prepared) -> str:
    """A digest of all that a training's numbers depend on: normalization, splits, and two epochs of batches."""
    digest = hashlib.sha256(repr((found.preprocessing, found.recipe.augmentation)).encode())
    for part in (found.splits.train, found.splits.validation, found.splits.test):
        digest.update(part.tobytes())
    for epoch in range(2):
        for batch in found.batches.epoch(epoch):
            assert isinstance(batch.targets, ArrayTargets)
            for array in (batch.images, batch.targets.values, batch.indices):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def source_of(found: Prepared) -> object:
    source = found.examples.source
    return source.images if isinstance(source, Tiles) else source


@pytest.mark.parametrize(
    ("data", "size", "fit", "augmentation"),
    [
        ("turned photographs", 64, None, FULL),
        ("many photographs", 32, None, FLIPS),
        ("gray photographs", 32, "letterbox", FULL),
        ("photographs", 48, "stretch", FULL),
        ("gray small", 32, None, FULL),
        ("small", 24, None, FLIPS),
        ("mixed", 32, "stretch", FULL),
        ("masked photographs", 64, None, FULL),
        ("masked photographs", 64, "tiles", FULL),
        ("masked small", 32, None, FULL),
    ],
)
def test_the_same_bits_with_every_cache_and_without(
    data: str, size: int, fit: Fit | None, augmentation: Augmentation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, caches = tmp_path / "data", tmp_path / "caches"
    write(root, data)

    def look(folder: Path, kind: type) -> str:
        monkeypatch.setenv("CONVOLVE_CACHE", str(folder))
        found = prepared(root, size, augmentation, fit)
        assert isinstance(source_of(found), kind)
        return learned_from(found)

    expected = look(caches / "whole", CachedImages)
    assert look(caches / "whole", CachedImages) == expected

    moved = [path for path in sorted(root.rglob("*.*")) if int(path.stem) % 4 < 2]
    for path in moved:
        path.rename(tmp_path / f"{path.parent.name} {path.name}")
    assert look(caches / "half", CachedImages) != expected
    for path in moved:
        (tmp_path / f"{path.parent.name} {path.name}").rename(path)
    assert look(caches / "half", CachedImages) == expected

    caches.joinpath("file").write_text("in the way")
    assert look(caches / "file", StreamedImages) == expected
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=0, free=5000))
        assert look(caches / "full disk", StreamedImages) == expected
    with monkeypatch.context() as patch:
        patch.setattr(module, "CACHE_BYTES", 5000)
        assert look(caches / "too small", StreamedImages) == expected


TRAIN = """
import sys
from pathlib import Path
from tests.setup.test_same_bits import FULL, learned_from, prepared
print(learned_from(prepared(Path(sys.argv[1]), 64, FULL, None)))
"""


def test_the_same_bits_in_two_processes_at_once(tmp_path: Path) -> None:
    write(tmp_path / "data", "turned photographs")
    environment = os.environ | {"CONVOLVE_CACHE": str(tmp_path / "caches")}
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "data")]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].strip() for process in both]
    assert outputs[0]
    assert outputs == 2 * [learned_from(prepared(tmp_path / "data", 64, FULL, None))]
