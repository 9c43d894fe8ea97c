"""What a network for depth says of images of any size, and the files that are written of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from convolve.datasets.depth_maps import overlay
from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import cached_size, fit_matrix
from convolve.files import atomic_write, check_replaceable
from convolve.marks import OVERLAY, has_mark, save_jpeg, save_png
from convolve.tasks.depth.options import DepthPredictOptions
from convolve.values import Floats, Pixels, Preprocessing

_QUALITY = 92
DEEPEST = 2**16 - 1
"""The largest number in a 16-bit image."""


@dataclass(frozen=True)
class DepthPrediction:
    """One image's ``size`` (height, width), its nearest, median and farthest depth in meters, and the files written:
    whole numbers over ``per_meter`` are meters in the file ``depth``. ``error`` says why an image could not be read.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    nearest: float = 0.0
    median: float = 0.0
    farthest: float = 0.0
    depth: str = ""
    per_meter: float = 0.0
    overlay: str = ""
    error: str = ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        found = {
            "image": self.image,
            "size": f"{self.size[1]}x{self.size[0]}",
            "nearest": format_meters(self.nearest),
            "median": format_meters(self.median),
            "farthest": format_meters(self.farthest),
        }
        return found | ({"depth map": self.depth} if self.depth else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs: meters, empty for an image that could not be read."""
        known = {"nearest": self.nearest, "median": self.median, "farthest": self.farthest}
        meters = {name: "" if self.error else f"{value:.6g}" for name, value in known.items()}
        return [{"image": self.image, "depth": self.depth, **meters, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and text; meters."""
        return {**asdict(self), "size": list(self.size)}


class DepthPredictions:
    """What depth maps say, and the files that are written of them; whole numbers over ``per_meter`` are meters."""

    def __init__(self, per_meter: float, options: DepthPredictOptions) -> None:
        self._per_meter, self._out = per_meter, options.out
        self._taken: set[str] = set()

    def unreadable(self, name: str, error: str) -> DepthPrediction:
        """Without depths."""
        return DepthPrediction(name, error=error)

    def total(self, predictions: Sequence[DepthPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[DepthPrediction]) -> None:
        """No file of all images."""
        del predictions

    def describe(self, name: str, image: Pixels, depth: Floats) -> DepthPrediction:
        """The depths of an image (H, W, 1 or 3), (H, W) meters; writes the files."""
        ends = (float(depth.min()), float(np.median(depth)), float(depth.max()))
        found = DepthPrediction(name, (depth.shape[0], depth.shape[1]), *ends)
        return self._write(found, image, depth, self._out) if self._out else found

    def _write(self, found: DepthPrediction, image: Pixels, depth: Floats, out: Path) -> DepthPrediction:
        """The files of a depth map and its overlay, called as the image; numbered where several have one name."""
        stem = PurePath(found.image).stem
        number = next(number for number in range(1, 10**9) if _numbered(stem, number) not in self._taken)
        self._taken.add(_numbered(stem, number))
        bare = out / _numbered(stem, number)
        paths = bare.with_name(f"{bare.name}_depth.png"), bare.with_name(f"{bare.name}{OVERLAY}")
        for path in paths:
            check_replaceable(path, has_mark, "prediction that convolve wrote")
        with atomic_write(paths[0]) as draft:
            save_png(Image.fromarray(as_stored(depth, self._per_meter)), draft)
        with atomic_write(paths[1]) as draft:
            save_jpeg(Image.fromarray(overlay(to_channels(image, 3), depth)), draft, _QUALITY)
        written = {"depth": str(paths[0]), "overlay": str(paths[1]), "per_meter": self._per_meter}
        return DepthPrediction(**{**asdict(found), **written})


def restore_state(state: Mapping[str, Any]) -> tuple[float, float]:
    """The median depth and the unit of a run's state. Raises `ValueError`, `KeyError` or `TypeError`."""
    center, per_meter = float(state["center"]), float(state["per_meter"])
    if not all(math.isfinite(value) and value > 0 for value in (center, per_meter)):
        raise ValueError("its median depth and its unit are no numbers above 0")
    return center, per_meter


def as_stored(depth: Floats, per_meter: float) -> npt.NDArray[np.uint16]:
    """(H, W) meters as a 16-bit PNG has them, where 0 stands for unknown: from 1 to 65535, the largest that it has."""
    return np.clip(np.rint(depth.astype(np.float64) * per_meter), 1, DEEPEST).astype(np.uint16)


def at_image_size(depth: Floats, size: tuple[int, int], preprocessing: Preprocessing) -> Floats:
    """(height, width) depths of the network's input to those of its image (H, W), interpolated linearly; without the
    padding of `letterbox`.
    """
    if preprocessing.fit == "letterbox":
        height, width = cached_size(*size, preprocessing)
        matrix = fit_matrix(height, width, preprocessing)
        left, top = np.rint(matrix[:, 2]).astype(int)
        right, bottom = np.rint(matrix @ (width, height, 1.0)).astype(int)
        depth = np.ascontiguousarray(depth[top:bottom, left:right])
    return np.asarray(cv2.resize(depth, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def format_meters(value: float) -> str:
    """Three digits that count, and all before the decimal point."""
    return f"{value:,.0f}\N{NO-BREAK SPACE}m" if value >= 1000 else f"{value:.3g}\N{NO-BREAK SPACE}m"


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"
