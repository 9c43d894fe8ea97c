"""What the values stored in masks mean: class indices, colors, or black and white."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from convolve.datasets.layouts.parts import read_lines
from convolve.datasets.masks import PixelCounts, count_pixels, stored_number, stored_values
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Color

_MOST = 254
_COLOR = 2**24
_LISTS = re.compile(r"(classes|labels?|label_?colou?rs|codes|names|class_dict|colou?rs)\.(txt|csv)$")
_NUMBERS = re.compile(r"\d+")
_IGNORED = frozenset(("void", "ignore", "ignored", "unlabeled", "unlabelled"))
VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Pascal VOC's classes by index (Everingham et al. 2010, Table 1, after the background)."""


@dataclass(frozen=True)
class Meaning:
    """The classes in order: their ``names``, the values ``stored`` for them, the ``colors`` in which they are painted;
    the values that are ``ignored``; and ``how`` they were interpreted, a part of a sentence.
    """

    names: tuple[str, ...]
    stored: tuple[int | Color, ...]
    colors: tuple[Color, ...]
    ignored: tuple[int | Color, ...]
    how: str


@dataclass(frozen=True)
class ListedClass:
    """A line of a list of classes: a name, perhaps with its color."""

    name: str
    color: Color | None


def class_lists(folder: Path) -> list[ListedClass]:
    """The classes that a text file next to the images lists: a name on each line, perhaps with red, green and blue
    before or after it; none where there is no such file.
    """
    texts = [path for path in sorted(folder.iterdir()) if path.is_file() and _LISTS.fullmatch(path.name.casefold())]
    return [entry for line in read_lines(texts[0]) if (entry := _parse_line(line))] if texts else []


def interpret_files(masks: Sequence[Path], listed: Sequence[ListedClass]) -> tuple[Meaning, PixelCounts]:
    """Read every mask: what its values mean, and how many pixels of each class it has.

    Raises `DataError` when none can be read, or more than 254 values stand for classes.
    """
    found = list(in_order(_count_values, masks))
    failed = {index: counts for index, counts in enumerate(found) if isinstance(counts, str)}
    read = {index: counts for index, counts in enumerate(found) if not isinstance(counts, str)}
    values = sorted(set().union(*read.values()))
    if not values:
        raise DataError(f"None of the {len(masks)} masks can be read, such as {masks[0]}; restore them.")
    meaning = interpret(values, listed, masks[0])
    pixels = np.zeros((len(masks), len(meaning.stored)), dtype=np.int64)
    for index, counts in read.items():
        pixels[index] = [counts.get(stored_number(value), 0) for value in meaning.stored]
    return meaning, PixelCounts(pixels, failed)


def interpret(values: Sequence[int], listed: Sequence[ListedClass], first: Path) -> Meaning:
    """What the values mean that all masks together hold, in order; ``first`` is one of their files.

    Raises `DataError`.
    """
    if values[-1] >= _COLOR:
        return _interpret_colors(values, listed, first)
    if len(values) == 2 and values[-1] == IGNORE and values[0] == 0 and len(listed) in (0, 2):
        names = tuple(entry.name for entry in listed) or ("background", "foreground")
        return Meaning(names, (0, IGNORE), distinct_colors(2), (), "0 and 255 are two classes, not a class and a void")
    return _interpret_numbers(values, listed, first)


def _interpret_numbers(values: Sequence[int], listed: Sequence[ListedClass], first: Path) -> Meaning:
    numbers = [value for value in values if value != IGNORE]
    palette = _palette(first)
    if not listed and palette and numbers[-1] < len(VOC) and "SegmentationClass" in first.parts:
        listed = [ListedClass(name, None) for name in VOC]
    if listed:
        if numbers[-1] >= len(listed):
            raise DataError(f"A mask of {first.parent} holds {numbers[-1]}, but the list has {len(listed)} classes.")
        numbers = list(range(len(listed)))
    names = [entry.name for entry in listed] or [f"class {number}" for number in numbers]
    void = [number for number, name in zip(numbers, names, strict=True) if name.casefold() in _IGNORED]
    meant = [position for position, number in enumerate(numbers) if number not in void]
    own = [entry.color for entry in listed] if listed and all(entry.color for entry in listed) else palette
    painted = [own[number] or (0, 0, 0) for number in numbers] if own else list(distinct_colors(len(numbers)))
    ignored = tuple(void) + ((IGNORE,) if values[-1] == IGNORE else ())
    how = f"values {_span([numbers[position] for position in meant])} are classes"
    how += f", {', '.join(map(str, ignored))} is ignored" if ignored else ""
    return Meaning(
        tuple(names[position] for position in meant),
        tuple(numbers[position] for position in meant),
        tuple(painted[position] for position in meant),
        ignored,
        how,
    )


def _interpret_colors(values: Sequence[int], listed: Sequence[ListedClass], first: Path) -> Meaning:
    found = [_as_color(value) for value in values]
    known = {entry.color: entry.name for entry in listed if entry.color}
    unknown = [color for color in found if color not in known]
    if known and unknown:
        raise DataError(f"A mask of {first.parent} holds the color {unknown[0]}, which the list of classes lacks.")
    if len(found) > _MOST:
        raise DataError(f"The masks of {first.parent} hold {len(found)} colors; export them as PNG, not as JPEG.")
    classes = known or {color: "#{:02x}{:02x}{:02x}".format(*color) for color in found}
    void = tuple(color for color, name in classes.items() if name.casefold() in _IGNORED)
    meant = {color: name for color, name in classes.items() if color not in void}
    colors = tuple(meant)
    return Meaning(tuple(meant.values()), colors, colors, void, f"{len(meant)} colors are classes")


def _count_values(path: Path) -> dict[int, int] | str:
    """How many pixels have each stored value; of a mask that cannot be read, why."""
    try:
        stored = stored_values(path)
    except ImageError as error:
        return str(error)
    if stored.dtype == np.uint8:
        counts = count_pixels(stored.astype(np.uint8, copy=False), 256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    return dict(zip(*(part.tolist() for part in np.unique(stored, return_counts=True)), strict=True))


def _parse_line(line: str) -> ListedClass | None:
    words = [word for word in re.split(r"[,;\t ]+", line.strip()) if word]
    numbers = [word for word in words if _NUMBERS.fullmatch(word)]
    name = " ".join(word for word in words if not _NUMBERS.fullmatch(word))
    if not name or name.casefold() in ("name r g b", "r g b name"):
        return None
    return ListedClass(name, _triple(numbers) if len(numbers) == 3 else None)


def _triple(numbers: Sequence[str]) -> Color:
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _palette(path: Path) -> list[Color]:
    """The colors of an indexed file; none of another."""
    try:
        with Image.open(path) as file:
            flat = (file.getpalette() or []) if file.mode == "P" else []
    except OSError:
        return []
    return (
        [(flat[start], flat[start + 1], flat[start + 2]) for start in range(0, len(flat), 3)]
        if len(flat) == 768
        else []
    )


def distinct_colors(count: int) -> tuple[Color, ...]:
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
    consecutive = list(numbers) == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if consecutive and len(numbers) > 2 else ", ".join(map(str, numbers))
