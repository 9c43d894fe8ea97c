"""What the views of `convolve explain --show` work on, and how they write files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from convolve.choices import View
from convolve.errors import DataError
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.files import atomic_write, check_replaceable, write_bytes
from convolve.marks import has_mark, save_png
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.setup.contact_sheet import denormalize
from convolve.setup.prepare import evaluation_batches
from convolve.setup.restore import run_examples
from convolve.tasks.task import Task
from convolve.training.run import Run
from convolve.untrusted.files import read_start
from convolve.values import Batch, Floats, Indices, Pixels, Preprocessing
from convolve.verbs.explain.images import ImageBatch, run_split
from convolve.verbs.explain.measurement import Context

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW = 6  # images that views show
_ZIP = b"PK\x03\x04"  # how NumPy's archives begin


@dataclass(frozen=True)
class ViewContext:
    """What the views work on.

    ``images`` are the names of N images; ``pixels`` (N, h, w, C) the network's input or larger, and ``inputs``
    (N, C, H, W) the same on the device, with what is explained of them in ``targets``; N may be 0, and views that need
    an image say so. ``classes`` are the names of the run's classes and ``class_indices`` those to show; none stands for
    each image's prediction. ``training`` opens the training images, which patches and statistics look through, and
    ``unseen`` images that were not trained on, for the embedding; both in random order. ``unseen_classes`` gives
    the first class of each of those by index. Files go into the folder
    ``out``.
    """

    task: Task
    runtime: Runtime
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    images: tuple[str, ...]
    pixels: Pixels
    inputs: Tensor
    targets: ExplanationTargets
    stage: str | None
    class_indices: tuple[int, ...]
    out: Path
    training: Callable[[], Iterator[Batch]]
    unseen: Callable[[], Iterator[Batch]]
    unseen_classes: Callable[[Indices], Indices]
    seed: int = 0

    @property
    def network(self) -> Network:
        """The task's network."""
        return self.task.network

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the input."""
        return self.preprocessing.channels, self.preprocessing.height, self.preprocessing.width


def view_context(context: Context, batch: ImageBatch, images: Sequence[str], out: Path) -> ViewContext:
    """That of the first images of a batch, and of the run's own data."""
    few = batch.take(np.arange(min(_FEW, len(batch.indices))))
    return ViewContext(
        task=context.task,
        runtime=context.runtime,
        preprocessing=context.run.manifest.preprocessing,
        classes=context.task.classes,
        images=tuple(images[:_FEW]),
        pixels=np.stack(few.pixels),
        inputs=few.inputs,
        targets=few.targets,
        stage=context.options.stage,
        class_indices=context.classes,
        out=out,
        training=partial(_shuffled_batches, context.run, context.task, "train"),
        unseen=partial(_shuffled_batches, context.run, context.task, None),
        unseen_classes=partial(_first_classes, context.run, context.task),
    )


def require_images(context: ViewContext, view: View) -> None:
    """Raises `DataError` where no image is given."""
    if not context.images:
        raise DataError(f"--show {view} shows what the network computes of an image; name one.")


def require_classes(context: ViewContext, view: View) -> None:
    """Raises `DataError` where the run has no classes."""
    if not context.classes:
        raise DataError(f"--show {view} needs classes, and the run has none; leave it out.")


def first_batches(batches: Iterator[Batch], images: int) -> Iterator[Batch]:
    """Whole batches until there are at least that many images."""
    for batch in batches:
        yield batch
        images -= len(batch.indices)
        if images <= 0:
            break


def to_pixels(images: Floats, preprocessing: Preprocessing) -> Pixels:
    """(N, H, W, C) uint8 of network inputs (N, C, H, W)."""
    return denormalize(images.transpose(0, 2, 3, 1), preprocessing)


def file_stem(view: View, index: int, name: str) -> str:
    """The name, without its ending, of the file in which a view shows one of the images."""
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in Path(name).stem)
    return f"{view}-{index + 1}-{stem[:60]}"


def write_view(path: Path, figure: Image.Image | Figure, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Path, ...]:
    """Write `path.png` and `path.npz`. Raises `ConvolveError`."""
    drawn, numbers = (path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "npz"))
    check_replaceable(drawn, has_mark, "figure that convolve wrote")
    check_replaceable(numbers, lambda path: has_mark(drawn) and read_start(path, len(_ZIP)) == _ZIP)
    with atomic_write(numbers) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return write_figure(drawn, figure), numbers


def write_figure(path: Path, figure: Image.Image | Figure) -> Path:
    """Write a PNG file. Raises `ConvolveError`."""
    check_replaceable(path, has_mark, "figure that convolve wrote")
    if isinstance(figure, Image.Image):
        with atomic_write(path) as draft:
            save_png(figure, draft)
    else:
        from convolve.reports.drawing import as_png

        write_bytes(path, as_png(figure))
    return path


def _first_classes(run: Run, task: Task, indices: Indices) -> Indices:
    """(N,) the first class that each image of the run's data has."""
    dataset, _ = run_split(run, task)
    presence = dataset.ground_truths[task.info.ground_truth].presence()
    return np.asarray(presence[indices].argmax(1), dtype=np.int64)


def _shuffled_batches(run: Run, task: Task, split: Literal["train"] | None) -> Iterator[Batch]:
    """A split of the run without augmentation, by default the one that it was evaluated on, in random order."""
    dataset, part = run_split(run, task, split)
    batches = evaluation_batches(run_examples(run, dataset), part, run.manifest.preprocessing, shuffle=True)
    return batches.epoch(0)
