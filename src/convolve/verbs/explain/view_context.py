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

from convolve.datasets.batches import Batches, BatchOptions
from convolve.errors import DataError
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.files import beside, write_bytes
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.tasks.task import Task, find
from convolve.training.run import Run
from convolve.values import Batch, Floats, Pixels, Preprocessing
from convolve.verbs.explain.images import ImageBatch, run_split
from convolve.verbs.explain.measurement import Context
from convolve.verbs.looking import visible
from convolve.verbs.preparing import READERS, examples_of, scoring_batch
from convolve.words import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW = 6  # images that views show


@dataclass(frozen=True)
class ViewContext:
    """What the views work on.

    ``images`` are the names of N images; ``pixels`` (N, h, w, C) the network's input or larger, and ``inputs``
    (N, C, H, W) the same on the device, with what is explained of them in ``targets``; N may be 0, and views that need
    an image say so. ``classes`` are the names of the run's classes and ``class_indices`` those to show; none stands for
    each image's prediction. ``training`` opens the training images, which patches and statistics look through, and
    ``unseen`` images that were not trained on, for the embedding; both in random order. Files go into the folder
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
        classes=context.run.manifest.classes,
        images=tuple(images[:_FEW]),
        pixels=np.stack(few.pixels),
        inputs=few.inputs,
        targets=few.targets,
        stage=context.options.stage,
        class_indices=context.classes,
        out=out,
        training=partial(_shuffled_batches, context.run, "train"),
        unseen=partial(_shuffled_batches, context.run, None),
    )


def require_images(context: ViewContext, view: View) -> None:
    """Raises `DataError` where no image is given."""
    if not context.images:
        raise DataError(f"--show {view} shows what the network computes of an image; name one.")


def require_classes(context: ViewContext, view: View) -> None:
    """Raises `DataError` where the run has no classes."""
    if not context.classes:
        raise DataError(f"--show {view} needs classes, and the run has none; leave it out.")


def first_images(batches: Iterator[Batch], images: int) -> Iterator[Batch]:
    """Batches until there are that many images; the last one is cut."""
    for batch in batches:
        count = len(batch.indices[:images])
        yield Batch(batch.images[:count], batch.targets[:count], batch.indices[:count])
        images -= count
        if not images:
            break


def to_pixels(images: Floats, preprocessing: Preprocessing) -> Pixels:
    """(N, H, W, C) uint8 of network inputs (N, C, H, W)."""
    return visible(images.transpose(0, 2, 3, 1), preprocessing)


def file_stem(view: View, index: int, name: str) -> str:
    """The name, without its ending, of the file in which a view shows one of the images."""
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in Path(name).stem)
    return f"{view}-{index + 1}-{stem[:60]}"


def write_view(path: Path, figure: Image.Image | Figure, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Path, ...]:
    """Write `path.png` and `path.npz`. Raises `ConvolveError`."""
    numbers = path.with_name(f"{path.name}.npz")
    with beside(numbers) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return write_figure(path.with_name(f"{path.name}.png"), figure), numbers


def write_figure(path: Path, figure: Image.Image | Figure) -> Path:
    """Write a PNG file. Raises `ConvolveError`."""
    if isinstance(figure, Image.Image):
        with beside(path) as draft:
            figure.save(draft, "PNG")
    else:
        from convolve.reports.drawing import as_png

        write_bytes(path, as_png(figure))
    return path


def _shuffled_batches(run: Run, split: Literal["train"] | None) -> Iterator[Batch]:
    """A split of the run without augmentation, by default the one that it was evaluated on, in random order."""
    dataset, part = run_split(run, split)
    preprocessing = run.manifest.preprocessing
    examples = examples_of(find(run.manifest.task), dataset, preprocessing)
    options = BatchOptions(preprocessing, scoring_batch(preprocessing), seed=0, shuffle=True, workers=READERS)
    return iter(Batches(examples.source, examples.truth, examples.of(part), options).epoch(0))
