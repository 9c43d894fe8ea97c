"""The images to explain: found, read as the network takes them and as people look at them, and predicted."""

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

from convolve.datasets.boxes import Boxes
from convolve.datasets.input_boxes import input_matrices, to_input
from convolve.datasets.parallel import reader_threads
from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.datasets.voc import read_voc
from convolve.errors import DataError, ImageError
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.feature_maps import batch_size
from convolve.metrics.boxes import BoxArray, box_areas
from convolve.runtime import Runtime
from convolve.setup.restore import select_split
from convolve.tasks.task import Task
from convolve.training.run import Run
from convolve.values import Dataset, Images, Indices, Pixels, Preprocessing
from convolve.verbs.predict import find_images

_FEW = 12  # images of the test split where none is named
_BATCH = 16
_SIDE = 224  # pixels at which smaller inputs are shown
_Arrays = tuple[Pixels, Pixels, tuple[int, int]]
ExplainBatch = Callable[[Tensor, Indices], ExplanationTargets]
"""What is explained of images (N, C, H, W) whose originals have the sizes (N, 2)."""


@dataclass(frozen=True)
class ImageBatch:
    """Some images that could be read, by their ``indices`` among all.

    ``pixels``: (h, w, 1 or 3) uint8, the network's input, large enough to look at; ``sizes``: (N, 2) height and width
    of the originals; ``inputs``: (N, C, H, W); ``targets``: what is predicted and explained.
    """

    indices: Indices
    pixels: tuple[Pixels, ...]
    sizes: Indices
    inputs: Tensor
    targets: ExplanationTargets

    def take(self, rows: Indices) -> ImageBatch:
        """Some of the images."""
        if len(rows) == len(self.indices):
            return self
        return ImageBatch(
            indices=self.indices[rows],
            pixels=tuple(self.pixels[row] for row in rows.tolist()),
            sizes=self.sizes[rows],
            inputs=self.inputs[torch.from_numpy(rows).to(self.inputs.device)],
            targets=self.targets.take(rows),
        )


@dataclass(frozen=True)
class ChosenImages:
    """Images with their ground truth in words, empty where it is unknown, and the boxes of their objects, if any."""

    images: Images
    labels: tuple[str, ...]
    boxes: Boxes | None = None

    def boxes_in_input(self, index: int, label: str, preprocessing: Preprocessing) -> BoxArray:
        """(N, 4) the boxes of an image in pixels of the network's input: those of a class, if there are some, else all
        that are no crowds.
        """
        if self.boxes is None:
            return np.zeros((0, 4))
        rows, _ = self.boxes.rows(np.array([index]))
        rows = rows[~self.boxes.crowd[rows]]
        own = [self.boxes.classes[kind] == label for kind in self.boxes.class_indices[rows].tolist()]
        boxes = self.boxes.boxes[rows[np.array(own, dtype=bool)] if any(own) else rows]
        return _in_input(boxes, tuple(self.boxes.sizes[index].tolist()), preprocessing)


def choose_images(names: Sequence[str], run: Run, task: Task) -> ChosenImages:
    """The images of those names, or a few of the run's test split. Raises `DataError`, `RunError`."""
    if names:
        images = find_images(names)
        return ChosenImages(images, ("",) * len(images))
    dataset, part = run_split(run, task)
    few = part[np.unique(np.linspace(0, len(part) - 1, _FEW).round().astype(np.int64))]
    labels = task.ground_truth_labels(dataset.ground_truths[task.info.ground_truth], few)
    boxes = dataset.ground_truths.get("boxes")
    return ChosenImages(dataset.images.take(few), labels, boxes.take(few) if isinstance(boxes, Boxes) else None)


def run_split(run: Run, task: Task, split: Literal["train"] | None = None) -> tuple[Dataset, Indices]:
    """The run's own data and the images of a split, by default those it was evaluated on. Raises `DataError`."""
    path = Path(run.recipe.data or "")
    if path.is_absolute() and not path.exists():
        raise DataError(
            f"The run's data is no longer at {path}; restore it, or name images and leave out views of the data."
        )
    dataset, _, part = select_split(run, task, None, split)
    return dataset, part


def read_batches(
    images: Images, explain: ExplainBatch, runtime: Runtime, preprocessing: Preprocessing
) -> Iterator[tuple[dict[int, str], ImageBatch | None]]:
    """All images in order, a batch at a time, read while nothing else runs and predicted as `convolve predict` does.

    With each batch come the errors of the images that cannot be read, by index; if none can, the batch is None.
    """
    count = batch_size(_BATCH, (preprocessing.height, preprocessing.width))
    with ThreadPoolExecutor(reader_threads()) as pool:
        for start in range(0, len(images), count):
            indices = list(range(start, min(start + count, len(images))))
            results = dict(zip(indices, pool.map(partial(_read, images, preprocessing), indices), strict=True))
            arrays = {index: one for index, one in results.items() if not isinstance(one, str)}
            errors = {index: one for index, one in results.items() if isinstance(one, str)}
            yield errors, _predict(arrays, explain, runtime, preprocessing) if arrays else None


def check_annotations(folder: Path, images: Images) -> None:
    """Raises `DataError` where the folder has no annotation for any of the images."""
    names = [f"{Path(images.name(index)).stem}.xml" for index in range(len(images))]
    if not any((folder / name).is_file() for name in names):
        raise DataError(
            f"{folder} has no annotation for these images, such as {names[0]}; give its files the images' names."
        )


def annotated_boxes(
    folder: Path, image: str, label: str, size: tuple[int, int], preprocessing: Preprocessing
) -> BoxArray:
    """(N, 4) the boxes that the folder has for an image of that height and width, in pixels of the network's input.

    Those of the class ``label``, if the file has some, else all; none without a file. What lies outside the
    input is cut off. Raises `DataError`.
    """
    path = folder / f"{Path(image).stem}.xml"
    if not path.is_file():
        return np.zeros((0, 4))
    annotation = read_voc(path)
    own = np.array([name == label for name in annotation.names], dtype=bool)
    return _in_input(annotation.boxes[own] if own.any() else annotation.boxes, size, preprocessing)


def _in_input(boxes: BoxArray, size: tuple[int, int], preprocessing: Preprocessing) -> BoxArray:
    """Boxes of an image of that height and width in pixels of the input, what lies outside of it cut off."""
    boxes = to_input(boxes, input_matrices(np.array([size]), preprocessing))
    boxes = np.clip(boxes, 0, np.array([preprocessing.width, preprocessing.height] * 2))
    return np.asarray(boxes[box_areas(boxes) > 0])


def _read(images: Images, preprocessing: Preprocessing, index: int) -> _Arrays | str:
    """The network's input, the same at a size to look at, and the original's size; or why it cannot be read."""
    height, width = preprocessing.height, preprocessing.width
    factor = max(1, round(_SIDE / max(height, width)))
    larger = replace(preprocessing, height=height * factor, width=width * factor)
    try:
        encoded = images.open(index)
        pixels = encoded.decode(least_side(preprocessing))
        network_input = fit_to_input(pixels, preprocessing)
        if preprocessing.fit == "tiles":  # a larger input would show more of the image
            return network_input, network_input.repeat(factor, 0).repeat(factor, 1), encoded.header.size
        visible = fit_to_input(encoded.decode(least_side(larger)), larger) if factor > 1 else network_input
        return network_input, visible, encoded.header.size
    except ImageError as error:
        return str(error)


def _predict(
    arrays: dict[int, _Arrays], explain: ExplainBatch, runtime: Runtime, preprocessing: Preprocessing
) -> ImageBatch:
    inputs = runtime.images(normalize(np.stack([array for array, _, _ in arrays.values()]), preprocessing))
    sizes = np.array([size for _, _, size in arrays.values()], dtype=np.int64)
    with runtime.arithmetic():
        targets = explain(inputs, sizes)
    pixels = tuple(visible for _, visible, _ in arrays.values())
    return ImageBatch(np.array(list(arrays), dtype=np.int64), pixels, sizes, inputs, targets)
