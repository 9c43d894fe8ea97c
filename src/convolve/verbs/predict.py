"""`convolve predict`: what a run's network sees in images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
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

    from convolve.datasets.images import ImageFiles
    from convolve.tasks.task import Answer, Answering

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
    several labels, name those from this confidence on, 0.5 unless said; of a mask, leave less certain pixels white."""
    csv: Path | None = None
    """Write the predictions to this file too."""
    out: Path | None = None
    """Folder for each image's mask, an indexed PNG of the image's own size, for it laid over the image, and for
    `predictions.json`, all regions as COCO's polygons."""
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Answers:
    """The answers in the order of the images, and the file of all of them, where the task writes one."""

    answers: tuple[Answer, ...]
    annotations: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """`predictions`: one dictionary for each image; `annotations`: the file, if any."""
        place = {"annotations": str(self.annotations)} if self.annotations else {}
        return {"predictions": [answer.as_json() for answer in self.answers], **place}


def run(options: Predict, listener: Listener) -> Answers:
    """Predict every image. Raises `RunError`, and `DataError` when no image is found or none can be read."""
    from convolve.tasks.task import Wanted, find
    from convolve.training.run import open_run

    if options.top < 1:
        raise OptionError(f"top cannot be {options.top}; it takes a whole number from 1.")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise OptionError(f"threshold cannot be {options.threshold}; it takes a number from 0 to 1.")
    images = found_images(options.images)
    trained = open_run(options.run)
    task, runtime = restored(trained, options.running)
    wanted = Wanted(options.top, options.threshold, options.out)
    answering = find(trained.manifest.task).answering(task, trained.manifest, runtime, wanted)
    answers: list[Answer] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(images), answering.together):
            indices = range(start, min(start + answering.together, len(images)))
            found = dict(zip(indices, pool.map(partial(_read, answering, images), indices), strict=True))
            broken = {index: str(error) for index, error in found.items() if isinstance(error, ImageError)}
            readable = [index for index in indices if index not in broken]
            fresh = answering.answers([images.name(index) for index in readable], [found[index] for index in readable])
            for index in indices:
                name = images.name(index)
                answers.append(answering.unread(name, broken[index]) if index in broken else next(fresh))
            listener(Step("predict", len(answers), len(images)))
    if all(answer.error for answer in answers):
        raise DataError(f"None of the {len(answers)} images can be read; the first: {answers[0].error}")
    result = Answers(tuple(answers), answering.written(answers))
    if options.csv:
        _write_csv(options.csv, result)
    return result


def shown(result: Answers) -> Iterator[RenderableType]:
    """A table of the answers, and the images that could not be read."""
    from rich.table import Column, Table
    from rich.text import Text

    read = [answer.cells() for answer in result.answers if not answer.error]
    table = Table(*(Column(name, overflow="fold") for name in read[0]), box=None, header_style="bold")
    for cells in read:
        table.add_row(*map(Text, cells.values()))
    yield table
    for answer in result.answers:
        if answer.error:
            yield Text(f"left out: {answer.error}", style="yellow")
    if result.annotations:
        yield Text(f"annotations  {result.annotations}")


def found_images(names: Sequence[str]) -> ImageFiles:
    """The images of files and folders, `-` for standard input. Raises `DataError` where there is none."""
    from convolve.datasets.images import ImageFiles
    from convolve.datasets.layouts.parts import image_files

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


def _read(answering: Answering, images: ImageFiles, index: int) -> Any:
    try:
        return answering.read(images, index)
    except ImageError as error:
        return error


def _write_csv(place: Path, result: Answers) -> None:
    import io

    from convolve.files import write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, list(result.answers[0].entries()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(answer.entries() for answer in result.answers)
    write_text(place, text.getvalue())


VERB = Verb(Predict, run, shown)
