"""The options of augmentation: a group of the recipe. Imports nothing, so that `--help` starts fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images, in one resampling and one change of color; None and 0 disable one."""

    crop: float | None = None
    """Smallest fraction of the area that a random crop keeps; 1 disables cropping."""
    flip: bool | None = None
    """Flip left and right with probability 0.5."""
    vertical_flip: bool | None = None
    """Flip top and bottom with probability 0.5."""
    rotate: float | None = None
    """Maximum rotation in degrees, either way."""
    scale: float | None = None
    """Maximum relative change of size, either way; 0.1 is a factor from 0.9 to 1.1."""
    translate: float | None = None
    """Maximum translation, either way, as a fraction of the side."""
    noise: float | None = None
    """Standard deviation of Gaussian noise, as a fraction of white."""
    brightness: float | None = None
    """Maximum relative change of brightness, either way."""
    contrast: float | None = None
    """Maximum relative change of contrast, either way."""
    saturation: float | None = None
    """Maximum relative change of saturation, either way."""
    pca: float | None = None
    """Standard deviation of AlexNet's PCA color shift (Krizhevsky et al. 2012, section 4.1), which has 0.1."""
    hue: float | None = None
    """Maximum rotation of hue, either way, as a fraction of the color circle."""
    mosaic: float | None = None
    """Probability with which all images of a batch are each put together from four (Bochkovskiy et al. 2020)."""
    multi_scale: float | None = None
    """Maximum relative change of the input's sides, either way, in steps of 32 pixels; new ones every ten batches
    (Redmon, Farhadi 2017, "Multi-Scale Training")."""
