"""How a run's network finds the disparities of left images of any size, and the files that are written of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, final

import cv2
import numpy as np
import torch
from PIL import Image

from convolve.datasets.depth_maps import overlay
from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_to_input, normalize
from convolve.datasets.stereo_pairs import STEPS
from convolve.files import atomic_write, check_replaceable
from convolve.marks import OVERLAY, has_mark, save_jpeg, save_png
from convolve.runtime import Runtime
from convolve.tasks.stereo.options import StereoPredictOptions
from convolve.values import Floats, Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.stereo.task import Stereo

LARGEST = 0.3
"""The largest disparity, as a fraction of the image's width (Godard et al. 2017, section 3.2)."""
_QUALITY = 92
_MOST = 2**16 - 1  # the largest number in a 16-bit image


def predict_images(
    images: Sequence[Pixels], task: Stereo, runtime: Runtime, preprocessing: Preprocessing
) -> Iterator[Floats]:
    """(H, W) the disparities of some left images (H, W, 1 or 3) in pixels, each at its own size."""
    inputs = [fit_to_input(to_channels(image, preprocessing.channels), preprocessing) for image in images]
    with torch.inference_mode(), runtime.arithmetic():
        found = task.predict(runtime.images(normalize(np.stack(inputs), preprocessing)))[:, 0].cpu().numpy()
    for image, fractions in zip(images, found, strict=True):
        yield at_image_size(fractions, (image.shape[0], image.shape[1]))


def at_image_size(fractions: Floats, size: tuple[int, int]) -> Floats:
    """(height, width) fractions of the width to pixels of an image (H, W), interpolated linearly."""
    return np.asarray(size[1] * cv2.resize(fractions, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


@dataclass(frozen=True)
class StereoPrediction:
    """One image's ``size`` (height, width), its smallest, median and largest disparity in pixels, and the files
    written: whole numbers over ``per_pixel`` are pixels in the file ``disparity``. ``error`` says why an image could
    not be read.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    smallest: float = 0.0
    median: float = 0.0
    largest: float = 0.0
    disparity: str = ""
    per_pixel: float = 0.0
    overlay: str = ""
    error: str = ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        found = {
            "image": self.image,
            "size": f"{self.size[1]}x{self.size[0]}",
            "smallest": format_pixels(self.smallest),
            "median": format_pixels(self.median),
            "largest": format_pixels(self.largest),
        }
        return found | ({"disparity map": self.disparity} if self.disparity else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs: pixels, empty for an image that could not be read."""
        known = {"smallest": self.smallest, "median": self.median, "largest": self.largest}
        pixels = {name: "" if self.error else f"{value:.6g}" for name, value in known.items()}
        return [{"image": self.image, "disparity": self.disparity, **pixels, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and text; pixels."""
        return {**asdict(self), "size": list(self.size)}


@final
class StereoPredictor:
    """Predicts a few left images at once, and writes the files."""

    batch_size = 8

    def __init__(
        self, task: Stereo, preprocessing: Preprocessing, runtime: Runtime, options: StereoPredictOptions
    ) -> None:
        self._task, self._preprocessing, self._runtime, self._out = task, preprocessing, runtime, options.out
        self._taken: set[str] = set()

    def read(self, images: Images, index: int) -> Pixels:
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        return images.read(index)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[StereoPrediction]:
        """In order."""
        found = predict_images(inputs, self._task, self._runtime, self._preprocessing)
        for name, image, disparity in zip(names, inputs, found, strict=True):
            ends = float(disparity.min()), float(np.median(disparity)), float(disparity.max())
            prediction = StereoPrediction(name, (disparity.shape[0], disparity.shape[1]), *ends)
            yield self._write(prediction, image, disparity, self._out) if self._out else prediction

    def unreadable(self, name: str, error: str) -> StereoPrediction:
        """Without disparities."""
        return StereoPrediction(name, error=error)

    def total(self, predictions: Sequence[StereoPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[StereoPrediction]) -> None:
        """No file of all images."""
        del predictions

    def _write(self, found: StereoPrediction, image: Pixels, disparity: Floats, out: Path) -> StereoPrediction:
        """The files, called as the image; numbered where several have one name."""
        stem = name = PurePath(found.image).stem
        number = 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name)
        paths = out / f"{name}_disparity.png", out / f"{name}{OVERLAY}"
        for path in paths:
            check_replaceable(path, has_mark, "prediction that convolve wrote")
        per_pixel = steps_per_pixel(found.size[1])
        stored = np.clip(np.rint(disparity * per_pixel), 1, _MOST).astype(np.uint16)  # 0 stands for unknown
        with atomic_write(paths[0]) as draft:
            save_png(Image.fromarray(stored), draft)
        inverse = np.asarray(1 / np.maximum(disparity, 1 / per_pixel), np.float32)
        colored = overlay(to_channels(image, 3), inverse)
        with atomic_write(paths[1]) as draft:
            save_jpeg(Image.fromarray(colored), draft, _QUALITY)
        return replace(found, disparity=str(paths[0]), overlay=str(paths[1]), per_pixel=per_pixel)


def steps_per_pixel(width: int) -> float:
    """By what disparities are multiplied in files: `STEPS`, or for wide images the power of 2 for which 16 bits are
    enough.
    """
    return min(STEPS, 2.0 ** math.floor(math.log2(_MOST / (LARGEST * width))))


def format_pixels(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}\N{NO-BREAK SPACE}px"
