"""Fuzzers of depth maps: 16-bit PNG, NumPy's arrays and archives, portable float maps."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from convolve.datasets.depth_maps import DepthMaps
from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import ImageError
from tests.fuzz.reader import put, register
from tests.fuzz.table_readers import PICTURE

_COVERS = "datasets.depth_maps datasets.layouts.depth untrusted.arrays"
with Image.open(io.BytesIO(PICTURE)) as _picture:
    _WIDTH, _HEIGHT = _picture.size
_DEPTH = np.random.default_rng(0).uniform(0.5, 9, (_HEIGHT, _WIDTH)).astype(np.float32)


def _png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray((1000 * _DEPTH).astype(np.uint16)).save(stream, "PNG")
    return stream.getvalue()


def _npz(*, compressed: bool) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, depth=_DEPTH, valid=_DEPTH > 1)
    return stream.getvalue()


def _npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, _DEPTH)
    return stream.getvalue()


def _pfm() -> bytes:
    return b"Pf\n%d %d\n-1.0\n" % (_WIDTH, _HEIGHT) + _DEPTH[::-1].astype("<f4").tobytes()


def _read(suffix: str, content: bytes, folder: Path) -> None:
    put(folder, {"images/a.jpg": PICTURE, f"depth/a{suffix}": content})
    maps = open_dataset(folder, ReadingOptions(layout="depth")).ground_truths["depth"]
    assert isinstance(maps, DepthMaps)
    found = maps.findings
    assert all(map(str.isprintable, found.failed.values()))
    with suppress(ImageError):
        depth = maps.read(0)
        assert depth.shape == (_HEIGHT, _WIDTH)
        assert np.isfinite(depth).all()
        assert (depth >= 0).all()
        assert bool(found.failed) == (not depth.any())


register("depth-png", _COVERS, lambda: [_png()], partial(_read, ".png"))
register("depth-npz", _COVERS, lambda: [_npz(compressed=True), _npz(compressed=False)], partial(_read, ".npz"))
register("depth-npy", _COVERS, lambda: [_npy()], partial(_read, ".npy"))
register("depth-pfm", _COVERS, lambda: [_pfm()], partial(_read, ".pfm"))
