"""Boxes out of Pascal VOC's annotation files (Everingham et al. 2010, "The Pascal Visual Object Classes Challenge")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.untrusted.documents import parse_xml
from convolve.untrusted.fields import as_number, as_size
from convolve.untrusted.files import read_file

_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class NamedBoxes:
    """The objects of an image: ``names``, and ``boxes`` (N, 4) left, top, right, bottom in the image's pixels.

    Coordinates are continuous and count from the outer edge of the first pixel.
    """

    names: tuple[str, ...]
    boxes: npt.NDArray[np.float64]


@dataclass(frozen=True)
class VocObject:
    """An object of the class ``name``, by its ``first`` and ``last`` pixel (x, y) in each direction, as they are
    written: counted from 1, and both inside of the object. A ``difficult`` one does not count.
    """

    name: str
    first: tuple[float, float]
    last: tuple[float, float]
    difficult: bool

    @property
    def has_area(self) -> bool:
        """Whether a pixel lies inside."""
        return self.first[0] - 1 < self.last[0] and self.first[1] - 1 < self.last[1]

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, counted from the outer edge of the first pixel."""
        return self.first[0] - 1, self.first[1] - 1, *self.last


@dataclass(frozen=True)
class VocAnnotation:
    """What a file says of an image: its ``filename``, perhaps empty; height and width, where it has them; the objects
    in it.
    """

    filename: str
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


def as_voc(root: Element) -> VocAnnotation:
    """What a parsed file says. Raises `ValueError`."""
    objects = []
    for each in root.findall("object"):
        left, top, right, bottom = (as_number(each.findtext(f"bndbox/{edge}", "")) for edge in _EDGES)
        difficult = each.findtext("difficult", "0").strip() in ("1", "true", "True")
        objects.append(VocObject(each.findtext("name", "").strip(), (left, top), (right, bottom), difficult))
    try:
        size = as_size(root.findtext("size/height"), root.findtext("size/width"))
    except ValueError:
        size = None  # programs that do not know it write 0
    return VocAnnotation(root.findtext("filename", "").strip(), size, tuple(objects))


def read_voc(path: Path) -> NamedBoxes:
    """The boxes of one XML file, which names the first and the last pixel of each, both counted from 1; boxes without
    area are left out. Raises `DataError`.
    """
    try:
        objects = [each for each in as_voc(parse_xml(read_file(path))).objects if each.has_area]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    except ValueError as error:
        raise DataError(
            f"{path} is not an annotation in Pascal VOC's format ({error}); correct it or leave it out."
        ) from error
    return NamedBoxes(
        tuple(each.name for each in objects), np.array([each.edges for each in objects], np.float64).reshape(-1, 4)
    )
