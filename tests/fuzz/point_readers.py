"""Fuzzers of files of points, and of the stored proposals of regions."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from convolve.datasets import proposals
from convolve.datasets.images import DIGEST_BYTES
from tests.fuzz.image_readers import PHOTO, encode
from tests.fuzz.reader import put, register, register_file

_PICTURE = encode(PHOTO.resize((10, 6)), "PNG")
_IMAGES = {f"{name}.png": _PICTURE for name in "ab"}
_TABLE = b"image,nose_x,nose_y,left_x,left_y\na.png,1,2,5.5,4\nb.png,3,1,,\n"
_PTS = b"version: 1\nn_points: 2\n{\n1.5 2.5\n9 5\n}\n"
_BOXES = np.array([40, 60]).tobytes() + np.array([[1, 2, 30, 20], [0, 0, 40, 30]], np.uint16).tobytes()


def _read_sealed(content: bytes, folder: Path) -> None:
    """What is in a file whose digest is right."""
    put(folder, {"a.bin": content + hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()})
    with suppress(ValueError):
        proposals._read(folder / "a.bin")


register_file("point-table", "datasets.layouts.point_tables", "points.csv", _TABLE, _IMAGES)
register_file("pts", "datasets.layouts.pts_files", "a.pts", _PTS, {**_IMAGES, "b.pts": _PTS})
register("proposals", "datasets.proposals", lambda: [_BOXES], _read_sealed)
