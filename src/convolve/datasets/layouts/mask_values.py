"""What the values stored in masks mean: class indices, colors, black and white, or nothing that is certain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convolve.datasets.class_colors import MASK_COLORS
from convolve.datasets.layouts.class_lists import IGNORED, ClassList
from convolve.datasets.layouts.soft_edges import FEWEST_SMOOTHED, refuse_soft_edges
from convolve.datasets.masks import PixelCounts, count_pixels
from convolve.datasets.parallel import in_order
from convolve.datasets.stored_masks import (
    COLOR,
    GRAYS,
    TRANSPARENT,
    Numbers,
    StoredMask,
    are_colors,
    read_stored,
    stored_color,
    stored_number,
)
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Color, Indices

VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Pascal VOC's classes by index (Everingham et al. 2010, Table 1, after the background)."""
_MOST = 254  # classes
_MANY = 4096  # values that are told apart in one mask
_HIGHEST = (IGNORE, 2**16 - 1)  # of 8 and of 16 bits: void, or white
_SMALL, _APART, _FEW = 64, 16, 16
"""Numbers up to the first are certainly classes. A few larger ones, so far apart, are not: 255 next to them may be one
of them too."""
_SAMPLE = 4  # masks that are searched for soft edges


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


@dataclass(frozen=True, eq=False)
class ValueCounts:
    """The values of one mask, each once, and how many pixels have each."""

    distinct: StoredMask
    counts: Indices

    def by_value(self, by_color: bool) -> Mapping[int, int]:
        """The number of pixels of each value, read as colors or as numbers."""
        values = self.distinct.translate(self.distinct.values, by_color)
        found: Counter[int] = Counter()
        for value, count in zip(values.tolist(), self.counts.tolist(), strict=True):
            found[value] += count
        return found


def count_values(mask: StoredMask) -> ValueCounts:
    """How many pixels have each stored value."""
    if mask.values.dtype == np.uint8:
        every = count_pixels(mask.values.astype(np.uint8, copy=False), 256)
        return ValueCounts(replace(mask, values=np.flatnonzero(every)), every[every > 0])
    values, counts = np.unique(mask.values, return_counts=True)
    return ValueCounts(replace(mask, values=values), counts)


def interpret_files(masks: Sequence[Path], listed: ClassList | None) -> tuple[Meaning, PixelCounts]:
    """Read every mask: what its values mean, and how many pixels of each class it has.

    Raises `DataError` when none can be read, or the values do not say for certain what they mean.
    """
    found = list(in_order(_count_file, masks))
    failed = {index: counts for index, counts in enumerate(found) if isinstance(counts, str)}
    read = {index: counts for index, counts in enumerate(found) if not isinstance(counts, str)}
    if not read:
        raise DataError(f"None of the {len(masks)} masks can be read, the first for this reason: {failed[0]}")
    counted = list(read.values())
    if listed is None and (any(each.distinct.palette is None for each in counted) or _palettes_differ(counted)):
        several = [index for index, counts in read.items() if len(counts.counts) >= FEWEST_SMOOTHED]
        most = sorted(several, key=lambda index: -len(read[index].counts))[:_SAMPLE]
        refuse_soft_edges([masks[index] for index in most])
    meaning = interpret(counted, listed, masks[0])
    pixels = np.zeros((len(masks), len(meaning.stored)), dtype=np.int64)
    by_color = are_colors((*meaning.stored, *meaning.ignored))
    voids = [value for value in meaning.ignored if value in (*_HIGHEST, (IGNORE,) * 3)]
    if voids and not (listed and IGNORED.intersection(map(str.casefold, listed.names))):
        _refuse_two_foregrounds({masks[index]: each.by_value(by_color) for index, each in read.items()}, voids[0])
    for index, counts in read.items():
        by_value = counts.by_value(by_color)
        pixels[index] = [by_value.get(stored_number(value), 0) for value in meaning.stored]
    return meaning, PixelCounts(pixels, failed)


def _refuse_two_foregrounds(found: Mapping[Path, Mapping[int, int]], void: int | Color) -> None:
    """Raise `DataError` where some masks hold black and what is taken for void, others black and classes, and none all
    of these: the void may then be the class that has another value elsewhere.
    """
    white, black = stored_number(void), 0 if isinstance(void, int) else COLOR
    pure = [path for path, values in found.items() if values.keys() == {black, white}]
    others = [path for path, values in found.items() if white not in values and values.keys() - {black}]
    if pure and others and not any(white in values and values.keys() - {black, white} for values in found.values()):
        lowest = min(found[others[0]].keys() - {black})
        high, low = (value if value < COLOR else stored_color(value)[0] for value in (white, lowest))
        raise DataError(
            f"{pure[0]} holds 0 and {high}, but {others[0]} holds {low} and no {high}; use one value for the "
            f"foreground in all masks, or list what each value means in a classes.txt, such as '{high} void'."
        )


def interpret(found: Sequence[ValueCounts], listed: ClassList | None, first: Path) -> Meaning:
    """What the values mean that all masks together hold; ``first`` is one of their files.

    Raises `DataError` where they do not say for certain.
    """
    by_color = _are_read_by_color(found, listed, first)
    values = sorted(_values(found, by_color=by_color))
    palettes = [each.distinct.palette for each in found if each.distinct.palette is not None]
    if not by_color:
        painted = [stored_color(color) for color in palettes[0].tolist()] if palettes else []
        return _interpret_grays(values, listed, painted, first)
    differ = bool(palettes) and _palettes_differ(found)
    if (differ or _are_grays_of_gif(found, listed)) and set(values) <= set(GRAYS.tolist()):
        meaning = _interpret_grays([stored_color(value)[0] for value in values], listed, (), first)
        stored, ignored = (
            tuple(stored_color(int(GRAYS[np.array(number)])) for number in numbers)
            for numbers in (meaning.stored, meaning.ignored)
        )
        meaning = replace(meaning, stored=stored, ignored=ignored)
    else:
        meaning = _interpret_colors(values, listed, first)
    return replace(meaning, how=f"the files' palettes differ, so {meaning.how}") if differ else meaning


def _interpret_grays(values: Sequence[int], listed: ClassList | None, painted: Sequence[Color], first: Path) -> Meaning:
    """Two values that are black and white, or numbers; ``painted`` are the colors of a palette."""
    highest = values[-1] if values[-1] in _HIGHEST else IGNORE
    if values == [0, highest] and (listed is None or listed.numbers in ((0, 1), (0, highest))):
        names = listed.names if listed else ("background", "foreground")
        how = f"0 and {highest} are two classes, not a class and a void"
        return Meaning(names, (0, highest), MASK_COLORS[:2], (), how)
    of_voc = painted and any(part.startswith("SegmentationClass") for part in first.parts)
    if listed is None and of_voc and set(values) <= {*range(len(VOC)), IGNORE}:
        listed = ClassList("Pascal VOC", VOC, tuple(range(len(VOC))))
    return _interpret_numbers(values, listed, painted, first)


def _are_read_by_color(found: Sequence[ValueCounts], listed: ClassList | None, first: Path) -> bool:
    """Whether the masks are colors: some hold one, the list has them all, or the palettes of files differ."""
    some = any(each.distinct.palette is not None for each in found)
    indexed = [each for each in found if some and _palette(each) is not None]
    plain = [each for each in found if each not in indexed]
    gray, indices = (_values(part, by_color=False) for part in (plain, indexed))
    colors, entries = (_values(part, by_color=True) for part in (plain, indexed))
    deep = max((value for value in gray if value < COLOR), default=0) > IGNORE
    named = {*map(stored_number, listed.colors), TRANSPARENT} if listed and listed.colors else set[int]()
    if not deep and (colors | entries) <= named:
        return True
    if gray and max(gray) >= COLOR:
        if deep:
            raise DataError(f"Some masks of {first.parent} hold colors, others 16 bits a pixel; export all alike.")
        return True
    if indexed and (_palettes_differ(indexed) or _are_grays_of_gif(indexed, listed)):
        return True
    doubtful = gray - indices
    if gray and not doubtful and entries <= set(GRAYS.tolist()):  # a palette of grays, of which each may be meant
        doubtful = indices - {stored_color(entry)[0] for entry in entries}
    if not gray or not indices or not doubtful:
        return False
    if not deep and colors <= entries:
        return True
    raise DataError(
        f"Some masks of {first.parent} are indices of a palette and others gray, such as {min(doubtful)}; export "
        "all alike."
    )


def _are_grays_of_gif(found: Sequence[ValueCounts], listed: ClassList | None) -> bool:
    """Whether masks are GIF files of grays that are others than their indices, which mean nothing, as programs that
    write GIF number the colors anew. Where a list of classes has numbers of its own, the grays have to be these.
    """
    colors, indices = (_values(found, by_color=by_color) for by_color in (True, False))
    grays = {stored_color(color)[0] for color in colors}
    of_gif = all(each.distinct.format == "GIF" for each in found) and colors <= set(GRAYS.tolist())
    return of_gif and grays != indices and (listed is None or grays <= {*listed.numbers, IGNORE})


def _values(found: Sequence[ValueCounts], *, by_color: bool) -> set[int]:
    """All values that some masks hold together."""
    return set().union(*(each.by_value(by_color) for each in found))


def _palettes_differ(found: Sequence[ValueCounts]) -> bool:
    """Whether an index that is in use has two colors, or a color two indices, each in files without the other."""
    colors: dict[int, int] = {}
    palettes: dict[int, dict[int, Numbers]] = {}  # of a color by its index
    for each in found:
        palette = _palette(each)
        if palette is None:
            continue
        for index in each.distinct.values.tolist():
            color = int(palette[index])
            others = palettes.setdefault(color, {})
            moved = any(palette[other] != color != its[index] for other, its in others.items())
            if moved or colors.setdefault(index, color) != color:
                return True
            others.setdefault(index, palette)
    return False


def _palette(mask: ValueCounts) -> Numbers | None:
    """The colors that a file has for its values, even where it is opened as a gray image."""
    of_grays = mask.distinct.palette is None and mask.distinct.format in ("GIF", "BMP")
    return GRAYS if of_grays else mask.distinct.palette


def _interpret_numbers(
    values: Sequence[int], listed: ClassList | None, painted: Sequence[Color], first: Path
) -> Meaning:
    """Numbers of a list of classes, or of all values that there are; ``painted`` are the colors of a palette."""
    folder, void = first.parent, values[-1] if values[-1] in _HIGHEST else None
    if listed:
        numbers, names = list(listed.numbers), list(listed.names)
        unknown = [value for value in values if value not in (*numbers, void)]
        if unknown or (void and values[0] == 0 and len(values) == 2 and void not in numbers):
            value, many = unknown[-1] if unknown else void, f"{listed.source} lists {len(names)} classes"
            raise DataError(f"A mask of {folder} holds {value}, but {many}; add the number of each class to it.")
    else:
        numbers = [value for value in values if value != void or _is_evenly_spaced(values)]
        names = [f"class {number}" for number in numbers]
        _check_numbers(numbers, void, folder)
    void_numbers = [number for number, name in zip(numbers, names, strict=True) if name.casefold() in IGNORED]
    meant = [position for position, number in enumerate(numbers) if number not in void_numbers]
    ignored = (*void_numbers, *((void,) if void is not None and void not in numbers else ()))
    if not set(values).difference(ignored):
        raise DataError(f"The masks of {folder} hold only ignored values; they show no class.")
    colors = (
        list(listed.colors)
        if listed and listed.colors
        else [MASK_COLORS[position % len(MASK_COLORS)] for position in range(len(numbers))]
    )
    if not (listed and listed.colors) and painted and max(numbers) < len(painted):
        colors = [painted[number] for number in numbers]
    stored = tuple(numbers[position] for position in meant)
    low, high = min(stored), max(stored)
    consecutive = len(stored) > 2 and high - low == len(stored) - 1
    how = f"values {low} to {high}" if consecutive else f"values {', '.join(map(str, stored))}"
    how += " are classes" + (f", {', '.join(map(str, ignored))} is ignored" if ignored else "")
    classes = tuple(names[position] for position in meant)
    return Meaning(classes, stored, tuple(colors[position] for position in meant), ignored, how)


def _check_numbers(numbers: Sequence[int], void: int | None, folder: Path) -> None:
    """Raises `DataError` where numbers that no list names are no certain classes."""
    if len(numbers) > _MOST:
        raise DataError(f"The masks of {folder} hold {len(numbers)} values; classes are {_MOST} at most.")
    if void is not None and not numbers:
        raise DataError(f"The masks of {folder} hold only ignored values; they show no class.")
    if len(numbers) == 1:
        next_to = f" beside {void}, which is ignored" if void is not None and void not in numbers else ""
        raise DataError(
            f"The masks of {folder} hold only one value, {numbers[0]}{next_to}; they tell nothing apart. Export them "
            "again, or list what all values mean in a classes.txt."
        )
    gaps = [high - low for low, high in zip(numbers, (*numbers[1:], void or 2**16), strict=True)]
    if void and void not in numbers and len(numbers) <= _FEW and numbers[-1] > _SMALL and min(gaps) >= _APART:
        raise DataError(
            f"The masks of {folder} hold {', '.join(map(str, numbers))} and {void}, which may be a class or mean void; "
            f"list the numbers and names of the classes in a classes.txt, such as '{numbers[0]} background'."
        )


def _is_evenly_spaced(values: Sequence[int]) -> bool:
    """Whether values are those of so many gray levels from black, or the step above it, to white: 0, 127, 255."""
    step = (values[-1] - values[0]) / max(len(values) - 1, 1)
    even = all(abs(value - values[0] - index * step) <= 1 for index, value in enumerate(values))
    return len(values) > 2 and even and abs(values[0] - round(values[0] / step) * step) <= 1


def _interpret_colors(values: Sequence[int], listed: ClassList | None, first: Path) -> Meaning:
    transparent, folder = TRANSPARENT in values, first.parent
    found = [stored_color(value) for value in values if value != TRANSPARENT]
    known = dict(zip(listed.colors, listed.names, strict=True)) if listed and listed.colors else {}
    unknown = [color for color in found if color not in known]
    if known and unknown:
        raise DataError(f"A mask of {folder} holds the color {unknown[0]}, which the list of classes lacks.")
    if len(values) > _MOST:
        raise DataError(f"The masks of {folder} hold {len(found)} colors; classes are {_MOST} at most.")
    if transparent and (0, 0, 0) in found and len(values) > 2:
        raise DataError(f"The masks of {folder} are transparent in some places and black in others; make both alike.")
    classes = known or {color: "#{:02x}{:02x}{:02x}".format(*color) for color in found}
    void = tuple(color for color, name in classes.items() if name.casefold() in IGNORED)
    meant: dict[int | Color, str] = {color: name for color, name in classes.items() if color not in void}
    painted: dict[int | Color, Color] = {color: color for color in classes}
    how = f"{len(meant)} colors are classes"
    if transparent:
        listed_background = next((color for color, name in meant.items() if name.casefold() == "background"), None)
        if listed_background in found:
            raise DataError(f"The masks of {folder} have a background both transparent and colored; make both alike.")
        meant = {TRANSPARENT: "background", **{key: name for key, name in meant.items() if key != listed_background}}
        painted[TRANSPARENT] = (0, 0, 0)
        how = f"{len(meant)} classes: colors, and what is transparent as background"
    if len(values) == 1 and not known:
        only = "transparent pixels" if transparent else f"one color, {found[0]}"
        raise DataError(f"The masks of {folder} hold only {only}; they tell nothing apart. Export them again.")
    if listed and not known:
        how += f", which {listed.source} does not name, as it lists no colors"
    return Meaning(tuple(meant.values()), tuple(meant), tuple(painted[key] for key in meant), void, how)


def _count_file(path: Path) -> ValueCounts | str:
    """Of a mask that cannot be read, why."""
    try:
        counted = count_values(read_stored(path))
    except ImageError as error:
        return str(error)
    if len(counted.counts) > _MANY:
        return f"{path} holds {len(counted.counts):,} values and is no mask; restore it or leave its image out."
    return counted
