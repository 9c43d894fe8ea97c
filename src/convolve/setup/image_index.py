"""Images as vectors to be compared, of which the cache keeps those that a network has made before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from safetensors.torch import save_file

from convolve.datasets.cache import cache_folder
from convolve.datasets.images import ImageFiles
from convolve.datasets.parallel import reader_threads
from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.errors import ConvolveError, ImageError, OptionError
from convolve.explainers.contributions import penultimate_features
from convolve.files import atomic_write
from convolve.models import Network
from convolve.progress import Listener, Pace
from convolve.runtime import Runtime
from convolve.untrusted.weights import read_safetensors
from convolve.values import Floats, Pixels, Preprocessing

BATCH = 32
MOST_BYTES = 2 << 30
"""Of all indexes together; the longest unused ones make room."""
_KEY_BYTES = 16


@final
@dataclass(frozen=True)
class ImageVectors:
    """How a ``network`` makes vectors of length 1 of images: the embedding of one that embeds, or what enters the layer
    of a classifier that gives the scores.
    """

    network: Network
    preprocessing: Preprocessing
    runtime: Runtime

    def __post_init__(self) -> None:
        """Raises `OptionError` for a network of another output."""
        card = self.network.card
        if card.output not in ("image", "embedding"):
            raise OptionError(
                f"{card.label} neither classifies nor embeds images; give --network such a run, or a classifier's name."
            )

    def read(self, images: ImageFiles, index: int) -> Pixels | str:
        """(height, width, C) an image as the network takes it; a sentence for one that cannot be read."""
        try:
            return fit_to_input(images.read(index, least_side(self.preprocessing)), self.preprocessing)
        except ImageError as error:
            return str(error)

    def embed(self, inputs: Sequence[Pixels]) -> Floats:
        """(N, D) vectors of images as `read` gives them."""
        with torch.inference_mode(), self.runtime.arithmetic():
            pixels = self.runtime.images(normalize(np.stack(inputs), self.preprocessing))
            embeds = self.network.card.output == "embedding"
            found = self.network(pixels) if embeds else penultimate_features(self.network, pixels)
            vectors: Floats = torch.nn.functional.normalize(found.float()).cpu().numpy()
        return vectors

    def digest(self) -> str:
        """What the vectors depend on: the weights, the preprocessing and the number format."""
        found = hashlib.blake2b(repr((self.preprocessing, self.runtime.precision)).encode(), digest_size=_KEY_BYTES)
        for name, value in sorted(self.network.state_dict().items()):
            found.update(name.encode())
            found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return found.hexdigest()


@final
@dataclass(frozen=True, eq=False)
class IndexedImages:
    """The vectors (N, D) of those ``images`` that can be read, why others cannot, and how many vectors were ``new``."""

    images: ImageFiles
    vectors: Floats
    failed: dict[str, str]
    new: int


def index_images(images: ImageFiles, vectors: ImageVectors, listener: Listener) -> IndexedImages:
    """The vectors of all images that can be read. Those made earlier of files of the same path, size and time of change
    come from the cache. Raises `DataError` without a folder for the cache.
    """
    folder = cache_folder() / "vectors"
    keys = [_stamp(os.path.join(images.root, name)) for name in images.names]  # noqa: PTH118 - several times as fast
    own = hashlib.blake2b(vectors.digest().encode() + _common_folder(images).encode(), digest_size=_KEY_BYTES)
    path = folder / f"{own.hexdigest()}.safetensors"
    known = _load(path)
    missing = [index for index, key in enumerate(keys) if key not in known]
    failed, pace = {}, Pace(listener, "images", len(missing), "images")
    done = 0
    for index, found in _embed_all(images, missing, vectors):
        done += 1
        pace(done)
        if isinstance(found, str):
            failed[images.names[index]] = found
        else:
            known[keys[index]] = found
    readable = [index for index, key in enumerate(keys) if key in known]
    if done > len(failed):
        _store(path, {keys[index]: known[keys[index]] for index in readable})
    names = tuple(images.names[index] for index in readable)
    rows = np.stack([known[keys[index]] for index in readable]) if readable else np.empty((0, 1), np.float32)
    return IndexedImages(ImageFiles(images.root, names), rows, failed, done - len(failed))


def _embed_all(images: ImageFiles, indices: Sequence[int], vectors: ImageVectors) -> Iterator[tuple[int, Floats | str]]:
    """The vector of each image, or why it cannot be read; a batch at a time."""
    with ThreadPoolExecutor(reader_threads()) as pool:
        for start in range(0, len(indices), BATCH):
            some = indices[start : start + BATCH]
            read = dict(zip(some, pool.map(lambda index: vectors.read(images, index), some), strict=True))
            pixels = {index: found for index, found in read.items() if not isinstance(found, str)}
            rows = dict(zip(pixels, vectors.embed(list(pixels.values())), strict=True)) if pixels else {}
            for index, found in read.items():
                yield index, found if isinstance(found, str) else rows[index]


def _stamp(path: str) -> bytes:
    """What tells a file from what it was before: its path, size and time of change."""
    try:
        status = os.stat(path)  # noqa: PTH116 - several times as fast
        text = f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}"  # noqa: PTH100 - several times as fast
    except (OSError, ValueError):
        text = path
    return hashlib.blake2b(os.fsencode(text), digest_size=_KEY_BYTES).digest()


def _common_folder(images: ImageFiles) -> str:
    """The folder below which all images are."""
    paths = [os.path.abspath(os.path.join(images.root, name)) for name in images.names]  # noqa: PTH100, PTH118 - as above
    return os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120 - as above


def _load(path: Path) -> dict[bytes, Floats]:
    """The vectors of an index by their images' stamps; none where there is none, or it is damaged."""
    try:
        tensors, _ = read_safetensors(path)
        keys, rows = tensors["keys"].numpy(), tensors["vectors"].numpy()
        if keys.shape != (len(rows), _KEY_BYTES) or keys.dtype != np.uint8 or rows.dtype != np.float32:
            return {}
        path.touch()
    except (OSError, ValueError, KeyError):
        return {}
    return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}


def _store(path: Path, known: dict[bytes, Floats]) -> None:
    """Write an index, for which older ones make room; without one the next query takes as long as this."""
    keys = np.frombuffer(b"".join(known), np.uint8).reshape(-1, _KEY_BYTES).copy()
    tensors = {"keys": torch.from_numpy(keys), "vectors": torch.from_numpy(np.stack(list(known.values())))}
    with suppress(OSError, ConvolveError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            save_file(tensors, draft)
        newest = sorted(path.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
        sizes = np.cumsum([file.stat().st_size for file in newest])
        for file in np.array(newest, object)[(sizes > MOST_BYTES) & (np.arange(len(newest)) > 0)]:
            file.unlink(missing_ok=True)
