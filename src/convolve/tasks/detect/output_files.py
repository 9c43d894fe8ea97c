"""The files of predicted boxes: COCO's annotations, COCO's results, and text files as YOLO has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.files import check_replaceable, write_text
from convolve.tasks.coco_document import build_document, check_document, write_document
from convolve.untrusted.files import read_start

if TYPE_CHECKING:
    from convolve.tasks.detect.prediction import BoxPrediction

_RESULTS = "results.json"
_START = '[{"image_id": '


def check_files(folder: Path) -> None:
    """Raise `DataError` where a folder has files of these names that convolve did not write."""
    check_document(folder)
    check_replaceable(folder / _RESULTS, _is_results, "file of results that convolve wrote")


def write_files(folder: Path, predictions: Sequence[BoxPrediction], classes: Sequence[str]) -> Path:
    """Write `predictions.json`, in which each annotation has a `score`, and `results.json`, a list of the boxes alone,
    as COCO's own program evaluates it; both number images and classes alike. The path of the first. Raises
    `ConvolveError`.
    """
    numbers = {name: number for number, name in enumerate(classes, 1)}
    results = [one for number, each in enumerate(predictions, 1) for one in _results(each, number, numbers)]
    write_text(folder / _RESULTS, json.dumps(results))
    annotations = [one | {"area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0} for one in results]
    images = [(each.image, each.size) for each in predictions]
    return write_document(folder, build_document(images, classes, annotations))


def yolo_lines(prediction: BoxPrediction) -> str:
    """A line for each object: its class index, center, width and height as fractions of the image's, the confidence."""
    height, width = prediction.size
    lines = []
    for each in prediction.detections:
        left, top, right, bottom = each.box
        center = (left + right) / 2 / width, (top + bottom) / 2 / height
        values = (*center, (right - left) / width, (bottom - top) / height, each.score)
        lines.append(f"{prediction.names.index(each.name)} {' '.join(f'{value:.6f}' for value in values)}\n")
    return "".join(lines)


def _results(prediction: BoxPrediction, number: int, numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    for each in prediction.detections:
        left, top, right, bottom = each.box
        yield {
            "image_id": number,
            "category_id": numbers[each.name],
            "bbox": [left, top, right - left, bottom - top],
            "score": each.score,
        }


def _is_results(path: Path) -> bool:
    return read_start(path, len(_START)) in (_START.encode(), b"[]")
