"""What is explained: images as the network sees them and as people see them, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.preprocess import fit_to_input, frame, least_side, normalize
from convolve.datasets.voc import read_voc
from convolve.errors import DataError, ImageError
from convolve.explainers.together import at_once
from convolve.metrics.boxes import BoxArray, box_areas
from convolve.runtime import Runtime
from convolve.tasks.task import Explaining, Said
from convolve.training.run import Run
from convolve.values import Dataset, Images, Indices, Pixels, Preprocessing
from convolve.verbs.evaluate import Evaluate, asked
from convolve.verbs.explain.options import Explain
from convolve.verbs.predict import found_images

_FEW = 12
_BATCH = 16
_READERS = 2
_SHOWN = 224
_Read = tuple[Pixels, Pixels, tuple[int, int]]


@dataclass(frozen=True)
class Subjects:
    """The images to explain, and each one's true classes as text, empty where they are not known."""

    images: Images
    truths: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """Some images that could be read, by their places among all.

    ``pictures``: (h, w, 1 or 3) uint8, what the network sees, large enough to look at; ``inputs``: (N, C, H, W);
    ``sizes``: (N, 2) height and width of the original pictures; ``said``: what the network says of them.
    """

    places: Indices
    pictures: tuple[Pixels, ...]
    sizes: Indices
    inputs: Tensor
    said: Said

    def take(self, rows: Indices) -> Looked:
        """Some of the images."""
        if len(rows) == len(self.places):
            return self
        return Looked(
            places=self.places[rows],
            pictures=tuple(self.pictures[row] for row in rows.tolist()),
            sizes=self.sizes[rows],
            inputs=self.inputs[torch.from_numpy(rows).to(self.inputs.device)],
            said=self.said.take(rows),
        )


Say = Callable[[Tensor, Indices], Said]
"""What a network says of images (N, C, H, W) whose pictures have the sizes (N, 2)."""


def subjects(options: Explain, trained: Run, explaining: Explaining) -> Subjects:
    """The images that are named, or a few of the run's test split. Raises `DataError`, `RunError`."""
    if options.images:
        images = found_images(options.images)
        return Subjects(images, ("",) * len(images))
    dataset, part = own_part(trained)
    few = part[np.unique(np.linspace(0, len(part) - 1, _FEW).round().astype(np.int64))]
    return Subjects(dataset.images.take(few), explaining.truths(dataset.labels.take(few)))


def own_part(trained: Run, split: Literal["train"] | None = None) -> tuple[Dataset, Indices]:
    """The run's own data and the images of a split, by default those it was measured on. Raises `DataError`."""
    place = Path(trained.recipe.data or "")
    if place.is_absolute() and not place.exists():
        raise DataError(f"The run's data is no longer at {place}; bring it back, or name images and no view of data.")
    dataset, _, part = asked(Evaluate(trained.folder, split=split), trained)
    return dataset, part


def looked_at(
    images: Images, say: Say, runtime: Runtime, preprocessing: Preprocessing
) -> Iterator[tuple[dict[int, str], Looked | None]]:
    """Every image in order, a batch at a time, read while nothing else runs and answered as `convolve predict` does.

    With each batch the sentences of those that cannot be read, by their places; without any other it is None.
    """
    count = at_once(_BATCH, (preprocessing.height, preprocessing.width))
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(images), count):
            places = list(range(start, min(start + count, len(images))))
            read = list(pool.map(partial(_read, images, preprocessing), places))
            found = dict(zip(places, read, strict=True))
            whole = {place: one for place, one in found.items() if not isinstance(one, str)}
            broken = {place: one for place, one in found.items() if isinstance(one, str)}
            yield broken, _answered(whole, say, runtime, preprocessing) if whole else None


def check_boxes(folder: Path, images: Images) -> None:
    """Raises `DataError` where the folder has no annotation for any of the images."""
    names = [f"{Path(images.name(place)).stem}.xml" for place in range(len(images))]
    if not any((folder / name).is_file() for name in names):
        raise DataError(f"{folder} has no annotation for these images, such as {names[0]}; name its files as these.")


def true_boxes(
    folder: Path | None, names: Sequence[str], looked: Looked, wanted: Sequence[str], preprocessing: Preprocessing
) -> list[BoxArray]:
    """Each image's `boxes_of` its class among ``wanted``; none where the folder has no file for it."""
    found = []
    for name, (height, width), own in zip(names, looked.sizes.tolist(), wanted, strict=True):
        place = folder / f"{Path(name).stem}.xml" if folder else None
        there = place is not None and place.is_file()
        found.append(boxes_of(place, own, (height, width), preprocessing) if place and there else np.zeros((0, 4)))
    return found


def boxes_of(place: Path, wanted: str, size: tuple[int, int], preprocessing: Preprocessing) -> BoxArray:
    """(N, 4) an annotation's boxes in the pixels that the network sees of a picture of that height and width.

    Those of the class ``wanted``, if the file names it, else all. What lies outside the frame is cut off. Raises
    `DataError`.
    """
    annotated = read_voc(place)
    own = np.array([name == wanted for name in annotated.names], dtype=bool)
    boxes = annotated.boxes[own] if own.any() else annotated.boxes
    matrix = frame(*size, preprocessing)
    scales, shifts = np.tile(matrix[[0, 1], [0, 1]], 2), np.tile(matrix[:, 2], 2)
    boxes = np.clip(boxes * scales + shifts, 0, np.array([preprocessing.width, preprocessing.height] * 2))
    return np.asarray(boxes[box_areas(boxes) > 0])


def _read(images: Images, preprocessing: Preprocessing, place: int) -> _Read | str:
    """What the network sees, the same at a size to look at, and the original's size; or why it cannot be read."""
    height, width = preprocessing.height, preprocessing.width
    larger = max(1, round(_SHOWN / max(height, width)))
    wide = replace(preprocessing, height=height * larger, width=width * larger)
    try:
        pixels = images.read(place, least_side(preprocessing))
        seen = fit_to_input(pixels, preprocessing)
        if preprocessing.fit == "tiles":  # a larger frame would show more of the picture
            return seen, seen.repeat(larger, 0).repeat(larger, 1), images.size(place)
        picture = fit_to_input(images.read(place, least_side(wide)), wide) if larger > 1 else seen
        return seen, picture, images.size(place)
    except ImageError as error:
        return str(error)


def _answered(whole: dict[int, _Read], say: Say, runtime: Runtime, preprocessing: Preprocessing) -> Looked:
    inputs = runtime.images(normalize(np.stack([seen for seen, _, _ in whole.values()]), preprocessing))
    sizes = np.array([size for _, _, size in whole.values()], dtype=np.int64)
    with runtime.arithmetic():
        said = say(inputs, sizes)
    pictures = tuple(picture for _, picture, _ in whole.values())
    return Looked(np.array(list(whole), dtype=np.int64), pictures, sizes, inputs, said)


def class_places(names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """The places of the classes of those names. Raises `DataError` for one that the run does not know."""
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise DataError(f"The run does not know the class '{unknown[0]}'; it knows {', '.join(classes)}.")
    return [list(classes).index(name) for name in dict.fromkeys(names)]
