"""Fuzzers of what use cases read: captions, regions of a shelf, boxes, times of photographs, holes; and of jobs."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from convolve.datasets.box_crops import read_boxes
from convolve.datasets.images import ImageFiles
from convolve.datasets.layouts import open_dataset
from convolve.datasets.photo_time import photo_time
from convolve.datasets.reading import ReadingOptions
from convolve.serve.jobs import DOCUMENT, EVENTS, Job
from convolve.tasks.caption import predictor as captions
from convolve.tasks.detect.shelf import read_regions
from convolve.tasks.restore.inpainting.restorer import read_transparency
from tests.fuzz.reader import put, register
from tests.fuzz.table_readers import PICTURE

_COCO = json.dumps(
    {"images": [{"id": 3, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 3, "caption": "a red circle"}]}
).encode()
_SHELF = b"""size = [128, 96]
[regions.top]
box = [0, 0, 128, 46]
minimum = { can = 1 }
[regions.bottom]
polygon = [[0, 46], [128, 46], [128, 96]]
"""
_BOXES = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12], "score": 0.9}],
    }
).encode()


def _captions(name: str, content: bytes, folder: Path) -> None:
    put(folder, {"a.jpg": PICTURE, name: content})
    assert len(open_dataset(folder, ReadingOptions(layout="captions"))) == 1


def _shelf(content: bytes, folder: Path) -> None:
    (folder / "shelf.toml").write_bytes(content)
    assert read_regions(folder / "shelf.toml", None, ("can", "box"))


def _boxes(content: bytes, folder: Path) -> None:
    (folder / "boxes.json").write_bytes(content)
    read_boxes(folder / "boxes.json", None)


def _photograph() -> bytes:
    stream = io.BytesIO()
    tags = Image.Exif()
    tags[0x9003] = tags[0x0132] = "2026:11:28 09:15:00"
    Image.new("RGB", (9, 7)).save(stream, "JPEG", exif=tags)
    return stream.getvalue()


def _time(content: bytes, folder: Path) -> None:
    (folder / "photo.jpg").write_bytes(content)
    assert photo_time(folder / "photo.jpg").source in ("EXIF", "file")


def _transparent() -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 4)).astype(np.uint8)
    Image.fromarray(pixels, "RGBA").save(stream, "PNG")
    return stream.getvalue()


def _hole(content: bytes, folder: Path) -> None:
    (folder / "a.png").write_bytes(content)
    assert read_transparency(ImageFiles(folder, ("a.png",)), 0).ndim == 2


def _job(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)
    assert isinstance(Job(folder).document()["command"], str)
    assert all(isinstance(event["event"], str) for event in Job(folder).events())


def _results(content: bytes, folder: Path) -> None:
    (folder / "results.json").write_bytes(content)
    assert not captions._is_results(folder / "results.json") or content.startswith(b"[")


register("captions-coco", "datasets.layouts.captions", lambda: [_COCO], partial(_captions, "captions_train2017.json"))
register(
    "captions-csv", "datasets.layouts.captions", lambda: [b"image,caption\na.jpg,a b"], partial(_captions, "c.csv")
)
register("shelf", "tasks.detect.shelf", lambda: [_SHELF], _shelf)
register("boxes-to-cut", "datasets.box_crops", lambda: [_BOXES], _boxes)
register("photo-time", "datasets.photo_time", lambda: [_photograph()], _time)
register("transparency", "tasks.restore.inpainting.restorer", lambda: [_transparent()], _hole)
register("caption-results", "tasks.caption.predictor", lambda: [b'[{"image_id": 1, "caption": "a"}]'], _results)
register("job", "serve.jobs", lambda: [b'{"command": "data", "options": {}}'], partial(_job, DOCUMENT))
register("job-events", "serve.jobs", lambda: [b'{"event": "started"}\n{"event": "done"}\n'], partial(_job, EVENTS))
