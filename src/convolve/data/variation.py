"""What augmentation may vary, as the recipe's `Augmentation` says it; None and 0 vary nothing."""

from __future__ import annotations

from typing import Protocol


class Variation(Protocol):
    """The fields of `training.recipe.Augmentation`, which stands above the data path and cannot be used here."""

    @property
    def crop(self) -> float | None:
        """Smallest share of the area that a random crop keeps; 1 does not crop."""
        ...

    @property
    def flip(self) -> bool | None:
        """Mirror left and right, half of the time."""
        ...

    @property
    def vertical_flip(self) -> bool | None:
        """Mirror top and bottom, half of the time."""
        ...

    @property
    def rotate(self) -> float | None:
        """Largest rotation in degrees, either way."""
        ...

    @property
    def scale(self) -> float | None:
        """Largest relative change of size, either way."""
        ...

    @property
    def translate(self) -> float | None:
        """Largest shift as a share of the side, either way."""
        ...

    @property
    def noise(self) -> float | None:
        """Standard deviation of the noise as a share of white."""
        ...

    @property
    def brightness(self) -> float | None:
        """Largest relative change of brightness, either way."""
        ...

    @property
    def contrast(self) -> float | None:
        """Largest relative change of contrast, either way."""
        ...

    @property
    def saturation(self) -> float | None:
        """Largest relative change of saturation, either way."""
        ...

    @property
    def pca(self) -> float | None:
        """Standard deviation of the shift along the principal axes of colour."""
        ...
