"""Images with the points of one object each, as annotation files of any program have them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from convolve.datasets.crops import CroppedImages
from convolve.datasets.images import SIDEWAYS, ImageFiles
from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.annotated_images import count_of, list_names
from convolve.datasets.layouts.object_boxes import turn_edges
from convolve.datasets.layouts.parts import build_dataset
from convolve.datasets.layouts.shapes import Edges
from convolve.datasets.parallel import in_order
from convolve.datasets.point_sets import PointSet
from convolve.datasets.points import UNLABELED, Points
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Header, Indices

Point = tuple[float, float]
MARGIN = 0.25
"""Fraction of an object's width and height that is added on every side where an image is cut out around it."""


@dataclass(frozen=True)
class AnnotatedPoints:
    """The ``points`` of one object in an image below the root, and their ``visibility``, as the file ``source`` says.
    ``size`` is the image's height and width, ``box`` the object's edges, ``area`` what it covers, where the file has
    them.
    """

    image: str
    source: str
    points: tuple[Point, ...]
    visibility: tuple[int, ...]
    size: tuple[int, int] | None = None
    split: str | None = None
    box: Edges | None = None
    area: float | None = None


def points_dataset(
    inventory: Inventory, layout: str, reason: str, found: Sequence[AnnotatedPoints], point_set: PointSet
) -> Dataset:
    """A dataset of the points. Where every image has one object without a box, an example is the whole image; else it
    is what is cut out around each object, by its box or the one around its points, with a margin.

    Objects without a labeled point are left out, and so are images of another size than the file says; the notes say
    it. Raises `DataError` where nothing remains.
    """
    labeled = [one for one in found if any(one.visibility)]
    if not labeled:
        raise DataError(f"No object in {inventory.root} has a labeled point; label some.")
    notes = _note(len(found) - len(labeled), "object", "without a labeled point")
    entries, more = _as_upright(inventory, labeled)
    if not entries:
        raise DataError(f"In {inventory.root} no image has the size that {labeled[0].source} gives; export it again.")
    counts = Counter(one.image for one in entries)
    cropped = max(counts.values()) > 1 or any(one.box for one in entries)
    names = list(counts)
    if cropped:
        entries, lacking = _with_area(entries)
        more += lacking
    images = ImageFiles(inventory.root, tuple(names) if cropped else tuple(one.image for one in entries))
    points = _points(entries, point_set)
    unit = "objects" if cropped else "images"
    dataset = build_dataset(
        inventory.root,
        layout,
        f"{reason}; {len(entries):,} {unit} with {len(point_set.names)} points each",
        _crop(images, entries, points) if cropped else images,
        [one.split for one in entries],
        {"points": _in_crops(points) if cropped else points},
    )
    left = tuple(sorted({one.image for one in found} - set(names)))
    return replace(dataset, notes=(*notes, *more, *dataset.notes), left_out=left)


def one_object_each(inventory: Inventory, found: Sequence[AnnotatedPoints]) -> list[AnnotatedPoints]:
    """Each object once, where several files list it. Raises `DataError` where two files differ on an image."""
    by_image: dict[str, dict[str, list[AnnotatedPoints]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        by_image[one.image][one.source].append(one)
    kept: list[AnnotatedPoints] = []
    for image, sources in by_image.items():
        first, *others = sources
        for other in others:
            told = [{(one.points, one.visibility) for one in sources[source]} for source in (first, other)]
            if told[0] != told[1]:
                raise DataError(
                    f"{first} and {other} in {inventory.root} have other points of {image}; leave one of them, or "
                    "choose one with --annotations."
                )
        kept += sources[first]
    return kept


def _as_upright(inventory: Inventory, entries: Sequence[AnnotatedPoints]) -> tuple[list[AnnotatedPoints], list[str]]:
    """The entries with the sizes of their upright images, and points in the pixels of these; and notes."""
    names = list(dict.fromkeys(one.image for one in entries))
    images = ImageFiles(inventory.root, tuple(names))

    def read_header(index: int) -> Header | None:
        try:
            return images.open(index).header
        except ImageError:
            return None  # the doctor names what cannot be read

    headers = dict(zip(names, in_order(read_header, range(len(names))), strict=True))
    fitting: list[AnnotatedPoints] = []
    differing: list[str] = []
    turned: list[str] = []
    for one in entries:
        header = headers[one.image]
        stored = header.size[::-1] if header and header.orientation >= SIDEWAYS else header.size if header else None
        if header is None or one.size in (None, header.size):
            fitting.append(replace(one, size=header.size if header else one.size))
            turned += [one.image] if header and header.orientation > 1 else []
        elif one.size == stored:
            fitting.append(_turn(one, header))
        else:
            differing.append(one.image)
    notes = _note(len(differing), "object", f"whose image is not of the file's size, such as {list_names(differing)}")
    if turned:
        notes.append(
            f"points of images with an EXIF orientation are taken as those of the upright image: {list_names(turned)}"
        )
    return fitting, notes


def _turn(one: AnnotatedPoints, header: Header) -> AnnotatedPoints:
    """An entry in the pixels of an image as it is stored, in those of the upright image."""
    moved = [turn_edges((x, y, x, y), header.orientation, header.size) for x, y in one.points]
    box = turn_edges(one.box, header.orientation, header.size) if one.box else None
    return replace(one, points=tuple((x, y) for x, y, _, _ in moved), box=box, size=header.size)


def _with_area(entries: Sequence[AnnotatedPoints]) -> tuple[list[AnnotatedPoints], list[str]]:
    """Those of which something can be cut out."""
    fits: list[bool] = []
    for one in entries:
        left, top, right, bottom = _edges_of(one)
        height, width = one.size or (np.inf, np.inf)
        fits.append(min(right, width) - max(left, 0) >= 1 and min(bottom, height) - max(top, 0) >= 1)
    small = [one.image for one, fit in zip(entries, fits, strict=True) if not fit]
    notes = _note(len(small), "object", f"whose box has no pixel in the image, such as in {list_names(small)}")
    return [one for one, fit in zip(entries, fits, strict=True) if fit], notes


def _edges_of(one: AnnotatedPoints) -> Edges:
    """The object's own box, or the one around its labeled points."""
    if one.box:
        return one.box
    labeled = np.array([point for point, flag in zip(one.points, one.visibility, strict=True) if flag])
    (left, top), (right, bottom) = labeled.min(0).tolist(), labeled.max(0).tolist()
    return left, top, right, bottom


def _points(entries: Sequence[AnnotatedPoints], point_set: PointSet) -> Points:
    boxes = np.array([_edges_of(one) for one in entries], dtype=np.float64).reshape(-1, 4)
    own = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
    return Points(
        points=np.array([one.points for one in entries], dtype=np.float64).reshape(-1, len(point_set.names), 2),
        visibility=np.array([one.visibility for one in entries], dtype=np.int64).reshape(-1, len(point_set.names)),
        sizes=np.array([one.size or (0, 0) for one in entries], dtype=np.int64).reshape(-1, 2),
        point_set=point_set,
        boxes=boxes,
        areas=np.array([area if one.area is None else one.area for one, area in zip(entries, own, strict=True)]),
    )


def _crop(images: ImageFiles, entries: Sequence[AnnotatedPoints], points: Points) -> CroppedImages:
    """What is cut out around each object, in whole pixels of its image."""
    positions = {name: index for index, name in enumerate(images.names)}
    sources = np.array([positions[one.image] for one in entries], dtype=np.int64)
    numbers: list[int] = []
    seen: Counter[str] = Counter()
    for one in entries:
        seen[one.image] += 1
        numbers.append(seen[one.image])
    return CroppedImages(images, sources, _crop_boxes(points), np.array(numbers, dtype=np.int64))


def _crop_boxes(points: Points) -> Indices:
    """(N, 4) the objects' boxes with a margin, in whole pixels inside of their images."""
    sides = points.boxes[:, 2:] - points.boxes[:, :2]
    low, high = points.boxes[:, :2] - MARGIN * sides, points.boxes[:, 2:] + MARGIN * sides
    known = np.asarray((points.sizes > 0).all(1), dtype=bool)
    most = np.where(known[:, None], points.sizes[:, ::-1], np.iinfo(np.int32).max)
    corners = np.concatenate([np.floor(np.clip(low, 0, most)), np.ceil(np.clip(high, 0, most))], axis=1)
    return corners.astype(np.int64)


def _in_crops(points: Points) -> Points:
    """The points in the pixels of what is cut out around their objects."""
    crops = _crop_boxes(points)
    corners = crops[:, :2].astype(np.float64)
    labeled = (points.visibility > UNLABELED)[:, :, None]
    return replace(
        points,
        points=np.where(labeled, points.points - corners[:, None], 0.0),
        sizes=(crops[:, 2:] - crops[:, :2])[:, ::-1],
        boxes=points.boxes - np.tile(corners, 2),
    )


def _note(count: int, unit: str, what: str) -> list[str]:
    return [f"left out: {count_of(count, unit)} {what}"] if count else []
