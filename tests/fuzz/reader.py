"""What a fuzzer is made of: valid inputs to change, and a function that reads the changed ones as convolve would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from convolve.datasets.boxes import Boxes
from convolve.datasets.layouts import open_dataset
from convolve.datasets.masks import Masks
from convolve.errors import ImageError
from convolve.values import Dataset

READERS: Final[dict[str, Reader]] = {}
INPUTS: Final = 150
"""Changed inputs that the suite reads, of a reader that takes no longer than most."""
_LOOKED_AT: Final = 2  # images and masks of a dataset that are read


@dataclass(frozen=True)
class Reader:
    """A fuzzer called ``name``: ``seeds`` are valid inputs, ``read`` is given another one and an empty folder.

    It may raise `ConvolveError` alone. ``covers`` are the modules of convolve whose reading of files it reaches, and
    ``inputs`` how many changed ones the suite reads.
    """

    name: str
    covers: tuple[str, ...]
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes, Path], object]
    inputs: int = INPUTS


def register(
    name: str,
    covers: str,
    seeds: Callable[[], Sequence[bytes]],
    read: Callable[[bytes, Path], object],
    inputs: int = INPUTS,
) -> None:
    """Add a fuzzer; ``covers`` are names of modules below `convolve`, separated by spaces."""
    modules = tuple(f"convolve.{module}" for module in covers.split())
    READERS[name] = Reader(name, modules, cache(seeds), read, inputs)


def register_file(name: str, covers: str, path: str, seed: bytes, others: Mapping[str, bytes]) -> None:
    """Add a fuzzer of one file in a dataset's folder, at ``path``, which has ``others`` besides."""

    def read(content: bytes, folder: Path) -> None:
        put(folder, {**others, path: content})
        use(open_dataset(folder))

    register(name, covers, lambda: [seed], read)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files at paths below a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def use(dataset: Dataset) -> None:
    """Look at a dataset as the first steps of a training do: what it says must be text, and each image one."""
    said = [dataset.reason, *dataset.notes, *dataset.left_out]
    for truth in dataset.ground_truths.values():
        said += truth.classes
        if isinstance(truth, Boxes):
            said += [*truth.findings.failed.values(), *(remark.what for remark in truth.findings.remarks)]
            assert np.isfinite(truth.boxes).all()
            assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()
            assert (truth.areas > 0).all()
        if isinstance(truth, Masks):
            for index in range(min(len(truth), _LOOKED_AT)):
                try:
                    truth.read(index)
                except ImageError as error:
                    said.append(str(error))
    for index in range(min(len(dataset), _LOOKED_AT)):
        said.append(dataset.images.name(index))
        try:
            encoded = dataset.images.open(index)
            size = encoded.header.size
            shape = encoded.decode().shape
        except ImageError as error:
            said.append(str(error))
        else:
            assert shape[:2] == size, f"the header says {size}, and the image has {shape}"
    for text in said:
        text.encode("utf-8", errors="surrogateescape")  # which a file's name may need
        assert "\0" not in text
