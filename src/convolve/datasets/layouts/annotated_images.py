"""Images with their objects, as annotation files of any program have them: what the readers of such files share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from unicodedata import normalize

from convolve.datasets.inventory import NAMED, Inventory
from convolve.datasets.layouts.painting import MOST_STEPS
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.layouts.shapes import Edges, Shape
from convolve.errors import DataError, ImageError, shorten
from convolve.files import shell_quote
from convolve.untrusted.fields import as_text

BACKGROUND = "background"
IGNORED = "__ignore__"
"""What LabelMe calls a region that belongs to no class."""
OUTLINE, BOX, EMPTY = "an outline", "a box", "an empty outline"
"""Kinds of objects; what one with only a box covers is not known."""


@dataclass(frozen=True)
class ObjectBox:
    """Where an object is, by its ``edges``; its ``area`` in pixels, where the file has it; whether it is a ``crowd`` of
    objects, or too ``difficult`` to count.
    """

    edges: Edges
    area: float | None = None
    crowd: bool = False
    difficult: bool = False


@dataclass(frozen=True)
class NamedObject:
    """An object of the class ``name``; where its ``kind`` cannot be painted it has no ``shape``. Those in a higher
    ``layer`` lie on top. Without a ``box`` of its own it has the one around its shape.
    """

    name: str
    shape: Shape | None
    kind: str = OUTLINE
    layer: int = 0
    box: ObjectBox | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AnnotatedImage:
    """An image below the root with its objects, as the annotation file ``source`` says; ``size`` is its height and
    width, where the file has them; ``tags`` are labels of the whole image. The boxes of objects are in pixels, or
    ``fractions`` of the image's sides. ``failed`` says why its annotation cannot be read.
    """

    image: str
    source: str
    objects: tuple[NamedObject, ...]
    size: tuple[int, int] | None = None
    split: str | None = None
    tags: tuple[str, ...] = ()
    fractions: bool = False
    failed: str | None = None


def class_name(text: object) -> str:
    """A class as a file calls it, in one Unicode form; all spellings of the background are one. Raises `ValueError` for
    what is neither a text nor a number.
    """
    name = normalize("NFC", as_text(text)).strip()
    return BACKGROUND if name.strip("_").casefold() == BACKGROUND else name


def find_split(path: str) -> str | None:
    """The split after which one of the folders of a path is called."""
    return next(filter(None, map(split_word, path.split("/")[:-1])), None)


def list_names(names: Sequence[str]) -> str:
    """The first few of them, for a sentence."""
    return ", ".join(map(shorten, names[:NAMED])) + (" …" if len(names) > NAMED else "")


def count_of(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def check_steps(image: str, shapes: Sequence[Shape], size: tuple[int, int]) -> None:
    """Raise `ImageError` where the shapes of an image of a ``size`` (height, width) would take too long to draw, and
    `DataError` for a damaged one.
    """
    steps = sum(shape.steps(size) for shape in shapes)
    if steps > MOST_STEPS:
        raise ImageError(
            f"The {count_of(len(shapes), 'object')} of {image} would take {steps:,} steps to draw, more than the "
            f"{MOST_STEPS:,} that any needs; remove what repeats, or simplify the outlines."
        )


def describe(value: object) -> str:
    """What makes two values the same, as text; one of outlines that are nested too deeply to be drawn."""
    try:
        return repr(value)
    except RecursionError:
        return "nested too deeply"


def unique_images(inventory: Inventory, found: Sequence[AnnotatedImage]) -> tuple[list[AnnotatedImage], list[str]]:
    """Each image once, and a note where it was listed more often. Raises `DataError` where two files differ on it."""
    groups: dict[str, list[AnnotatedImage]] = defaultdict(list)
    for entry in found:
        groups[entry.image].append(entry)
    entries = []
    for image, group in groups.items():
        by_source: dict[str, list[NamedObject]] = defaultdict(list)
        tags: dict[str, dict[str, None]] = defaultdict(dict)
        for entry in group:
            by_source[entry.source] += entry.objects
            tags[entry.source] |= dict.fromkeys(entry.tags)
        first, *others = by_source
        for other in others:
            objects = [{_describe_object(one) for one in by_source[source]} for source in (first, other)]
            if objects[0] != objects[1] or tags[first].keys() != tags[other].keys():
                raise DataError(
                    f"{first} and {other} in {inventory.root} annotate {image} differently; leave one of them, or give "
                    f"the file that you want, such as by --annotations {shell_quote(first)}."
                )
        split = next((entry.split for entry in group if entry.split), None)
        entries.append(replace(group[0], objects=tuple(by_source[first]), split=split, tags=tuple(tags[first])))
    repeated = [image for image, group in groups.items() if len(group) > 1]
    notes = [f"listed twice and taken once: {count_of(len(repeated), 'image')}, such as {list_names(repeated)}"]
    return entries, notes if repeated else []


def _describe_object(one: NamedObject) -> str:
    """What makes two objects the same: the outline, or else the box."""
    return describe((one, one.box) if one.shape is None else one)
