"""What augmentation may vary: a group of the recipe's options. In the data path None and 0 vary nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """What is varied at random, in training only, in one resampling and one change of color."""

    crop: float | None = None
    """Smallest share of the area that a random crop keeps (0 to 1); 1 does not crop."""
    flip: bool | None = None
    """Mirror left and right, half of the time."""
    vertical_flip: bool | None = None
    """Mirror top and bottom, half of the time."""
    rotate: float | None = None
    """Largest rotation in degrees, either way."""
    scale: float | None = None
    """Largest relative change of size, either way (0.1: from 0.9 to 1.1)."""
    translate: float | None = None
    """Largest shift, either way, as a share of the side."""
    noise: float | None = None
    """Standard deviation of Gaussian noise, as a share of white."""
    brightness: float | None = None
    """Largest relative change of brightness, either way."""
    contrast: float | None = None
    """Largest relative change of contrast, either way."""
    saturation: float | None = None
    """Largest relative change of saturation, either way."""
    pca: float | None = None
    """Standard deviation of AlexNet's shift along the principal axes of color (Krizhevsky et al. 2012, 4.1)."""
