"""Boxes out of Pascal VOC's annotation files (Everingham et al. 2010, "The Pascal Visual Object Classes Challenge")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.untrusted.documents import parse_xml
from convolve.untrusted.fields import as_number
from convolve.untrusted.files import read_file

_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class NamedBoxes:
    """The objects of an image: ``names``, and ``boxes`` (N, 4) left, top, right, bottom in the image's pixels.

    Coordinates are continuous and count from the outer edge of the first pixel.
    """

    names: tuple[str, ...]
    boxes: npt.NDArray[np.float64]


def read_voc(path: Path) -> NamedBoxes:
    """The boxes of one XML file, which names the first and the last pixel of each, both counted from 1; boxes without
    area are left out. Raises `DataError`.
    """
    names: list[str] = []
    boxes: list[tuple[float, float, float, float]] = []
    try:
        for each in parse_xml(read_file(path)).findall("object"):
            left, top, right, bottom = (as_number(each.findtext(f"bndbox/{edge}", "")) for edge in _EDGES)
            if left - 1 < right and top - 1 < bottom:
                names.append(each.findtext("name", "").strip())
                boxes.append((left - 1, top - 1, right, bottom))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    except ValueError as error:
        raise DataError(
            f"{path} is not an annotation in Pascal VOC's format ({error}); correct it or leave it out."
        ) from error
    return NamedBoxes(tuple(names), np.array(boxes).reshape(-1, 4))
