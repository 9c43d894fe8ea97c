"""`convolve predict`: what the network of a run or of an export predicts for images."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import DataError, ImageError, OptionError, escape_text
from convolve.options import Flat, TaskOptions
from convolve.progress import Listener, Message, Progress
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.info import Remarking
from convolve.training.interrupt import Interruption

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.datasets.image_sources import ImageSource
    from convolve.datasets.images import ImageFiles
    from convolve.tasks.exported_task import ExportedPredictor
    from convolve.tasks.task import Prediction, Predictor
    from convolve.values import Images

_LARGEST_MARGIN = 2
_EXPORTED_AT_ONCE = 256
"""Images that an export is given at a time; it reads ahead among them."""


@dataclass(frozen=True)
class Predict:
    """Predict images with a trained network, or with an export of one."""

    run: Path
    """Folder of the run, or of an export."""
    images: tuple[str, ...]
    """Images, folders of images, video files, and cameras, such as `camera:0`; `-` reads their names from standard
    input, one per line."""
    _: KW_ONLY
    every: str | None = None
    """Of a video or a camera, predict one frame in so many (`10`), or one every so many seconds (`2s`)."""
    boxes: Path | None = None
    """Predict what is cut out around each box of this file, such as the `predictions.json` of a detector for the same
    images."""
    box_class: str | None = None
    """With `--boxes`: the class of the boxes, where the file has several."""
    box_margin: float | None = None
    """With `--boxes`: the fraction of a box's width and height that is added on every side; 0.25 by default."""
    csv: Path | None = None
    """Also write the predictions to this file."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)
    task_options: TaskOptions = field(default_factory=dict)
    """Options of the run's task."""


@dataclass(frozen=True)
class Predictions:
    """The predictions in the order of the images, the file of all of them, where the task writes one, a last row of the
    table for all images, where the task gives one, sentences on all of them, and a video of what the task has drawn
    of each video.
    """

    predictions: tuple[Prediction, ...]
    annotations: Path | None = None
    total: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    videos: tuple[Path, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`predictions`: one dictionary for each image; `annotations`: the file, if any; `total`: the row, if any;
        `remarks`: the sentences, if any; `videos`: their files, if any.
        """
        path = {"annotations": str(self.annotations)} if self.annotations else {}
        total = {"total": dict(self.total)} if self.total else {}
        more: dict[str, Any] = {"remarks": list(self.remarks)} if self.remarks else {}
        more |= {"videos": [str(path) for path in self.videos]} if self.videos else {}
        return {"predictions": [prediction.as_json() for prediction in self.predictions], **path, **total, **more}

    def _repr_html_(self) -> str:
        from convolve.datasets.images import ImageFiles
        from convolve.reports.notebook import images_html

        # What is drawn is shown in place of the image.
        images = ImageFiles(Path(), tuple(each.overlay or each.image for each in self.predictions))
        return images_html(images, [prediction.cells() for prediction in self.predictions])


def run(options: Predict, listener: Listener) -> Predictions:
    """Predict every image. Raises `RunError`, `ExportError`, and `DataError` when no image is found or none can be
    read.
    """
    from convolve.exports.card import check_run_or_export, is_export

    check_run_or_export(options.run)
    if options.csv:
        from convolve.datasets.layouts.table_cells import is_predictions
        from convolve.files import check_replaceable

        check_replaceable(options.csv, is_predictions, "table of predictions that convolve wrote")
    interruption = Interruption()
    sources = find_sources(options.images, options.every, lambda: interruption.requested)
    sources = _crop_sources(options, sources)
    with ExitStack() as stack:
        if any(source.is_stream for source in sources):  # a person ends it, and keeps what was done
            stack.enter_context(interruption)
        work = (_open_export if is_export(options.run) else _open_run)(options, sources, listener)
        if any(source.is_camera for source in sources):
            listener(Message("The camera is watched until you press Ctrl-C."))
        result = _predict_all(work, sources, interruption, listener)
    if options.csv:
        _write_csv(options.csv, result)
    return result


@dataclass(frozen=True)
class _Work:
    """A predictor, what it says of some images, in order, and how many it is given at a time."""

    predictor: Predictor | ExportedPredictor
    predict: Callable[[Images], Iterator[Prediction]]
    most: int


def _crop_sources(options: Predict, sources: list[ImageSource]) -> list[ImageSource]:
    """The boxes in the images in their place, if a person gives any. Raises `OptionError` and `DataError`."""
    if options.boxes is None:
        if options.box_class is not None or options.box_margin is not None:
            raise OptionError("--box-class and --box-margin are about boxes; add --boxes, or omit them.")
        return sources
    from convolve.datasets.box_crops import MARGIN, CropSource, read_boxes

    margin = MARGIN if options.box_margin is None else options.box_margin
    if not 0 <= margin <= _LARGEST_MARGIN:
        raise OptionError(f"box_margin cannot be {margin}; it must be a number from 0 to {_LARGEST_MARGIN}.")
    boxes = read_boxes(options.boxes, options.box_class)
    return [CropSource(source, boxes, margin) for source in sources]


def _predict_all(
    work: _Work, sources: Sequence[ImageSource], interruption: Interruption, listener: Listener
) -> Predictions:
    """Every image of the sources, until a person interrupts a stream."""
    expected = sum(source.expected for source in sources)
    predictions: list[Prediction] = []
    videos: list[Path] = []
    for source in sources:
        first = len(predictions)
        for images in source.parts(work.most):
            for prediction in work.predict(images):
                predictions.append(prediction)
                listener(Progress("predict", len(predictions), max(expected, len(predictions) + (not expected))))
            if interruption.requested:
                break
        video = source.join_drawn([each.overlay for each in predictions[first:] if each.overlay])
        videos += [video] if video else []
    if len(predictions) != expected:
        listener(Progress("predict", len(predictions), len(predictions)))
    result = _gathered(work.predictor, predictions)
    stopped = (f"Stopped after {len(predictions)} images.",) if interruption.requested else ()
    return replace(result, remarks=(*result.remarks, *stopped), videos=tuple(videos))


def _open_run(options: Predict, sources: Sequence[ImageSource], listener: Listener) -> _Work:
    from convolve.datasets.parallel import reader_threads
    from convolve.setup.restore import restore_task
    from convolve.tasks.registry import build_options
    from convolve.training.run import open_run

    del sources
    trained = open_run(options.run)
    own = build_options(trained.manifest.task, "predict", options.task_options)
    task, runtime = restore_task(trained, options.runtime, listener)
    predictor = task.predictor(trained.manifest.preprocessing, runtime, own)

    def predict(images: Images) -> Iterator[Prediction]:
        with ThreadPoolExecutor(reader_threads()) as pool:
            inputs = list(pool.map(partial(_read, predictor, images), range(len(images))))
        readable = [index for index, one in enumerate(inputs) if not isinstance(one, ImageError)]
        found = predictor.predict([images.name(index) for index in readable], [inputs[index] for index in readable])
        for index, one in enumerate(inputs):
            yield predictor.unreadable(images.name(index), str(one)) if isinstance(one, ImageError) else next(found)

    return _Work(predictor, predict, predictor.batch_size)


def _open_export(options: Predict, sources: Sequence[ImageSource], listener: Listener) -> _Work:
    """Without torch."""
    from convolve.setup.exported import MANY, Unreadable, open_export, run_export

    del listener
    few = all(0 < source.expected < MANY for source in sources) and sum(source.expected for source in sources) < MANY
    export = open_export(options.run, options.runtime, "one" if few else "many")
    own = export.task_options("predict", options.task_options)
    predictor = export.task.predictor(own, export.engine.outputs)

    def predict(images: Images) -> Iterator[Prediction]:
        for found in run_export(export, images, range(len(images)), predictor.read):
            name = images.name(found.index)
            if isinstance(found, Unreadable):
                yield predictor.unreadable(name, found.reason)
            else:
                yield predictor.predict(name, found)

    return _Work(predictor, predict, _EXPORTED_AT_ONCE)


def _gathered(predictor: Predictor | ExportedPredictor, predictions: Sequence[Prediction]) -> Predictions:
    """All predictions, and what belongs to all of them together. Raises `DataError` when no image could be read."""
    if not predictions:
        raise DataError("There is nothing to predict: no image, frame or box; give others.")
    if all(prediction.error for prediction in predictions):
        raise DataError(f"None of the images can be read; the first: {predictions[0].error}")
    remarks = tuple(predictor.remarks(predictions)) if isinstance(predictor, Remarking) else ()
    return Predictions(tuple(predictions), predictor.finish(predictions), predictor.total(predictions), remarks)


def render(result: Predictions) -> Iterator[RenderableType]:
    """A table of the predictions, and the images that could not be read."""
    from rich.table import Column, Table
    from rich.text import Text

    rows = [prediction.cells() for prediction in result.predictions if not prediction.error]
    table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=None, header_style="bold")
    for cells in rows:
        table.add_row(*map(Text, cells.values()))
    if result.total:
        table.add_section()
        table.add_row(*(Text(result.total.get(heading, "")) for heading in rows[0]), style="bold")
    yield table
    for remark in result.remarks:
        yield Text(remark, style="yellow")
    for prediction in result.predictions:
        if prediction.error:
            yield Text(f"skipped: {prediction.error}", style="yellow")
    if result.annotations:
        yield Text(f"annotations  {result.annotations}")
    for path in result.videos:
        yield Text(f"video  {path}")


def find_sources(names: Sequence[str], every: str | None, stopped: Callable[[], bool]) -> list[ImageSource]:
    """Where images come from, by names of files, folders, videos and cameras, `-` for standard input, in this order.
    Raises `DataError` where there is none, `OptionError` for ``every`` without a video.
    """
    from convolve.datasets.image_sources import FileSource
    from convolve.datasets.video import VideoSource, is_stream, parse_every

    step, seconds = parse_every(every)
    if "-" in names:
        names = [name for name in names if name != "-"] + _read_names()
    sources: list[ImageSource] = []
    for streams, group in groupby(names, is_stream):
        if streams:
            sources += [VideoSource(name, step, seconds, stopped) for name in group]
        else:
            sources.append(FileSource(find_images(list(group))))
    if every and not any(source.is_stream for source in sources):
        raise OptionError("--every is about videos and cameras; omit it.")
    return sources or [FileSource(find_images(names))]


def find_images(names: Sequence[str]) -> ImageFiles:
    """The images of files and folders, `-` for standard input. Raises `DataError` where there is none."""
    from convolve.datasets.images import ImageFiles
    from convolve.datasets.inventory import take_inventory

    if "-" in names:
        names = [name for name in names if name != "-"] + _read_names()
    files: list[str] = []
    for name in names:
        path = Path(name)
        if not path.exists():
            raise DataError(f"{name} does not exist; give images, or folders of images.")
        files += [str(path / inner) for inner in take_inventory(path).images] if path.is_dir() else [name]
    if not files:
        raise DataError(f"There is no image in {', '.join(names) or 'the list on standard input'}.")
    return ImageFiles(Path(), tuple(files))


def _read_names() -> list[str]:
    """The names on standard input: one per line, or between zero bytes, as `find -print0` writes them.

    They are decoded as the system's file names are, so that each one names its file; a byte order mark is none of them.
    Raises `DataError` where standard input is closed or is no list of names.
    """
    from convolve.datasets.inventory import begins_as_image

    if sys.stdin is None:
        raise DataError("Standard input is closed; give the images' names, or a list of them on standard input.")
    source = getattr(sys.stdin, "buffer", None)  # which a notebook's has not
    content = source.read() if source else os.fsencode(sys.stdin.read())
    if begins_as_image(content):
        raise DataError("Standard input is an image; give its name, or a list of names on standard input.")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        text = content.decode("utf-16", "replace")
    else:
        text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8))
    lines = text.split("\0") if "\0" in text else re.split(r"[\r\n]+", text)
    return [line if os.path.lexists(line) else line.strip() for line in lines if line.strip()]


def _read(predictor: Predictor, images: Images, index: int) -> Any:
    try:
        return predictor.read(images, index)
    except ImageError as error:
        return error


def _write_csv(path: Path, result: Predictions) -> None:
    from convolve.files import link_target, write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [row for prediction in result.predictions for row in prediction.entries()]
    writer.writerow(map(escape_text, rows[0]))
    writer.writerows([escape_text(row[column]) for column in rows[0]] for row in rows)
    write_text(link_target(path), text.getvalue())


COMMAND = Command(Predict, run, render, task_use="predict")
