"""What makes an image worse: blur, a smaller size and noise; and what enlarges it again without a network.

All but the noise is linear and separable: a matrix for the rows and one for the columns, so that the same lines work on
arrays and on tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from convolve.errors import OptionError
from convolve.tasks.restore.options import INFO, Downscaling, RestoreConvertOptions
from convolve.values import Floats, Pixels

Interpolation = Literal["bicubic", "nearest"]

_MATLAB, _OPENCV = -0.5, -0.75
"""The parameter of the cubic kernel (Keys 1981, "Cubic convolution interpolation for digital image processing")."""
_TRUNCATE = 4.0
"""Where a Gaussian kernel ends, in standard deviations."""


@dataclass(frozen=True)
class Degradation:
    """An image is blurred by a Gaussian of ``blur_sigma`` pixels, made ``upscale`` times smaller by ``downscaling``,
    given Gaussian noise of ``noise_sigma`` gray levels, and stored with 8 bits a channel.
    """

    blur_sigma: float = 0.0
    upscale: int = 1
    downscaling: Downscaling = "bicubic"
    noise_sigma: float = 0.0

    @property
    def border(self) -> int:
        """Pixels on every side that metrics leave out: as many as the factor, as the literature has it (Timofte et al.
        2014, "A+: adjusted anchored neighborhood regression for fast super-resolution"); without a factor none.
        """
        return self.upscale if self.upscale > 1 else 0

    def crop(self, image: Pixels) -> Pixels:
        """(H, W, C) without the last rows and columns that no pixel of the small image stands for."""
        height, width = (side - side % self.upscale for side in image.shape[:2])
        return image[:height, :width]

    def matrix(self, length: int) -> Floats:
        """(length / upscale, length) what blurs and shrinks a side of that many pixels."""
        small = _shrinking(length, self.upscale, self.downscaling)
        return small @ _blurring(length, self.blur_sigma) if self.blur_sigma else small

    def degrade(self, image: Pixels) -> Pixels:
        """(H, W, C), each side a multiple of ``upscale``, to (H / upscale, W / upscale, C), always with the same
        noise.
        """
        worse = _apply(image, self.matrix(image.shape[0]), self.matrix(image.shape[1]))
        noise = np.random.default_rng(0).standard_normal(worse.shape, np.float32)
        return to_pixels(worse + self.noise_sigma * noise)


def parse_degradation(document: Mapping[str, Any]) -> Degradation:
    """From what `dataclasses.asdict` gave. Raises `ValueError`, `KeyError` or `TypeError`."""
    blur, noise = float(document["blur_sigma"]), float(document["noise_sigma"])
    upscale, downscaling = document["upscale"], document["downscaling"]
    numbers = all(math.isfinite(value) and value >= 0 for value in (blur, noise))
    if not numbers or type(upscale) is not int or upscale < 1 or downscaling not in get_args(Downscaling):
        raise ValueError("its degradation is none")
    return Degradation(blur, upscale, downscaling, noise)


def convert_degradation(network: str, own_upscale: int, options: RestoreConvertOptions) -> Degradation:
    """What a ``network`` of another program, which itself enlarges ``own_upscale`` times, was trained to undo. Raises
    `OptionError`.
    """
    upscale = options.upscale or own_upscale
    for name, value in {
        "upscale": upscale,
        "blur_sigma": options.blur_sigma,
        "noise_sigma": options.noise_sigma,
    }.items():
        least, most = INFO.ranges[name]
        if not least <= value <= most:
            raise OptionError(f"{name} cannot be {value}; it must be a number from {least:g} to {most:g}.")
    degradation = Degradation(options.blur_sigma, upscale, options.downscaling, options.noise_sigma)
    check_degradation(network, own_upscale, degradation)
    return degradation


def check_degradation(network: str, own_upscale: int, degradation: Degradation) -> None:
    """Raise `OptionError` where nothing is to be undone, or the ``network`` enlarges otherwise."""
    if own_upscale > 1 and degradation.upscale != own_upscale:
        raise OptionError(f"{network} enlarges {own_upscale} times, not {degradation.upscale}; leave out --upscale.")
    if degradation.upscale == 1 and not degradation.blur_sigma and not degradation.noise_sigma:
        raise OptionError(
            f"Say what {network} is to restore: --upscale 2 (small images), --noise-sigma 25 (noise), --blur-sigma 1.6 "
            "(blur), or several of them."
        )


def enlarge(image: npt.NDArray[Any], factor: int, interpolation: Interpolation = "bicubic") -> Floats:
    """(H, W, C) to (factor H, factor W, C), without rounding."""
    if interpolation == "nearest":
        return np.asarray(image.repeat(factor, 0).repeat(factor, 1), np.float32)
    return _apply(image, enlarging(image.shape[0], factor), enlarging(image.shape[1], factor))


@lru_cache(maxsize=64)
def enlarging(length: int, factor: int) -> Floats:
    """(factor length, length) what enlarges a side by bicubic interpolation, as MATLAB's imresize does."""
    return _resampling(length, length * factor, _MATLAB, 1.0)


def to_pixels(image: npt.NDArray[Any]) -> Pixels:
    """Numbers from 0 to 255, rounded to 8 bits; those beyond are clipped."""
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def _apply(image: npt.NDArray[Any], rows: Floats, columns: Floats) -> Floats:
    channels = image.astype(np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray((rows @ channels @ columns.T).transpose(1, 2, 0))


@lru_cache(maxsize=64)
def _shrinking(length: int, factor: int, downscaling: Downscaling) -> Floats:
    if downscaling == "area":
        return np.eye(length // factor, dtype=np.float32).repeat(factor, 1) / np.float32(factor)
    if downscaling == "opencv-cubic":
        return _resampling(length, length // factor, _OPENCV, 1.0)
    return _resampling(length, length // factor, _MATLAB, float(factor))


def _resampling(length: int, new: int, parameter: float, stretch: float) -> Floats:
    """(new, length) cubic interpolation by a kernel that is ``stretch`` times as wide, against aliasing."""
    centers = (np.arange(new) + 0.5) * length / new - 0.5
    taps = np.arange(math.ceil(4 * stretch) + 2)
    positions = np.floor(centers - 2 * stretch).astype(np.int64)[:, None] + taps
    weights = _cubic(np.abs(centers[:, None] - positions) / stretch, parameter)
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((new, length))
    edge = np.clip(positions, 0, length - 1) if parameter == _OPENCV else _reflect(positions, length)
    np.add.at(matrix, (np.arange(new)[:, None], edge), weights)
    return matrix.astype(np.float32)


def _cubic(distance: npt.NDArray[np.float64], parameter: float) -> npt.NDArray[np.float64]:
    """Keys's kernel, 0 from a distance of 2 on."""
    near = ((parameter + 2) * distance - (parameter + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance - 4
    return np.where(distance <= 1, near, np.where(distance < 2, parameter * far, 0.0))


@lru_cache(maxsize=64)
def _blurring(length: int, sigma: float) -> Floats:
    """(length, length) a Gaussian, reflected at the ends."""
    offsets = np.arange(-round(_TRUNCATE * sigma), round(_TRUNCATE * sigma) + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((length, length))
    positions = _reflect(np.arange(length)[:, None] + offsets, length)
    np.add.at(matrix, (np.arange(length)[:, None], positions), weights / weights.sum())
    return matrix.astype(np.float32)


def _reflect(positions: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Positions beyond an end as they are reflected at it, the last pixel twice."""
    inside = positions % (2 * length)
    return np.minimum(inside, 2 * length - 1 - inside)
