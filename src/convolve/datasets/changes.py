"""Whether the files that a dataset is read from are still what they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, final

import numpy as np

from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages, TakenImages
from convolve.datasets.parquet_images import ParquetImages
from convolve.values import Dataset, Images, Indices

_MOST_LISTED: Final = 20_000
"""Files below a dataset's root among which those of arrays are looked for."""
_GONE: Final = (-1, -1)


@final
class FileStamps:
    """Size and time of change of each file of a dataset: its images, its masks, and the files that arrays are from.

    Annotations and tables are read once, when the dataset is opened, and are not among them.
    """

    def __init__(self, dataset: Dataset) -> None:
        root = Path(dataset.root)
        masks = [os.path.join(root, name) for name in dataset.annotations]  # noqa: PTH118 - several times as fast
        self._paths = list(dict.fromkeys([*_paths(dataset.images, root), *masks]))
        self._stamps = _stamps(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def changed(self) -> list[str]:
        """The paths of the files that have another size or time than at first, or are gone."""
        rows = np.flatnonzero((_stamps(self._paths) != self._stamps).any(1))
        return [self._paths[row] for row in rows.tolist()]


def _paths(images: Images, root: Path) -> Iterator[str]:
    match images:
        case ImageFiles():
            for name in images.names:
                yield os.path.join(images.root, name)  # noqa: PTH118 - several times as fast
        case TakenImages():
            yield from _paths(images.images, root)
        case JoinedImages():
            for part in images.parts:
                yield from _paths(part, root)
        case ParquetImages():
            yield from (str(images.root / shard.path) for shard in images.shards)
        case ImageArray():
            yield from _files_of_array(images.label, root)


def _files_of_array(label: str, root: Path) -> list[str]:
    if root.is_file():
        return [str(root)]
    listed = ((folder, name) for folder, _, names in os.walk(root) for name in names)
    return [str(Path(folder, name)) for folder, name in islice(listed, _MOST_LISTED) if name.startswith(label)]


def _stamps(paths: list[str]) -> Indices:
    """(N, 2) size and nanoseconds."""
    found: list[tuple[int, int]] = []
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - several times as fast
        except (OSError, ValueError):
            found.append(_GONE)
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return np.array(found, dtype=np.int64).reshape(-1, 2)
