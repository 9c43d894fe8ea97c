"""iBUG's `.pts` files: next to each image a text with the same name that lists the points of its face.

`version: 1`, `n_points: 68`, then the points between braces, x and y on each line (Sagonas, Antonakos, Tzimiropoulos,
Zafeiriou, Pantic 2016, "300 faces in-the-wild challenge"). They count from 1 at the center of the first pixel, as
Matlab does. Points have no names there; they are called `1`, `2` and so on.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.annotated_images import count_of, find_split, list_names
from convolve.datasets.layouts.annotated_points import AnnotatedPoints, Point, points_dataset
from convolve.datasets.point_sets import describe_points
from convolve.datasets.points import VISIBLE
from convolve.errors import DataError
from convolve.untrusted.fields import as_number
from convolve.untrusted.files import read_file, read_start
from convolve.values import Dataset

NAME = "pts"
EXPECTED = "iBUG's .pts files next to the images, of the same names"
MARK = re.compile(r"\.pts$", re.IGNORECASE)
_COUNT = re.compile(r"n_points\s*:\s*(\d+)", re.IGNORECASE)
_BODY = re.compile(r"\{([^{}]*)\}")
_FIRST = 0.5  # what the center of the first pixel is here, which is 1 there
_START = 256  # bytes in which the number of points is


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Raises `DataError` for a damaged file, and where files have
    other numbers of points.
    """
    files = [name for name in inventory.files if MARK.search(name) and _has_header(inventory.root / name)]
    images = {image.rpartition(".")[0]: image for image in inventory.images}
    paired = {name: images[name.rpartition(".")[0]] for name in files if name.rpartition(".")[0] in images}
    if not files:
        return None
    if not paired:
        raise DataError(f"{inventory.root} has no image called as {files[0]}; put it next to that file.")
    entries = [_read(inventory.root / name, name, image) for name, image in paired.items()]
    counts = Counter(len(one.points) for one in entries)
    if len(counts) > 1:
        rare = min(counts, key=lambda count: counts[count])
        odd = next(one.source for one in entries if len(one.points) == rare)
        others = next(count for count in counts if count != rare)
        raise DataError(
            f"{inventory.root / odd} has {rare} points, and other files have {others}; keep files of one number."
        )
    names = [str(number) for number in range(1, next(iter(counts)) + 1)]
    dataset = points_dataset(
        inventory, NAME, f"iBUG's {count_of(len(entries), '.pts file')}", entries, describe_points(names)
    )
    alone = [name for name in files if name not in paired]
    notes = [f"left out: {count_of(len(alone), 'file')} without an image, such as {list_names(alone)}"] if alone else []
    return replace(dataset, notes=(*notes, *dataset.notes))


def _has_header(path: Path) -> bool:
    try:
        return _COUNT.search(read_start(path, _START).decode("ascii", "replace")) is not None
    except OSError:
        return False


def _read(path: Path, name: str, image: str) -> AnnotatedPoints:
    """The points of a file. Raises `DataError`."""
    try:
        text = read_file(path).decode("ascii")
        count, body = _COUNT.search(text), _BODY.search(text)
        if count is None or body is None:
            raise ValueError("its points are not between braces")
        lines = [line.split() for line in body[1].splitlines() if line.strip()]
        points: list[Point] = [(as_number(x) - _FIRST, as_number(y) - _FIRST) for x, y in lines]
        if len(points) != int(count[1]) or not points:
            raise ValueError(f"it has {len(points)} points and announces {count[1]}")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as points ({error}); correct it, or copy it again.") from error
    return AnnotatedPoints(image, name, tuple(points), (VISIBLE,) * len(points), split=find_split(image))
