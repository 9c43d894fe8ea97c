"""What the views into a network work on, and how each writes what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from convolve.choices import View
from convolve.errors import DataError
from convolve.files import atomic_write, write_bytes
from convolve.models import Network
from convolve.reports.drawing import as_png
from convolve.runtime import Runtime
from convolve.tasks.task import Said, Task
from convolve.values import Batch, Floats, Pixels, Preprocessing
from convolve.verbs.looking import visible


@dataclass(frozen=True)
class Inside:
    """What the views work on.

    ``names`` of the images, their ``pixels`` (N, h, w, C) as the network sees them, or finer, and its ``inputs``
    (N, C, H, W) on the device, with what is ``said`` of them; N may be 0, and views that need an image say so.
    ``asked`` are places of classes: none asks for each image's predicted class. ``batches`` opens the training images,
    which patches and statistics look through, and ``unseen`` images that were not learned from, for the embedding; both
    in random order. Everything is written into the folder ``out``.
    """

    task: Task
    runtime: Runtime
    preprocessing: Preprocessing
    names: tuple[str, ...]
    pixels: Pixels
    inputs: Tensor
    said: Said
    stage: str | None
    asked: tuple[int, ...]
    out: Path
    batches: Callable[[], Iterator[Batch]]
    unseen: Callable[[], Iterator[Batch]]
    seed: int = 0

    @property
    def network(self) -> Network:
        """The task's network."""
        return self.task.network

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the input."""
        return self.preprocessing.channels, self.preprocessing.height, self.preprocessing.width


def need_images(inside: Inside, view: View) -> None:
    """Raises `DataError` where no image is given."""
    if not inside.names:
        raise DataError(f"--show {view} shows what the network makes of an image; name one.")


def first_images(batches: Iterator[Batch], images: int) -> Iterator[Batch]:
    """Batches until there are that many images; the last one is cut."""
    for batch in batches:
        kept = len(batch.indices[:images])
        yield Batch(batch.images[:kept], batch.targets[:kept], batch.indices[:kept])
        images -= kept
        if not images:
            break


def seen_as_pixels(images: Floats, preprocessing: Preprocessing) -> Pixels:
    """(N, H, W, C) uint8 of network inputs (N, C, H, W)."""
    return visible(images.transpose(0, 2, 3, 1), preprocessing)


def for_image(view: str, place: int, name: str) -> str:
    """A file's name, without its ending, for what a view shows of the image at that place."""
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in Path(name).stem)
    return f"{view}-{place + 1}-{stem[:60]}"


def written(place: Path, picture: Image.Image | Figure, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Path, ...]:
    """`place.png` and `place.npz`."""
    numbers = place.with_name(f"{place.name}.npz")
    with atomic_write(numbers) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return picture_written(place.with_name(f"{place.name}.png"), picture), numbers


def picture_written(place: Path, picture: Image.Image | Figure) -> Path:
    """Write a PNG file. Raises `ConvolveError`."""
    if isinstance(picture, Figure):
        write_bytes(place, as_png(picture))
    else:
        with atomic_write(place) as draft:
            picture.save(draft, "PNG")
    return place
