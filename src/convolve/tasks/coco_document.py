"""Predictions as one file of COCO's annotations, for tools in which people correct them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from convolve import __version__
from convolve.datasets.layouts.coco import PREDICTED
from convolve.files import check_replaceable, write_text
from convolve.untrusted.files import read_start

_FILE = "predictions.json"


def check_document(folder: Path) -> None:
    """Raise `DataError` where a folder's `predictions.json` is another one."""
    check_replaceable(folder / _FILE, _is_predicted, "file of predictions that convolve wrote")


def write_document(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write `predictions.json`; its path. Raises `ConvolveError`."""
    path = folder / _FILE
    write_text(path, json.dumps(document, ensure_ascii=False))
    return path


def build_document(
    images: Sequence[tuple[str, tuple[int, int]]], classes: Sequence[str], annotations: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """A document of ``images`` by name and (height, width), which count from 1 as the ``classes`` do, and of
    annotations without their numbers.

    Images are named by their paths below their common folder.
    """
    paths = [PurePath(os.path.abspath(name)) for name, _ in images]  # noqa: PTH100 - links stay as they are
    above = os.path.commonpath([path.parent for path in paths])
    return {
        "info": {"description": f"{PREDICTED} {__version__}"},
        "licenses": [],
        "categories": [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes, 1)],
        "images": [
            {"id": number, "file_name": path.relative_to(above).as_posix(), "height": size[0], "width": size[1]}
            for number, ((_, size), path) in enumerate(zip(images, paths, strict=True), 1)
        ],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
    }


def _is_predicted(path: Path) -> bool:
    beginning = f'{{"info": {{"description": "{PREDICTED}'.encode()
    return read_start(path, len(beginning)) == beginning
