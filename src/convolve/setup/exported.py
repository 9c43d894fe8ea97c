"""From an export on disk: its task and its network, ready for images. Nothing here imports torch but `select_split`,
which looks at data as the task learns from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convolve.choices import TaskUse
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ExportError, ImageError, OptionError
from convolve.exports.card import CARD, ExportCard, read_card
from convolve.exports.engine import Engine, EngineOptions, Work
from convolve.exports.images import FoundInImage, ReadImage, run_images
from convolve.files import shell_quote
from convolve.progress import Listener, Pace
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.exported_task import ExportedTask
from convolve.tasks.registry import build_options, find_exported, find_task
from convolve.values import Dataset, Images, Indices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from convolve.tasks.task import Evaluation

MANY = 8
"""From so many images on, the network runs several at a time."""


@dataclass(frozen=True)
class Export:
    """An export's folder with its task and its network."""

    folder: Path
    task: ExportedTask
    engine: Engine

    @property
    def card(self) -> ExportCard:
        """What the folder says of itself."""
        return self.task.card

    def task_options(self, use: TaskUse, values: Mapping[str, object]) -> Any:
        """The task's own options. Raises `OptionError`."""
        return build_options(self.card.task, use, values)


@dataclass(frozen=True)
class Unreadable:
    """The index of an image that cannot be read, and why."""

    index: int
    reason: str


def open_export(folder: Path, options: RuntimeOptions, work: Work = "one") -> Export:
    """Open an export. Raises `ExportError`, and `OptionError` for what an export cannot be run by."""
    if options.device not in (None, "cpu"):
        raise OptionError(f"An export runs on the processor; omit --device {options.device}.")
    if options.fast_convolutions is not None:
        raise OptionError("An export has OpenVINO's own convolutions; omit --fast-convolutions.")
    engine_options = EngineOptions(options.precision, options.threads)
    task = restore_exported(folder, read_card(folder))
    return Export(folder, task, Engine(folder, task.card, engine_options, work))


def restore_exported(folder: Path, card: ExportCard) -> ExportedTask:
    """The task of an export's card. Raises `ExportError` where the card cannot be its own."""
    try:
        return find_exported(card.task).restore(card)
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{folder / CARD} is damaged (state: {error}); export the run again.") from error


def run_export(
    export: Export, images: Images, indices: Iterable[int], read: Callable[[Images, int], ReadImage]
) -> Iterator[FoundInImage | Unreadable]:
    """What leaves the network for each of some images, read ahead by several threads; and those that cannot be read,
    each before any image of a higher index.
    """
    broken: deque[Unreadable] = deque()
    readable = _readable(in_order(partial(_read, images, read), indices), broken)
    for found in run_images(export.engine, readable):
        while broken and broken[0].index < found.index:
            yield broken.popleft()
        yield found
    yield from broken


def select_split(export: Export, data: str | None, split: str | None) -> tuple[Dataset, str, Indices]:
    """The data in the export's classes, the name of the split, and its images; by default all. Raises `DataError`."""
    from convolve.datasets.layouts import open_with_ground_truth

    if data is None:
        command = f"convolve evaluate {shell_quote(export.folder)} DATA"
        raise DataError(f"{export.folder} is an export, which has no data of its own; pass some: {command}.")
    kind = find_task(export.card.task)
    dataset = open_with_ground_truth(data, kind.info.ground_truth, kind.info.layout)
    if kind.info.ground_truth in dataset.ground_truths:  # else the task may compute it
        dataset = dataset.for_ground_truth(kind.info.ground_truth)
    dataset = export.task.conform(kind.accept(dataset, export.task_options("train", {})))
    parts = {**dataset.given_splits, "all": np.arange(len(dataset))}
    name = split or "all"
    if name not in parts or not len(parts[name]):
        present = ", ".join(part for part, indices in parts.items() if len(indices))
        raise DataError(f"{dataset.root} has no {name} images; choose --split from {present}.")
    return dataset, name, parts[name]


def has_learned(export: Export, data: str, split: str) -> bool:
    """Whether the run that was exported has learned from some of these images: its own data, by its path or name."""
    path = Path(data).expanduser()
    own = export.card.source.get("data")
    return split in ("all", "train") and own is not None and own in (data, str(path.resolve()))


def evaluate_export(export: Export, dataset: Dataset, split: str, indices: Indices, listener: Listener) -> Evaluation:
    """Every metric of a split; images that cannot be read are left out. Raises `DataError` where none can be read."""
    return export.task.evaluate(split, dataset, _readable_results(export, dataset.images, indices, listener))


def _readable_results(export: Export, images: Images, indices: Indices, listener: Listener) -> Iterator[FoundInImage]:
    pace, count = Pace(listener, "evaluate", len(indices), "images"), 0
    for done, found in enumerate(run_export(export, images, indices.tolist(), export.task.read), 1):
        pace(done)
        if isinstance(found, FoundInImage):
            count += 1
            yield found
    if not count:
        raise DataError("None of the images to measure on can be read; `convolve data` says why.")


def _readable(
    read: Iterable[tuple[int, ReadImage] | Unreadable], broken: deque[Unreadable]
) -> Iterator[tuple[int, ReadImage]]:
    """The images; those that cannot be read go to ``broken``."""
    for one in read:
        if isinstance(one, Unreadable):
            broken.append(one)
        else:
            yield one


def _read(images: Images, read: Callable[[Images, int], ReadImage], index: int) -> tuple[int, ReadImage] | Unreadable:
    try:
        return index, read(images, index)
    except ImageError as error:
        return Unreadable(index, str(error))
