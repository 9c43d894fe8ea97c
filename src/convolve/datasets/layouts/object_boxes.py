"""Boxes of objects as annotation files of any program have them: upright, inside of their images, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress

import numpy as np
import numpy.typing as npt

from convolve.datasets.boxes import Boxes
from convolve.datasets.images import SIDEWAYS, ImageFiles
from convolve.datasets.inventory import Inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.annotated_images import (
    BACKGROUND,
    IGNORED,
    AnnotatedImage,
    NamedObject,
    ObjectBox,
    check_steps,
    count_of,
    list_names,
    unique_images,
)
from convolve.datasets.layouts.parts import build_dataset
from convolve.datasets.layouts.shapes import Edges
from convolve.datasets.parallel import in_order
from convolve.datasets.survey import MAX_UNREADABLE
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Flags, GroundTruth, Header, Indices

_ROUNDED = 1.0
"""Pixels that a box may reach beyond its image without a word: programs count from 0 or 1, and round."""
_FLIPPED = (frozenset((2, 3, 6, 7)), frozenset((3, 4, 7, 8)))
"""The EXIF orientations by which left and right, and top and bottom, are exchanged, after height and width are."""


def boxed_dataset(
    inventory: Inventory, layout: str, reason: str, found: Sequence[AnnotatedImage], classes: Iterable[str]
) -> Dataset:
    """A dataset of images whose objects have boxes: these, and as labels which classes each image has.

    An image that a file lists twice has the objects of both. Where the file gives the size of an image before it is
    turned upright by its EXIF orientation, the boxes are turned with it. Images of another size than the file says, and
    those whose annotation cannot be read, are left out, and so are boxes without area, inverted or outside of the
    image; others are cut at its edge. The notes say all of this. Raises `DataError` for an object without a class,
    where files disagree on an image, where too many of them cannot be read, and where nothing remains.
    """
    check_names(inventory, found)
    unread = [entry for entry in found if entry.failed]
    if len(unread) > MAX_UNREADABLE * len(found):
        raise DataError(
            f"{len(unread)} of {len(found)} annotations in {inventory.root} cannot be read, more than "
            f"{MAX_UNREADABLE:.0%}; repair or remove them ({unread[0].failed})."
        )
    names = tuple(dict.fromkeys(name for name in classes if name not in (BACKGROUND, IGNORED)))
    listed, notes = unique_images(inventory, [entry for entry in found if not entry.failed])
    if unread:
        notes.append(f"left out: {count_of(len(unread), 'image')} whose annotation cannot be read: {unread[0].failed}")
    entries, differing, said = _as_upright(inventory, listed)
    if not entries:
        raise DataError(
            f"In {inventory.root} no image has the size that the file gives, such as {differing[0][1]}; export it "
            "again."
        )
    if differing:
        sizes = [text for _, text in differing]
        notes.append(f"left out: {len(differing)} whose size is not the file's, such as {list_names(sizes)}")
    boxes, more = boxes_of(entries, names)
    notes += [*said, *more, *_without_box(entries, names)]
    tagged = [entry.image for entry in entries if entry.tags]
    notes += [f"not read: tags of {count_of(len(tagged), 'image')}, such as {list_names(tagged)}"] if tagged else []
    images = ImageFiles(inventory.root, tuple(entry.image for entry in entries))
    reason = f"{reason}; {count_of(len(entries), 'image')} with {count_of(len(boxes.boxes), 'object')} in boxes"
    present = boxes.presence()
    for index, entry in enumerate(entries):
        if entry.size is None:  # what an image shows is known even if it cannot be read
            present[index] = [name in {one.name for one in entry.objects} for name in names]
    ground_truths: dict[str, GroundTruth] = {"boxes": boxes, "labels": Labels(present.astype(np.uint8), names)}
    dataset = build_dataset(inventory.root, layout, reason, images, [entry.split for entry in entries], ground_truths)
    left = {*(image for image, _ in differing), *(entry.image for entry in unread)}
    return replace(dataset, notes=tuple(notes), left_out=tuple(sorted(left)))


def check_names(inventory: Inventory, entries: Sequence[AnnotatedImage]) -> None:
    """Raise `DataError` for an object without a class."""
    bare = next((entry for entry in entries for one in entry.objects if not one.name), None)
    if bare:
        raise DataError(
            f"{inventory.root / bare.source} has an object of {bare.image} without a label; give it one, or remove it."
        )


def boxes_of(entries: Sequence[AnnotatedImage], classes: Sequence[str]) -> tuple[Boxes, list[str]]:
    """The boxes of upright images whose size is known where they can be read, of objects of the ``classes``; and notes
    on what is left out and on what is cut at the images' edges.
    """
    positions = {name: index for index, name in enumerate(classes)}
    failed: dict[int, str] = {}
    found: list[tuple[int, int, ObjectBox, bool]] = []
    for index, entry in enumerate(entries):
        named = [one for one in entry.objects if one.name in positions and entry.size is not None]
        try:
            placed = [(one, box) for one, box in zip(named, _boxes(entry, named), strict=True) if box]
        except ImageError as error:
            failed[index] = str(error)
            continue
        except DataError as error:
            failed[index] = f"An object of {entry.image} has no box ({error}); correct it."
            continue
        found += [(index, positions[one.name], box, one.box is not None) for one, box in placed]
    image = np.array([row[0] for row in found], dtype=np.int64)
    sizes = np.array([entry.size or (0, 0) for entry in entries], dtype=np.int64).reshape(-1, 2)
    edges = np.array([row[2].edges for row in found], dtype=np.float64).reshape(-1, 4)
    declared = np.array([row[3] for row in found], dtype=bool)
    cut, fits, notes = _cut(edges, sizes[image], declared, [entries[index].image for index in image.tolist()])
    chosen = [row for row, flag in zip(found, fits, strict=True) if flag]
    area = [box.area for _, _, box, _ in chosen]
    own = (cut[fits][:, 2:] - cut[fits][:, :2]).prod(1)
    return Boxes(
        boxes=cut[fits],
        class_indices=np.array([row[1] for row in chosen], dtype=np.int64),
        first=np.searchsorted(image[fits], np.arange(len(entries) + 1)).astype(np.int64),
        sizes=sizes,
        classes=tuple(classes),
        areas=np.where([each is not None for each in area], np.array([each or 0.0 for each in area]), own),
        crowd=np.array([box.crowd for _, _, box, _ in chosen], dtype=bool),
        difficult=np.array([box.difficult for _, _, box, _ in chosen], dtype=bool),
        covers=np.ones(len(entries), dtype=bool),
        failed=failed,
    ), notes


def turn_edges(edges: Edges, orientation: int, size: tuple[int, int]) -> Edges:
    """A box in the pixels of an image as it is stored, in those of the upright image of a ``size`` (height, width)."""
    left, top, right, bottom = edges
    if orientation >= SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if orientation in _FLIPPED[0]:
        left, right = size[1] - right, size[1] - left
    if orientation in _FLIPPED[1]:
        top, bottom = size[0] - bottom, size[0] - top
    return left, top, right, bottom


def _boxes(entry: AnnotatedImage, objects: Sequence[NamedObject]) -> list[ObjectBox | None]:
    """The box of each object, or None where it has none. Raises `DataError` for a damaged shape, and `ImageError` for
    shapes that take too long.
    """
    size = entry.size or (0, 0)
    check_steps(entry.image, [one.shape for one in objects if one.box is None and one.shape is not None], size)
    found: list[ObjectBox | None] = []
    for one in objects:
        box = one.box
        if box is None and one.shape is not None:
            edges = one.shape.bounds(size)
            box = ObjectBox(edges, one.shape.area()) if edges else None
        found.append(box)
    return found


def _cut(
    edges: npt.NDArray[np.float64], sizes: Indices, declared: Flags, images: Sequence[str]
) -> tuple[npt.NDArray[np.float64], Flags, list[str]]:
    """(M, 4) boxes cut at the edges of their images, of ``sizes`` (M, 2; 0 where it is unknown); (M,) which of them
    have an area there; and notes on those that a file has ``declared`` (M,).
    """
    most = np.tile(np.where(sizes[:, ::-1] > 0, sizes[:, ::-1], np.inf), 2)
    cut = np.clip(edges, 0, most)
    sides, visible = edges[:, 2:] - edges[:, :2], cut[:, 2:] - cut[:, :2]
    inverted = (sides < 0).any(1)
    flat = ~inverted & (sides == 0).any(1)
    outside = ~inverted & ~flat & (visible <= 0).any(1)
    fits = ~(inverted | flat | outside)
    beyond = fits & (np.abs(edges - cut) > _ROUNDED).any(1)
    notes = []
    for rows, what in (
        (flat, "left out: {} whose box has no area"),
        (inverted, "left out: {} whose box is inverted, as its right or lower edge lies before the other one"),
        (outside, "left out: {} whose box lies outside of the image"),
        (beyond, "cut at the edge of the image: the box of {}"),
    ):
        if (rows & declared).any():
            named = list(dict.fromkeys(compress(images, rows & declared)))
            count = count_of(int((rows & declared).sum()), "object")
            notes.append(f"{what.format(count)}, such as in {list_names(named)}")
    return cut, fits, notes


def _as_upright(
    inventory: Inventory, entries: Sequence[AnnotatedImage]
) -> tuple[list[AnnotatedImage], list[tuple[str, str]], list[str]]:
    """The entries with the sizes of their upright images, and boxes in the pixels of these; the images whose size is
    another than the file says, with both sizes; and notes on images that are turned.
    """
    images = ImageFiles(inventory.root, tuple(entry.image for entry in entries))

    def read_header(index: int) -> Header | None:
        try:
            return images.open(index).header
        except ImageError:
            return None  # the doctor names what cannot be read

    fitting: list[AnnotatedImage] = []
    differing: list[tuple[str, str]] = []
    turned: dict[str, list[str]] = {}
    for entry, header in zip(entries, in_order(read_header, range(len(entries))), strict=True):
        if header is None:
            fitting.append(replace(entry, size=None))
            continue
        height, width = header.size
        stored = (width, height) if header.orientation >= SIDEWAYS else header.size
        if entry.fractions:
            fitting.append(_map_boxes(entry, header.size, partial(_scale, width=width, height=height)))
        elif entry.size is None or entry.size == header.size:
            fitting.append(replace(entry, size=header.size))
            if header.orientation > 1 and (how := _how_turned(entry, header)):
                turned.setdefault(how, []).append(entry.image)
        elif entry.size == stored:
            how = "turned with it, as the file gives the stored size"
            turned.setdefault(how, []).append(entry.image)
            fitting.append(
                _map_boxes(entry, header.size, partial(turn_edges, orientation=header.orientation, size=header.size))
            )
        else:
            sizes = f"{width}x{height}, not {entry.size[1]}x{entry.size[0]}"
            differing.append((entry.image, f"{entry.image} ({sizes})"))
    notes = [
        f"boxes of {count_of(len(names), 'image')} with an EXIF orientation are {how}: {list_names(names)}"
        for how, names in turned.items()
    ]
    return fitting, differing, notes


def _how_turned(entry: AnnotatedImage, header: Header) -> str:
    """What to say of the boxes of an image that is stored turned, when they are taken as those of the upright one."""
    if entry.size is not None:
        stored = header.size[::-1] if header.orientation >= SIDEWAYS else header.size
        why = "which the size does not tell" if stored == header.size else "as the file gives its size"
        return f"those of the upright image, {why}"
    height, width = header.size
    boxes = [one.box.edges for one in entry.objects if one.box]
    if any(max(-min(edges), edges[2] - width, edges[3] - height) > _ROUNDED for edges in boxes):
        return "those of the upright image, but some reach beyond it; save the image upright"
    return ""


def _scale(edges: Edges, width: int, height: int) -> Edges:
    return edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height


def _map_boxes(entry: AnnotatedImage, size: tuple[int, int], move: Callable[[Edges], Edges]) -> AnnotatedImage:
    """An entry whose objects have moved boxes, in the pixels of an upright image of a ``size``."""
    objects = tuple(
        replace(one, box=replace(one.box, edges=move(one.box.edges))) if one.box else one for one in entry.objects
    )
    return replace(entry, size=size, objects=objects, fractions=False)


def _without_box(entries: Sequence[AnnotatedImage], classes: Sequence[str]) -> list[str]:
    """A note on each kind of objects that have no box, and one on those of no class."""
    bare: dict[str, list[str]] = {}
    known = set(classes)
    for entry in entries:
        for one in entry.objects:
            if one.name not in known:
                bare.setdefault("that are background or ignored", []).append(entry.image)
            elif one.box is None and one.shape is None:
                bare.setdefault(f"with only {one.kind}", []).append(entry.image)
    return [
        f"left out: {count_of(len(images), 'object')} {what}, such as in {list_names(list(dict.fromkeys(images)))}"
        for what, images in bare.items()
    ]
