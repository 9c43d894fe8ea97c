"""Boxes out of Pascal VOC's annotation files (Everingham et al. 2010, "The Pascal Visual Object Classes Challenge")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError


@dataclass(frozen=True)
class NamedBoxes:
    """The objects of a picture: ``names``, and ``boxes`` (N, 4) left, top, right, bottom in the picture's pixels.

    Coordinates are continuous and count from the outer edge of the first pixel.
    """

    names: tuple[str, ...]
    boxes: npt.NDArray[np.float64]


def read_voc(place: Path) -> NamedBoxes:
    """The boxes of one XML file, whose pixels count from 1; boxes without area are left out. Raises `DataError`."""
    try:
        text = place.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise DataError(f"{place} declares entities, which no annotation needs; take the declaration out.")
        objects = ET.fromstring(text).findall("object")  # noqa: S314 - see the import
        found = [(each.findtext("name", "").strip(), _box(each)) for each in objects]
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror or error}); check the name.") from error
    except (ET.ParseError, ValueError) as error:
        raise DataError(
            f"{place} is no annotation in Pascal VOC's form ({error}); correct it or leave it out."
        ) from error
    whole = [(name, box) for name, box in found if box[0] < box[2] and box[1] < box[3]]
    return NamedBoxes(tuple(name for name, _ in whole), np.array([box for _, box in whole]).reshape(-1, 4))


def _box(each: ET.Element) -> list[float]:
    """The edges: VOC names the first and the last pixel of the box, both counted from 1."""
    left, top, right, bottom = (float(each.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    return [left - 1, top - 1, right, bottom]
