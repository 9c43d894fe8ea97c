"""Boxes out of Pascal VOC's annotation files (Everingham et al. 2010, "The Pascal Visual Object Classes Challenge")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import numpy.typing as npt
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from convolve.errors import DataError


@dataclass(frozen=True)
class NamedBoxes:
    """The objects of an image: ``names``, and ``boxes`` (N, 4) left, top, right, bottom in the image's pixels.

    Coordinates are continuous and count from the outer edge of the first pixel.
    """

    names: tuple[str, ...]
    boxes: npt.NDArray[np.float64]


def read_voc(path: Path) -> NamedBoxes:
    """The boxes of one XML file, whose pixels count from 1; boxes without area are left out. Raises `DataError`."""
    try:
        objects = fromstring(path.read_bytes(), forbid_dtd=True).findall("object")
        found = [(each.findtext("name", "").strip(), _box(each)) for each in objects]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    except DefusedXmlException as error:
        raise DataError(
            f"{path} declares a document type, which no annotation needs; remove the declaration."
        ) from error
    except (ParseError, ValueError) as error:
        raise DataError(
            f"{path} is not an annotation in Pascal VOC's format ({error}); correct it or leave it out."
        ) from error
    valid = [(name, box) for name, box in found if box[0] < box[2] and box[1] < box[3]]
    return NamedBoxes(tuple(name for name, _ in valid), np.array([box for _, box in valid]).reshape(-1, 4))


def _box(each: Element) -> list[float]:
    """The edges: VOC names the first and the last pixel of the box, both counted from 1."""
    left, top, right, bottom = (float(each.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    return [left - 1, top - 1, right, bottom]
