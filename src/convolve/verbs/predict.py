"""`convolve predict`: what a run's network sees in images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from convolve.errors import DataError, ImageError, OptionError
from convolve.options import flat
from convolve.progress import Listener, Step
from convolve.verbs.running import Running, restored
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.data.images import ImageFiles
    from convolve.runtime import Runtime
    from convolve.tasks.classify import Classify
    from convolve.values import Floats, Pixels, Preprocessing

UNSURE = "unsure"
_BATCH = 32
_READERS = 2


@dataclass(frozen=True)
class Predict:
    """Say what a trained network sees in images."""

    run: Path
    """Folder of the run."""
    images: tuple[str, ...]
    """Images and folders of images; `-` reads their names from standard input, one a line."""
    _: KW_ONLY
    top: int = 3
    """How many classes to give for each image, most likely first."""
    threshold: float | None = None
    """Answer `unsure` below this confidence (0 to 1), which `convolve evaluate` suggests; where an image may carry
    several labels, name those from this confidence on, 0.5 unless said."""
    csv: Path | None = None
    """Write the predictions to this file too."""
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Answer:
    """One image's ``label`` (`unsure`, or several joined by `;`), its confidence, and the likeliest classes.

    ``error`` says why an image could not be read; it has no label then.
    """

    image: str
    label: str = ""
    confidence: float = 0.0
    classes: tuple[tuple[str, float], ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Answers:
    """The answers in the order of the images."""

    answers: tuple[Answer, ...]

    def as_json(self) -> dict[str, Any]:
        """`predictions`: one dictionary for each image."""
        return {"predictions": [asdict(answer) for answer in self.answers]}


def run(options: Predict, listener: Listener) -> Answers:
    """Predict every image. Raises `RunError`, and `DataError` when no image is found or none can be read."""
    from convolve.training.run import open_run

    if options.top < 1:
        raise OptionError(f"top cannot be {options.top}; it takes a whole number from 1.")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise OptionError(f"threshold cannot be {options.threshold}; it takes a number from 0 to 1.")
    images = found_images(options.images)
    trained = open_run(options.run)
    task, runtime = restored(trained, options.running)
    preprocessing = trained.manifest.preprocessing
    answers: list[Answer] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(images), _BATCH):
            indices = range(start, min(start + _BATCH, len(images)))
            found = list(pool.map(partial(_read, images, preprocessing), indices))
            readable = [pixels for pixels in found if not isinstance(pixels, ImageError)]
            fresh = _answered(task, runtime, preprocessing, readable, options)
            for index, pixels in zip(indices, found, strict=True):
                broken = isinstance(pixels, ImageError)
                answer = Answer("", error=str(pixels)) if broken else next(fresh)
                answers.append(replace(answer, image=images.name(index)))
            listener(Step("predict", len(answers), len(images)))
    if all(answer.error for answer in answers):
        raise DataError(f"None of the {len(answers)} images can be read; the first: {answers[0].error}")
    result = Answers(tuple(answers))
    if options.csv:
        _write_csv(options.csv, result)
    return result


def shown(result: Answers) -> Iterator[RenderableType]:
    """A table of the answers, and the images that could not be read."""
    from rich.table import Column, Table
    from rich.text import Text

    headings = [Column(name, overflow="fold") for name in ("image", "label", "confidence", "likeliest")]
    table = Table(*headings, box=None, header_style="bold")
    for answer in result.answers:
        if answer.error:
            continue
        likeliest = ", ".join(f"{name} {share:.1%}" for name, share in answer.classes)
        table.add_row(*map(Text, (answer.image, answer.label, f"{answer.confidence:.1%}", likeliest)))
    yield table
    for answer in result.answers:
        if answer.error:
            yield Text(f"left out: {answer.error}", style="yellow")


def found_images(names: Sequence[str]) -> ImageFiles:
    """The images of files and folders, `-` for standard input. Raises `DataError` where there is none."""
    from convolve.data.images import ImageFiles
    from convolve.data.layouts.parts import image_files

    if "-" in names:
        names = [name for name in names if name != "-"] + [line.strip() for line in sys.stdin if line.strip()]
    files: list[str] = []
    for name in names:
        place = Path(name)
        if not place.exists():
            raise DataError(f"{name} does not exist; give images, or folders of images.")
        files += [str(place / inner) for inner in image_files(place)] if place.is_dir() else [name]
    if not files:
        raise DataError(f"There is no image in {', '.join(names) or 'what standard input names'}.")
    return ImageFiles(Path(), tuple(files))


def _read(images: ImageFiles, preprocessing: Preprocessing, index: int) -> Pixels | ImageError:
    from convolve.data.preprocess import fitted, least_side

    try:
        return fitted(images.read(index, least_side(preprocessing)), preprocessing)
    except ImageError as error:
        return error


def _answered(
    task: Classify, runtime: Runtime, preprocessing: Preprocessing, pixels: Sequence[Pixels], options: Predict
) -> Iterator[Answer]:
    """An answer, still without a name, for each image's pixels."""
    import numpy as np
    import torch

    from convolve.data.preprocess import normalised

    if not pixels:
        return
    with torch.inference_mode(), runtime.autocast():
        scores = task.predict(runtime.images(normalised(np.stack(pixels), preprocessing))).cpu().numpy()
    for row in scores:
        yield _answer(row, task, options)


def _answer(scores: Floats, task: Classify, options: Predict) -> Answer:
    import numpy as np

    order = np.argsort(-scores, kind="stable")[: options.top]
    likeliest = tuple((task.classes[index], float(scores[index])) for index in order.tolist())
    if task.multiple:
        least = 0.5 if options.threshold is None else options.threshold
        present = [name for name, share in zip(task.classes, scores, strict=True) if share >= least]
        return Answer("", ";".join(present), likeliest[0][1], likeliest)
    label, confidence = likeliest[0]
    return Answer("", label if confidence >= (options.threshold or 0.0) else UNSURE, confidence, likeliest)


def _write_csv(place: Path, result: Answers) -> None:
    import io

    from convolve.files import write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "confidence", "error"])
    for answer in result.answers:
        writer.writerow([answer.image, answer.label, f"{answer.confidence:.6f}" if answer.label else "", answer.error])
    write_text(place, text.getvalue())


VERB = Verb(Predict, run, shown)
