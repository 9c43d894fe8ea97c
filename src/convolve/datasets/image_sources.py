"""Where images to predict come from: files, video files, cameras; in parts, so that memory holds a few of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.values import Images


class ImageSource(Protocol):
    """Images in order."""

    @property
    def expected(self) -> int:
        """About how many there are; 0 where that is not known."""
        ...

    @property
    def is_stream(self) -> bool:
        """Whether the images follow one another in time, and a person may end them early."""
        ...

    @property
    def is_camera(self) -> bool:
        """Whether only a person ends them."""
        ...

    def parts(self, most: int) -> Iterator[Images]:
        """All of them, ``most`` at a time at most."""
        ...

    def join_drawn(self, drawn: Sequence[str]) -> Path | None:
        """Write the images that a task has drawn as what the source is, once it has ended; its path, if it is more than
        these images.
        """
        ...


@final
@dataclass(frozen=True)
class FileSource:
    """Image files."""

    images: ImageFiles

    @property
    def expected(self) -> int:
        """How many there are."""
        return len(self.images)

    @property
    def is_stream(self) -> bool:
        """Never."""
        return False

    @property
    def is_camera(self) -> bool:
        """Never."""
        return False

    def parts(self, most: int) -> Iterator[ImageFiles]:
        """All of them, ``most`` at a time."""
        for start in range(0, len(self.images), most):
            yield self.images.take(np.arange(start, min(start + most, len(self.images))))

    def join_drawn(self, drawn: Sequence[str]) -> None:
        """Nothing."""
        del drawn
