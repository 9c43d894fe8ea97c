"""Images with masks of the same names, in neighboring folders, below splits, or in one folder with a suffix.

The values stored in masks mean class indices, colors, or black and white.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, natural
from convolve.datasets.layouts.parts import build_dataset, read_lines, split_word
from convolve.datasets.masks import MaskFiles, Masks, PixelCounts, count_pixels, stored_number, stored_values
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Color, Dataset

NAME = "masks"
MARK = None
EXPECTED = "images/ and masks/ with files of the same names"
_MASKS = re.compile(
    r"(?:^|[-_ ])(masks?|labels?|labelids|annotations?|annots?|gt|ground[-_ ]?truths?|segmentation(?:class)?|trimaps?)$"
    r"|(?<=[a-z])(annot)$"
)
_IMAGES = re.compile(r"(?:^|[-_ ])(images?|imgs?|jpegimages|photos?|leftimg8bit|rgb)$")
_OBJECTS = "segmentationobject"  # Pascal VOC's masks of single objects
_SUFFIX = re.compile(r"[-_. ](masks?|labels?|labelids|gt|seg|segmentation|trimap|l)$")
_MOST = 254  # classes
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
class _Pair:
    image: str
    mask: str
    split: str | None


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, or None where fewer than half of the masks found belong to an image.

    A mask is a file in a folder called so (`masks`, `labels`, `annotations`, `trainannot`, `SegmentationClass` …) or
    one whose name ends so (`17_mask.png`); it belongs to the image of the same name. What its values mean is judged by
    `interpret_files`. Images without a mask, and pairs whose shapes differ, are left out and named in the
    reason. Raises `DataError` for values that cannot be interpreted.
    """
    path = inventory.root
    pairs, alone = _pairs(inventory.images)
    if not pairs:
        return None
    pairs, unlisted, absent = _assign_splits(path, pairs)
    broken = [pair.mask for pair in unlisted if not _can_be_read(path / pair.mask)]
    pairs, differing = _with_same_shape(path, pairs)
    if not pairs:
        raise DataError(f"In {path} no mask has its image's shape, such as {differing[0]}; export them again.")
    meaning, counts = interpret_files([path / pair.mask for pair in pairs], class_lists(path))
    reader = MaskFiles(path, tuple(pair.mask for pair in pairs), meaning.stored, meaning.ignored)
    reason = f"{len(pairs)} images with masks of the same names; {meaning.how}"
    for what, names in (
        ("without a mask", alone),
        ("with a mask of another shape", differing),
        ("listed but absent", absent),
        ("that no list names", [pair.image for pair in unlisted]),
        ("of these with an unreadable mask", broken),
    ):
        if names:
            reason += f"; left out: {len(names)} {what}, such as {', '.join(names[:NAMED])}"
    images = ImageFiles(path, tuple(pair.image for pair in pairs))
    ground_truths = {"masks": Masks(reader, meaning.names, meaning.colors, counts=counts)}
    dataset = build_dataset(path, NAME, reason, images, [pair.split for pair in pairs], ground_truths)
    return replace(dataset, annotations=tuple(pair.mask for pair in pairs))


def is_mask(name: str) -> bool:
    """Whether a path is called as masks are."""
    return _key(PurePosixPath(name))[1]


def _pairs(names: Sequence[str]) -> tuple[list[_Pair], list[str]]:
    """Images with their masks in natural order, and the images that have none; nothing where that is most of them."""
    images: dict[tuple[str, ...], str] = {}
    masks: dict[tuple[str, ...], str] = {}
    for name in names:
        if _OBJECTS not in name.casefold():
            key, marked = _key(PurePosixPath(name))
            (masks if marked else images)[key] = name
    both = [key for key in images if key in masks]
    if not both or 2 * len(both) < len(masks):
        return [], []
    pairs = [_Pair(images[key], masks[key], next(filter(None, map(split_word, key[:-1])), None)) for key in both]
    return sorted(pairs, key=lambda pair: natural(pair.image)), [images[key] for key in images if key not in masks]


def _key(path: PurePosixPath) -> tuple[tuple[str, ...], bool]:
    """What an image and its mask have in common, and whether this is the mask."""
    marked, parts = False, []
    for part in path.parts[:-1]:
        word = part.casefold()
        marked |= bool(_MASKS.search(word))
        rest = _IMAGES.sub("", _MASKS.sub("", word))
        parts += [rest.strip("-_ ")] if rest.strip("-_ ") else []
    stem = path.stem.casefold()
    bare = _SUFFIX.sub("", stem)
    return (*parts, _IMAGES.sub("", bare).strip("-_ ") or bare), marked or bare != stem


def _assign_splits(folder: Path, pairs: list[_Pair]) -> tuple[list[_Pair], list[_Pair], list[str]]:
    """Pairs with the splits of Pascal VOC's lists, where they are; then those that no list names, and the names of the
    lists that have no pair.
    """
    lists = {
        word: path for path in sorted(folder.glob("ImageSets/Segmentation/*.txt")) if (word := split_word(path.stem))
    }
    if not lists:
        return pairs, [], []
    split = {name.split()[0]: word for word, path in lists.items() for name in read_lines(path)}
    stems = [PurePosixPath(pair.image).stem for pair in pairs]
    named = list(zip(stems, pairs, strict=True))
    known = [_Pair(pair.image, pair.mask, split[stem]) for stem, pair in named if stem in split]
    unlisted = [pair for stem, pair in named if stem not in split]
    return known, unlisted, sorted(split.keys() - set(stems), key=natural)


def _can_be_read(mask: Path) -> bool:
    try:
        stored_values(mask)
    except ImageError:
        return False
    return True


def _with_same_shape(folder: Path, pairs: list[_Pair]) -> tuple[list[_Pair], list[str]]:
    """Pairs of one shape (a mask may be smaller than its image), and the images of the others."""
    images = ImageFiles(folder, tuple(pair.image for pair in pairs))
    masks = ImageFiles(folder, tuple(pair.mask for pair in pairs))

    def same(index: int) -> bool:
        try:
            (height, width), (rows, columns) = images.size(index), masks.size(index)
        except ImageError:
            return True  # the doctor names what cannot be read
        return abs(height * columns - width * rows) <= max(height + rows, width + columns) / 2

    fits = list(in_order(same, range(len(pairs))))
    differing = [pair.image for pair, fit in zip(pairs, fits, strict=True) if not fit]
    return [pair for pair, fit in zip(pairs, fits, strict=True) if fit], differing


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
    found = []
    for line in read_lines(texts[0]) if texts else ():
        words = [word for word in re.split(r"[,;\t ]+", line) if word]
        numbers = [word for word in words if _NUMBERS.fullmatch(word)]
        name = " ".join(word for word in words if not _NUMBERS.fullmatch(word))
        if name and name.casefold() not in ("name r g b", "r g b name"):
            color = (int(numbers[0]), int(numbers[1]), int(numbers[2])) if len(numbers) == 3 else None
            found.append(ListedClass(name, color))
    return found


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
    if not listed and palette and numbers and numbers[-1] < len(VOC) and "SegmentationClass" in first.parts:
        listed = [ListedClass(name, None) for name in VOC]
    if listed:
        if numbers and numbers[-1] >= len(listed):
            raise DataError(f"A mask of {first.parent} holds {numbers[-1]}, but the list has {len(listed)} classes.")
        numbers = list(range(len(listed)))
    names = [entry.name for entry in listed] or [f"class {number}" for number in numbers]
    void = [number for number, name in zip(numbers, names, strict=True) if name.casefold() in _IGNORED]
    meant = [position for position, number in enumerate(numbers) if number not in void]
    if not meant:
        raise DataError(f"The masks of {first.parent} hold only ignored values; they show no class.")
    own = [entry.color for entry in listed] if listed and all(entry.color for entry in listed) else palette
    painted = [own[number] or (0, 0, 0) for number in numbers] if own else list(distinct_colors(len(numbers)))
    ignored = tuple(void) + ((IGNORE,) if values[-1] == IGNORE else ())
    stored = tuple(numbers[position] for position in meant)
    low, high = stored[0], stored[-1]
    consecutive = len(stored) > 2 and high - low == len(stored) - 1
    how = f"values {low} to {high}" if consecutive else f"values {', '.join(map(str, stored))}"
    how += " are classes" + (f", {', '.join(map(str, ignored))} is ignored" if ignored else "")
    classes = tuple(names[position] for position in meant)
    return Meaning(classes, stored, tuple(painted[position] for position in meant), ignored, how)


def _interpret_colors(values: Sequence[int], listed: Sequence[ListedClass], first: Path) -> Meaning:
    found = [(value >> 16 & 255, value >> 8 & 255, value & 255) for value in values]
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


def _palette(path: Path) -> list[Color]:
    """The colors of an indexed file; none of another."""
    try:
        with Image.open(path) as file:
            flat = (file.getpalette() or []) if file.mode == "P" else []
    except OSError:
        return []
    if len(flat) != 768:
        return []
    return [(flat[start], flat[start + 1], flat[start + 2]) for start in range(0, len(flat), 3)]


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Colors well apart, the first one black: hues by the golden section, in turn light and dark."""
    found: list[Color] = [(0, 0, 0)]
    for number in range(count - 1):
        shades = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.65 + 0.25 * (number % 2), 0.95 - 0.25 * (number // 2 % 2))
        red, green, blue = (round(255 * shade) for shade in shades)
        found.append((red, green, blue))
    return tuple(found[:count])
