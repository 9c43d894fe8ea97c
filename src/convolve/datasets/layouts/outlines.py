"""Images whose objects are outlined in annotation files: the masks and the labels that follow from the objects."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final
from unicodedata import normalize

import numpy as np

from convolve.datasets.images import DIGEST_BYTES, ImageFiles
from convolve.datasets.inventory import NAMED, Inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.mask_values import distinct_colors
from convolve.datasets.layouts.painting import MOST_STEPS
from convolve.datasets.layouts.parts import build_dataset, split_word
from convolve.datasets.layouts.shapes import Shape
from convolve.datasets.masks import Masks
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError, shorten
from convolve.files import shell_quote
from convolve.untrusted.fields import as_text
from convolve.values import IGNORE, Dataset, GroundTruth, Pixels

BACKGROUND = "background"
IGNORED = "__ignore__"
"""What LabelMe calls a region that belongs to no class."""
OUTLINE, BOX, EMPTY = "an outline", "a box", "an empty outline"
"""Kinds of objects; what one with only a box covers is not known."""
_MOST = 254


class NoOutlinesError(DataError):
    """A file of annotations that outlines nothing."""


@dataclass(frozen=True)
class NamedObject:
    """An object of the class ``name``; where its ``kind`` cannot be painted it has no ``shape``. Those in a higher
    ``layer`` lie on top.
    """

    name: str
    shape: Shape | None
    kind: str = OUTLINE
    layer: int = 0


@dataclass(frozen=True)
class OutlinedImage:
    """An image below the root with its objects, as the annotation file ``source`` says; ``size`` is its height and
    width, where the file has them; ``tags`` are labels of the whole image.
    """

    image: str
    source: str
    objects: tuple[NamedObject, ...]
    size: tuple[int, int] | None = None
    split: str | None = None
    tags: tuple[str, ...] = ()


@final
@dataclass(frozen=True, eq=False)
class OutlineMasks:
    """Objects painted over the background, which is class 0: larger ones first, so that smaller ones remain visible."""

    entries: tuple[OutlinedImage, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> Pixels:
        """(H, W) class indices. Raises `ImageError`."""
        entry = self.entries[index]
        if entry.size is None:
            raise ImageError(f"{entry.image} cannot be read, so that the size of its mask is unknown; restore it.")
        mask = np.zeros(entry.size, np.uint8)
        try:
            shapes = [(one.layer, one.shape, self._index(one.name)) for one in entry.objects if one.shape is not None]
            steps = sum(shape.steps(entry.size) for _, shape, _ in shapes)
            if steps > MOST_STEPS:
                raise ImageError(
                    f"The {count_of(len(shapes), 'object')} of {entry.image} would take {steps:,} steps to draw, more "
                    f"than the {MOST_STEPS:,} that any needs; remove what repeats, or simplify the outlines."
                )
            for _, shape, value in sorted(shapes, key=lambda each: (each[0], -each[1].area())):
                shape.paint(mask, value)
        except DataError as error:
            raise ImageError(f"An object of {entry.image} cannot be drawn ({error}); correct it.") from error
        return mask

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the objects and the size."""
        entry = self.entries[index]
        content = _describe((entry.size, entry.objects, self.classes)).encode(errors="surrogatepass")
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    def _index(self, name: str) -> int:
        return IGNORE if name == IGNORED else self.classes.index(name)


def class_name(text: object) -> str:
    """A class as a file calls it, in one Unicode form; all spellings of the background are one. Raises `ValueError` for
    what is neither a text nor a number.
    """
    name = normalize("NFC", as_text(text)).strip()
    return BACKGROUND if name.strip("_").casefold() == BACKGROUND else name


def outlined_dataset(
    inventory: Inventory, layout: str, reason: str, found: Sequence[OutlinedImage], classes: Iterable[str]
) -> Dataset:
    """A dataset of annotated images, whose masks and labels have the ``classes``; the background is always the first.

    An image that a file lists twice has the objects of both. Images of another size than the file says are left out. An
    image with an object of which only a box is known has labels, but no mask. The notes say all of this.

    Raises `NoOutlinesError` where nothing can be painted, and `DataError` for an object without a class, where files
    disagree on an image, and for more than 254 classes.
    """
    bare = next((entry for entry in found for one in entry.objects if not one.name), None)
    if bare:
        raise DataError(
            f"{inventory.root / bare.source} has an object of {bare.image} without a label; give it one, or remove it."
        )
    names = (BACKGROUND, *dict.fromkeys(name for name in classes if name not in (BACKGROUND, IGNORED)))
    if len(names) - 1 > _MOST:
        raise DataError(f"{found[0].source} has {len(names) - 1} categories; masks hold {_MOST} at most.")
    listed, notes = _unique(inventory, found)
    entries, differing = _of_true_size(inventory, listed)
    sizes = list(differing.values())
    if not entries:
        raise DataError(
            f"In {inventory.root} no image has the size that the file gives, such as {sizes[0]}; export it again."
        )
    if differing:
        notes.append(f"left out: {len(differing)} whose size is not the file's, such as {list_names(sizes)}")
    notes += _without_outline(inventory, entries)
    boxed = [any(one.shape is None and one.kind == BOX for one in entry.objects) for entry in entries]
    tagged = [entry.image for entry in entries if entry.tags]
    notes += [f"not read: tags of {count_of(len(tagged), 'image')}, such as {list_names(tagged)}"] if tagged else []
    present = [{one.name for one in entry.objects} for entry in entries]
    flags = np.array([[name in each for name in names[1:]] for each in present], dtype=np.uint8)
    masks = Masks(OutlineMasks(tuple(entries), names), names, distinct_colors(len(names)))
    if any(boxed):
        masks = masks.take(np.where(boxed, -1, np.arange(len(entries))).astype(np.int64))
    ground_truths: dict[str, GroundTruth] = {
        "masks": masks,
        "labels": Labels(flags.reshape(len(entries), len(names) - 1), names[1:]),
    }
    images = ImageFiles(inventory.root, tuple(entry.image for entry in entries))
    reason = f"{reason}; {len(entries)} images with masks and labels"
    dataset = build_dataset(inventory.root, layout, reason, images, [entry.split for entry in entries], ground_truths)
    left = {entry.image for entry in listed}.difference(images.names)
    return replace(dataset, notes=tuple(notes), left_out=tuple(sorted(left)))


def tagged_dataset(
    inventory: Inventory, layout: str, reason: str, found: Sequence[OutlinedImage], classes: Iterable[str]
) -> Dataset:
    """A dataset of images whose tags are their labels: one label each where no image has several tags, without those
    that have none.
    """
    names = tuple(dict.fromkeys(classes))
    entries, notes = _unique(inventory, found)
    single = all(len(entry.tags) <= 1 for entry in entries)
    bare = [entry.image for entry in entries if not entry.tags]
    what = "left out: without a label" if single else "no label:"
    notes += [f"{what} {count_of(len(bare), 'image')}, such as {list_names(bare)}"] if bare else []
    if single:
        entries = [entry for entry in entries if entry.tags]
        values: Labels = Labels(np.array([names.index(entry.tags[0]) for entry in entries], dtype=np.int64), names)
    else:
        values = Labels(np.array([[name in entry.tags for name in names] for entry in entries], dtype=np.uint8), names)
    images = ImageFiles(inventory.root, tuple(entry.image for entry in entries))
    splits = [entry.split for entry in entries]
    dataset = build_dataset(inventory.root, layout, reason, images, splits, {"labels": values})
    return replace(dataset, notes=tuple(notes), left_out=tuple(bare) if single else ())


def find_split(path: str) -> str | None:
    """The split after which one of the folders of a path is called."""
    return next(filter(None, map(split_word, path.split("/")[:-1])), None)


def list_names(names: Sequence[str]) -> str:
    """The first few of them, for a sentence."""
    return ", ".join(map(shorten, names[:NAMED])) + (" …" if len(names) > NAMED else "")


def count_of(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _describe(value: object) -> str:
    """What makes two values the same, as text; one of outlines that are nested too deeply to be drawn."""
    try:
        return repr(value)
    except RecursionError:
        return "nested too deeply"


def _unique(inventory: Inventory, found: Sequence[OutlinedImage]) -> tuple[list[OutlinedImage], list[str]]:
    """Each image once, and a note where it was listed more often. Raises `DataError` where two files differ on it."""
    groups: dict[str, list[OutlinedImage]] = defaultdict(list)
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
            objects = [{_describe(one) for one in by_source[source]} for source in (first, other)]
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


def _of_true_size(inventory: Inventory, entries: Sequence[OutlinedImage]) -> tuple[list[OutlinedImage], dict[str, str]]:
    """The entries whose images are as large as the file says, or of which it does not say it, with their sizes; and the
    others' names with their sizes.
    """
    images = ImageFiles(inventory.root, tuple(entry.image for entry in entries))

    def size(index: int) -> tuple[int, int] | None:
        try:
            return images.size(index)
        except ImageError:
            return entries[index].size  # the doctor names what cannot be read

    fitting, differing = [], {}
    for entry, actual in zip(entries, in_order(size, range(len(entries))), strict=True):
        if entry.size is None or actual is None or entry.size == actual:
            fitting.append(replace(entry, size=actual))
        else:
            sizes = f"{actual[1]}x{actual[0]}, not {entry.size[1]}x{entry.size[0]}"
            differing[entry.image] = f"{entry.image} ({sizes})"
    return fitting, differing


def _without_outline(inventory: Inventory, entries: Sequence[OutlinedImage]) -> list[str]:
    """A note on each kind of objects that are not painted, or painted although they are boxes. Raises `NoOutlinesError`
    where there is nothing else.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    images: dict[tuple[str, bool], dict[str, None]] = defaultdict(dict)
    for entry in entries:
        for one in entry.objects:
            counts[one.kind, one.shape is not None] += 1
            images[one.kind, one.shape is not None][entry.image] = None
    if not counts[OUTLINE, True]:
        first = f"{entries[0].source} in {inventory.root}"
        if not counts:
            raise NoOutlinesError(f"{first} has no object in any image; annotate some.")
        most = counts.most_common(1)[0][0]
        raise NoOutlinesError(
            f"{first} has no outlines, but {count_of(counts[most], 'object')} with only {most[0]}, such as in "
            f"{list_names(list(images[most]))}; draw polygons, or export them."
        )
    notes = []
    for (kind, painted), count in counts.items():
        named = list(images[kind, painted])
        note = f"{count_of(count, 'object')} with only {kind}, such as in {list_names(named)}"
        if painted and kind == BOX:
            notes.append(f"painted as rectangles: {note}")
        elif not painted:
            alone = f"; labels, but no mask: {count_of(len(named), 'image')}" if kind == BOX else ""
            notes.append(f"not painted: {note}{alone}")
    return notes
