"""What the values stored in masks mean: class numbers, colors, or black and white."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from convolve.datasets.layouts.parts import read_lines
from convolve.datasets.masks import READERS, raw_mask
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Color

_MOST = 254
_COLOR = 2**24
_LISTS = re.compile(r"(classes|labels?|label_?colou?rs|codes|names|class_dict|colou?rs)\.(txt|csv)$")
_NUMBERS = re.compile(r"\d+")
_IGNORED = frozenset(("void", "ignore", "ignored", "unlabeled", "unlabeled"))
VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Pascal VOC's classes by number (Everingham et al. 2010, Table 1, after the background)."""


@dataclass(frozen=True)
class Meaning:
    """The classes in order: their ``names``, the values ``stored`` for them, the ``colors`` they are painted in; the
    values that are ``ignored``; and ``how`` that was told, a part of a sentence.
    """

    names: tuple[str, ...]
    stored: tuple[int | Color, ...]
    colors: tuple[Color, ...]
    ignored: tuple[int | Color, ...]
    how: str


@dataclass(frozen=True)
class Listed:
    """A line of a list of classes: a name, perhaps with its color."""

    name: str
    color: Color | None


def class_lists(place: Path) -> list[Listed]:
    """The classes that a text beside the images lists: a name on each line, perhaps with red, green and blue before or
    behind it; none where there is no such text.
    """
    texts = [path for path in sorted(place.iterdir()) if path.is_file() and _LISTS.fullmatch(path.name.casefold())]
    return [entry for line in read_lines(texts[0]) if (entry := _listed(line))] if texts else []


def meaning(masks: Sequence[Path], listed: Sequence[Listed]) -> Meaning:
    """Look at every mask. Raises `DataError` when none can be read, or more than 254 values stand for classes."""
    values = sorted(set().union(*in_order(_values, masks, READERS)))
    if not values:
        raise DataError(f"None of the {len(masks)} masks can be read, such as {masks[0]}; restore them.")
    return told(values, listed, masks[0])


def told(values: Sequence[int], listed: Sequence[Listed], first: Path) -> Meaning:
    """What the values mean that all masks together hold, in order; ``first`` is one of their files.

    Raises `DataError`.
    """
    if values[-1] >= _COLOR:
        return _colored(values, listed, first)
    if len(values) == 2 and values[-1] == IGNORE and values[0] == 0 and len(listed) in (0, 2):
        names = tuple(entry.name for entry in listed) or ("background", "foreground")
        return Meaning(names, (0, IGNORE), colors_apart(2), (), "0 and 255 are two classes, not a number and a void")
    return _numbered(values, listed, first)


def _numbered(values: Sequence[int], listed: Sequence[Listed], first: Path) -> Meaning:
    numbers = [value for value in values if value != IGNORE]
    palette = _palette(first)
    if not listed and palette and numbers[-1] < len(VOC) and "SegmentationClass" in first.parts:
        listed = [Listed(name, None) for name in VOC]
    if listed:
        if numbers[-1] >= len(listed):
            raise DataError(f"A mask of {first.parent} holds {numbers[-1]}, but the list has {len(listed)} classes.")
        numbers = list(range(len(listed)))
    names = [entry.name for entry in listed] or [f"class {number}" for number in numbers]
    void = [number for number, name in zip(numbers, names, strict=True) if name.casefold() in _IGNORED]
    kept = [place for place, number in enumerate(numbers) if number not in void]
    own = [entry.color for entry in listed] if listed and all(entry.color for entry in listed) else palette
    painted = [own[number] or (0, 0, 0) for number in numbers] if own else list(colors_apart(len(numbers)))
    ignored = tuple(void) + ((IGNORE,) if values[-1] == IGNORE else ())
    how = f"values {_span([numbers[place] for place in kept])} are class numbers"
    how += f", {', '.join(map(str, ignored))} is ignored" if ignored else ""
    return Meaning(
        tuple(names[place] for place in kept),
        tuple(numbers[place] for place in kept),
        tuple(painted[place] for place in kept),
        ignored,
        how,
    )


def _colored(values: Sequence[int], listed: Sequence[Listed], first: Path) -> Meaning:
    found = [_as_color(value) for value in values]
    known = {entry.color: entry.name for entry in listed if entry.color}
    strange = [color for color in found if color not in known]
    if known and strange:
        raise DataError(f"A mask of {first.parent} holds the color {strange[0]}, which the list of classes lacks.")
    if len(found) > _MOST:
        raise DataError(f"The masks of {first.parent} hold {len(found)} colors; export them as PNG, not as JPEG.")
    classes = known or {color: "#{:02x}{:02x}{:02x}".format(*color) for color in found}
    void = tuple(color for color, name in classes.items() if name.casefold() in _IGNORED)
    kept = {color: name for color, name in classes.items() if color not in void}
    colors = tuple(kept)
    return Meaning(tuple(kept.values()), colors, colors, void, f"{len(kept)} colors are classes")


def _values(place: Path) -> set[int]:
    try:
        return {int(value) for value in np.unique(raw_mask(place))}
    except ImageError:
        return set()


def _listed(line: str) -> Listed | None:
    words = [word for word in re.split(r"[,;\t ]+", line.strip()) if word]
    numbers = [word for word in words if _NUMBERS.fullmatch(word)]
    name = " ".join(word for word in words if not _NUMBERS.fullmatch(word))
    if not name or name.casefold() in ("name r g b", "r g b name"):
        return None
    return Listed(name, _triple(numbers) if len(numbers) == 3 else None)


def _triple(numbers: Sequence[str]) -> Color:
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _palette(place: Path) -> list[Color]:
    """The colors of an indexed file; none of another."""
    try:
        with Image.open(place) as file:
            flat = (file.getpalette() or []) if file.mode == "P" else []
    except OSError:
        return []
    return (
        [(flat[start], flat[start + 1], flat[start + 2]) for start in range(0, len(flat), 3)]
        if len(flat) == 768
        else []
    )


def colors_apart(count: int) -> tuple[Color, ...]:
    """Colors well apart, the first one black: hues by the golden section, in turn light and dark."""
    found: list[Color] = [(0, 0, 0)]
    for number in range(count - 1):
        shades = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.65 + 0.25 * (number % 2), 0.95 - 0.25 * (number // 2 % 2))
        red, green, blue = (round(255 * shade) for shade in shades)
        found.append((red, green, blue))
    return tuple(found[:count])


def _as_color(value: int) -> Color:
    return value >> 16 & 255, value >> 8 & 255, value & 255


def _span(numbers: Sequence[int]) -> str:
    whole = list(numbers) == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if whole and len(numbers) > 2 else ", ".join(map(str, numbers))
