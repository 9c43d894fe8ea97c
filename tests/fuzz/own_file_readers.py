"""Fuzzers of what tells the files that convolve wrote, which it may replace, from those of its user."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from convolve.datasets.layouts import table_cells
from convolve.errors import DataError
from convolve.files import check_replaceable
from convolve.marks import has_mark, is_drawing, is_page
from convolve.tasks.coco_document import _is_predicted
from convolve.tasks.detect.output_files import _is_results
from convolve.verbs.explain.output import _is_attributions
from convolve.verbs.explain.view_context import write_view
from tests.fuzz.image_readers import CLASSES, PHOTO, encode
from tests.fuzz.reader import put, register, register_file

_KINDS: Final[Mapping[str, Callable[[Path], bool]]] = {
    "a.png": lambda path: has_mark(str(path)),
    "a.html": is_page,
    "a.svg": is_drawing,
    "a.csv": table_cells.is_predictions,
    "b.csv": table_cells.is_label_errors,
    "c.csv": table_cells.is_cleaned,
    "predictions.json": _is_predicted,
    "results.json": _is_results,
    "attributions.npz": _is_attributions,
}


def _replace(content: bytes, folder: Path) -> None:
    """A file of a user is never replaced, and looking at one does no harm."""
    put(folder, dict.fromkeys((*_KINDS, "view.npz", "view.png"), content))
    for name, is_own in _KINDS.items():
        with suppress(DataError):
            check_replaceable(folder / name, is_own)
    with suppress(DataError):
        write_view(folder / "view", Image.new("L", (2, 2)), {"values": np.zeros(2)})


register(
    "own-files",
    "marks tasks.coco_document tasks.detect.output_files verbs.explain.output verbs.explain.view_context "
    "datasets.layouts.table_cells",
    lambda: [
        encode(PHOTO, "PNG"),
        b"<!DOCTYPE html>\n<html><head><meta name='generator' content='convolve'></head></html>",
        b"image,error,label\na.png,,cat\n",
        b"cleaned_path,label,split\na.png,cat,train\n",
        json.dumps({"images": [], "annotations": [], "info": {"description": "convolve"}}).encode(),
        b"PK\3\4" + bytes(26) + b"attributions.npy",
    ],
    _replace,
)
register_file(
    "pairs-table",
    "datasets.layouts.readings",
    "pairs.csv",
    b"image,mask\nimages/a.png,masks/a.png\nimages/b.png,masks/b.png\n",
    {f"images/{name}.png": encode(PHOTO.resize((16, 12)), "PNG") for name in "ab"}
    | {f"masks/{name}.png": encode(CLASSES, "PNG") for name in "ab"},
)
