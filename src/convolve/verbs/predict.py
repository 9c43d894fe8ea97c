"""`convolve predict`: what the network of a run or of an export predicts for images."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import DataError, ImageError, escape_text
from convolve.options import Flat, TaskOptions
from convolve.progress import Listener, Progress
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.info import Remarking

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.datasets.images import ImageFiles
    from convolve.tasks.exported_task import ExportedPredictor
    from convolve.tasks.task import Prediction, Predictor


@dataclass(frozen=True)
class Predict:
    """Predict images with a trained network, or with an export of one."""

    run: Path
    """Folder of the run, or of an export."""
    images: tuple[str, ...]
    """Images and folders of images; `-` reads their names from standard input, one per line."""
    _: KW_ONLY
    csv: Path | None = None
    """Also write the predictions to this file."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)
    task_options: TaskOptions = field(default_factory=dict)
    """Options of the run's task."""


@dataclass(frozen=True)
class Predictions:
    """The predictions in the order of the images, the file of all of them, where the task writes one, a last row of the
    table for all images, where the task gives one, and sentences on all of them.
    """

    predictions: tuple[Prediction, ...]
    annotations: Path | None = None
    total: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`predictions`: one dictionary for each image; `annotations`: the file, if any; `total`: the row, if any;
        `remarks`: the sentences, if any.
        """
        path = {"annotations": str(self.annotations)} if self.annotations else {}
        total = {"total": dict(self.total)} if self.total else {}
        remarks = {"remarks": list(self.remarks)} if self.remarks else {}
        return {"predictions": [prediction.as_json() for prediction in self.predictions], **path, **total, **remarks}

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
    images = find_images(options.images)
    predict = _predict_by_export if is_export(options.run) else _predict_by_run
    result = predict(options, images, listener)
    if options.csv:
        _write_csv(options.csv, result)
    return result


def _predict_by_run(options: Predict, images: ImageFiles, listener: Listener) -> Predictions:
    from convolve.datasets.parallel import reader_threads
    from convolve.setup.restore import restore_task
    from convolve.tasks.registry import build_options
    from convolve.training.run import open_run

    trained = open_run(options.run)
    own = build_options(trained.manifest.task, "predict", options.task_options)
    task, runtime = restore_task(trained, options.runtime, listener)
    predictor = task.predictor(trained.manifest.preprocessing, runtime, own)
    predictions: list[Prediction] = []
    with ThreadPoolExecutor(reader_threads()) as pool:
        for start in range(0, len(images), predictor.batch_size):
            indices = range(start, min(start + predictor.batch_size, len(images)))
            inputs = dict(zip(indices, pool.map(partial(_read, predictor, images), indices), strict=True))
            broken = {index: str(error) for index, error in inputs.items() if isinstance(error, ImageError)}
            readable = [index for index in indices if index not in broken]
            batch = predictor.predict([images.name(index) for index in readable], [inputs[index] for index in readable])
            for index in indices:
                name = images.name(index)
                predictions.append(predictor.unreadable(name, broken[index]) if index in broken else next(batch))
            listener(Progress("predict", len(predictions), len(images)))
    return _gathered(predictor, predictions)


def _predict_by_export(options: Predict, images: ImageFiles, listener: Listener) -> Predictions:
    """Without torch."""
    from convolve.setup.exported import MANY, Unreadable, open_export, run_export

    export = open_export(options.run, options.runtime, "many" if len(images) >= MANY else "one")
    own = export.task_options("predict", options.task_options)
    predictor = export.task.predictor(own, export.engine.outputs)
    predictions: list[Prediction] = []
    for found in run_export(export, images, range(len(images)), predictor.read):
        name = images.name(found.index)
        if isinstance(found, Unreadable):
            predictions.append(predictor.unreadable(name, found.reason))
        else:
            predictions.append(predictor.predict(name, found))
        listener(Progress("predict", len(predictions), len(images)))
    return _gathered(predictor, predictions)


def _gathered(predictor: Predictor | ExportedPredictor, predictions: Sequence[Prediction]) -> Predictions:
    """All predictions, and what belongs to all of them together. Raises `DataError` when no image could be read."""
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


def _read(predictor: Predictor, images: ImageFiles, index: int) -> Any:
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
