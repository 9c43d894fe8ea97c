"""Fuzzers of Keras' files: HDF5, archives, and the descriptions in these."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from convolve.interop.keras import read_keras
from tests.fuzz.foreign import check_network
from tests.fuzz.reader import put, register

_MODELS: Final = Path(__file__).parents[1] / "interop" / "keras" / "models.zip"
_UNSAID: Final = ("norms.weights.h5", "pools.weights.h5")
"""Which do not say what their weights are, or have none."""
_COVERS: Final = "interop.keras untrusted.hdf5 untrusted.keras_archive"


@cache
def _members(suffix: str) -> Sequence[bytes]:
    """Small models of which the files' names end so."""
    with zipfile.ZipFile(_MODELS) as archive:
        names = [name for name in archive.namelist() if name.partition(".")[2] == suffix and name not in _UNSAID]
        return [archive.read(name) for name in sorted(names)]


def _member(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def _archive(description: bytes, weights: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("config.json", description)
        archive.writestr("model.weights.h5", weights)
    return held.getvalue()


def _read(content: bytes, folder: Path) -> None:
    put(folder, {"a.keras": content})
    check_network(read_keras(folder / "a.keras"))


@cache
def _parts() -> Sequence[tuple[bytes, bytes]]:
    """Descriptions of models and their weights."""
    return [(_member(each, "config.json"), _member(each, "model.weights.h5")) for each in _members("keras")]


def _read_description(content: bytes, folder: Path) -> None:
    """A description with the weights of the model that it resembles, so that more than its beginning is read."""
    _, weights = max(_parts(), key=lambda parts: _alike(parts[0], content))
    _read(_archive(content, weights), folder)


def _alike(one: bytes, other: bytes) -> float:
    """The fraction of parts of one text that are in another one."""
    parts = [one[start : start + 48] for start in range(0, len(one), 384)]
    return sum(part in other for part in parts) / len(parts)


register("keras-hdf5", _COVERS, lambda: [*_members("h5"), *_members("weights.h5")], _read)
register("keras-archive", _COVERS, lambda: _members("keras"), _read)
register("keras-description", _COVERS, lambda: [description for description, _ in _parts()], _read_description)
