"""Images whose objects are outlined in annotation files: the masks and the labels that follow from the objects."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from convolve.datasets.class_colors import MASK_COLORS
from convolve.datasets.images import DIGEST_BYTES, ImageFiles
from convolve.datasets.inventory import Inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.annotated_images import (
    BACKGROUND,
    BOX,
    IGNORED,
    OUTLINE,
    AnnotatedImage,
    check_steps,
    count_of,
    describe,
    list_names,
    unique_images,
)
from convolve.datasets.layouts.object_boxes import boxed_dataset, boxes_of, check_names
from convolve.datasets.layouts.parts import build_dataset
from convolve.datasets.masks import Masks
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Dataset, GroundTruth, Pixels

_MOST = 254


class NoOutlinesError(DataError):
    """A file of annotations that outlines nothing."""


@final
@dataclass(frozen=True, eq=False)
class OutlineMasks:
    """Objects painted over the background, which is class 0: larger ones first, so that smaller ones remain visible."""

    entries: tuple[AnnotatedImage, ...]
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
            check_steps(entry.image, [shape for _, shape, _ in shapes], entry.size)
            for _, shape, value in sorted(shapes, key=lambda each: (each[0], -each[1].area())):
                shape.paint(mask, value)
        except DataError as error:
            raise ImageError(f"An object of {entry.image} cannot be drawn ({error}); correct it.") from error
        return mask

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the objects and the size."""
        entry = self.entries[index]
        content = describe((entry.size, entry.objects, self.classes)).encode(errors="surrogatepass")
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    def _index(self, name: str) -> int:
        return IGNORE if name == IGNORED else self.classes.index(name)


def outlined_dataset(
    inventory: Inventory, layout: str, reason: str, found: Sequence[AnnotatedImage], classes: Iterable[str]
) -> Dataset:
    """A dataset of annotated images, whose masks, labels and boxes have the ``classes``; of masks the background is
    always the first. Where nothing is outlined there are no masks; see `boxed_dataset`.

    An image that a file lists twice has the objects of both. Images of another size than the file says are left out. An
    image with an object of which only a box is known has labels, but no mask. The notes say all of this.

    Raises `NoOutlinesError` where there are neither outlines nor boxes, and `DataError` for an object without a class,
    where files disagree on an image, and for more than 254 classes.
    """
    check_names(inventory, found)
    objects = [one for entry in found for one in entry.objects]
    outlined = any(one.shape is not None and one.kind == OUTLINE for one in objects)
    if not outlined and any(one.box is not None or one.shape is not None for one in objects):
        return boxed_dataset(inventory, layout, reason, found, classes)
    names = (BACKGROUND, *dict.fromkeys(name for name in classes if name not in (BACKGROUND, IGNORED)))
    if len(names) - 1 > _MOST:
        raise DataError(f"{found[0].source} has {len(names) - 1} categories; masks hold {_MOST} at most.")
    listed, notes = unique_images(inventory, found)
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
    masks = Masks(OutlineMasks(tuple(entries), names), names, MASK_COLORS[: len(names)])
    if any(boxed):
        masks = masks.take(np.where(boxed, -1, np.arange(len(entries))).astype(np.int64))
    boxes, said = boxes_of(entries, names[1:])
    ground_truths: dict[str, GroundTruth] = {
        "masks": masks,
        "labels": Labels(flags.reshape(len(entries), len(names) - 1), names[1:]),
        "boxes": boxes,
    }
    images = ImageFiles(inventory.root, tuple(entry.image for entry in entries))
    reason = f"{reason}; {len(entries)} images with masks and labels"
    dataset = build_dataset(inventory.root, layout, reason, images, [entry.split for entry in entries], ground_truths)
    left = {entry.image for entry in listed}.difference(images.names)
    return replace(dataset, notes=(*notes, *said), left_out=tuple(sorted(left)))


def tagged_dataset(
    inventory: Inventory, layout: str, reason: str, found: Sequence[AnnotatedImage], classes: Iterable[str]
) -> Dataset:
    """A dataset of images whose tags are their labels: one label each where no image has several tags, without those
    that have none.
    """
    names = tuple(dict.fromkeys(classes))
    entries, notes = unique_images(inventory, found)
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


def _of_true_size(
    inventory: Inventory, entries: Sequence[AnnotatedImage]
) -> tuple[list[AnnotatedImage], dict[str, str]]:
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


def _without_outline(inventory: Inventory, entries: Sequence[AnnotatedImage]) -> list[str]:
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
