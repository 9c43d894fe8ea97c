"""The regions of a shelf in which objects are counted, and the least number that there should be: a TOML file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError, OptionError
from convolve.untrusted.documents import parse_toml
from convolve.untrusted.files import read_text

WHOLE: Final = "whole image"
"""The region in which every object is."""
_MINIMUM: Final = re.compile(r"([^=]+)=(\d{1,9})(?:,|$)")
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the image: a ``polygon`` (P, 2) of x and y as fractions of the image's width and height, or None for
    all of it; and the minimum number of objects in it, by class.
    """

    name: str
    polygon: Points | None = None
    minimums: Mapping[str, int] = field(default_factory=dict)

    def contains(self, points: Points) -> npt.NDArray[np.bool_]:
        """(M,) which of the ``points`` (M, 2; fractions) are in it: those from which a ray to the right crosses its
        edges an odd number of times. A point on an edge that two regions share is in one of them.
        """
        inside = np.full(len(points), self.polygon is None)
        if self.polygon is not None:
            for (x, y), (to_x, to_y) in zip(self.polygon, np.roll(self.polygon, -1, 0), strict=True):
                if y != to_y:
                    crossed = (y > points[:, 1]) != (to_y > points[:, 1])
                    inside ^= crossed & (points[:, 0] < x + (points[:, 1] - y) * (to_x - x) / (to_y - y))
        return inside


def read_regions(path: Path | None, minimum: str | None, classes: Sequence[str]) -> tuple[Region, ...]:
    """The whole image, for which a ``minimum`` such as `bottle=3,cup=2` holds, and the regions of a file. Raises
    `DataError` for a file that cannot be read as one of regions, `OptionError` for a minimum.
    """
    whole = Region(WHOLE, minimums=_parse_minimum(minimum, classes) if minimum is not None else {})
    if path is None:
        return (whole,)
    try:
        document = parse_toml(read_text(path))
        return (whole, *_regions(document, classes))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"{path} cannot be read as a file of regions ({reason}); correct it.") from error


def _parse_minimum(text: str, classes: Sequence[str]) -> dict[str, int]:
    found = {match[1]: int(match[2]) for match in _MINIMUM.finditer(text)}
    read = ",".join(match[0].rstrip(",") for match in _MINIMUM.finditer(text))
    if not found or read != text or not found.keys() <= set(classes):
        known = ", ".join(classes)
        raise OptionError(f"minimum cannot be {text}; write CLASS=NUMBER with commas between, of the classes {known}.")
    return found


def _regions(document: Mapping[str, Any], classes: Sequence[str]) -> list[Region]:
    """Raises `ValueError`."""
    _check_keys(document, ("size", "regions"), "the file")
    tables = document.get("regions")
    if not isinstance(tables, dict) or not tables:
        raise ValueError("it has no table [regions.NAME]")
    size = _numbers(document.get("size", [1, 1]), "size")
    if size.shape != (2,) or size.min() <= 0:
        raise ValueError("size is not a width and a height")
    return [_region(name, table, size, classes) for name, table in tables.items()]


def _region(name: str, table: Any, size: Points, classes: Sequence[str]) -> Region:
    if name == WHOLE:
        raise ValueError(f"'{WHOLE}' is counted by itself; choose another name for the region")
    if not isinstance(table, dict) or ("box" in table) == ("polygon" in table):
        raise ValueError(f"the region '{name}' needs either a box or a polygon")
    _check_keys(table, ("box", "polygon", "minimum"), f"the region '{name}'")
    if "box" in table:
        box = _numbers(table["box"], name)
        if box.shape != (4,) or box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(f"the box of '{name}' is not left, top, right, bottom")
        corners = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    else:
        corners = _numbers(table["polygon"], name)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise ValueError(f"the polygon of '{name}' is not a list of three points [x, y] or more")
    if corners.min() < 0 or (corners > size).any():
        unit = "0 to 1" if (size == 1).all() else f"0 to {size[0]:g} and 0 to {size[1]:g}"
        raise ValueError(f"'{name}' goes beyond the image, whose coordinates are {unit}; pixels need a size")
    minimums = table.get("minimum", {})
    if not isinstance(minimums, dict) or any(type(number) is not int or number < 0 for number in minimums.values()):
        raise ValueError(f"the minimum of '{name}' is not a table such as {{ bottle = 3 }}")
    for each in minimums:
        if each not in classes:
            raise ValueError(f"the network has no class '{each}', but {', '.join(classes)}")
    return Region(name, corners / size, minimums)


def _check_keys(table: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ValueError(f"{what} has an unknown entry '{unknown[0]}', not one of {', '.join(known)}")


def _numbers(value: Any, name: str) -> Points:
    try:
        found = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.full(1, math.nan)
    if not np.isfinite(found).all():
        raise ValueError(f"'{name}' has something other than numbers")
    return found
