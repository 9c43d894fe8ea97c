"""Tables of points: CSV or TSV with an image on each line, and two columns for each point: `nose_x`, `nose_y`.

They are PyTorch's `face_landmarks.csv` (`image_name,part_0_x,part_0_y,…`) and MPII's joints (`NAME,…,r ankle_X,r
ankle_Y,…`). A third column `nose_v` may say the visibility (0 not labeled, 1 hidden, 2 visible); without it a point is
visible, and one whose cells are empty or both -1 is not labeled. Coordinates count from the outer edge of the first
pixel. Where an image has several lines, each is an object of its own, which is cut out around its points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory, take_inventory
from convolve.datasets.layouts.annotated_images import find_split, list_names
from convolve.datasets.layouts.annotated_points import AnnotatedPoints, Point, one_object_each, points_dataset
from convolve.datasets.layouts.box_tables import (
    CLASS_COLUMNS,
    IMAGE_COLUMNS,
    SPLIT_COLUMNS,
    cell_number,
    cut_lines,
    find_column,
)
from convolve.datasets.layouts.documents import without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder
from convolve.datasets.layouts.parts import split_of, split_word
from convolve.datasets.layouts.table_cells import decode_text, is_empty, refuse_own
from convolve.datasets.point_sets import describe_points
from convolve.datasets.points import HIDDEN, UNLABELED, VISIBLE
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, shorten
from convolve.untrusted.fields import as_whole
from convolve.untrusted.files import read_file, read_start
from convolve.values import Dataset

NAME = "point-table"
EXPECTED = "a .csv of points (image, nose_x, nose_y, left_eye_x, left_eye_y, …)"
MARK = re.compile(r"^([^/]+/)?[^/]+\.(csv|tsv)$", re.IGNORECASE)
_COORDINATE = re.compile(r"(.+)[ _.-]([xyv])", re.IGNORECASE)
_VISIBILITY = re.compile(r"(.+)[ _.-](?:v|vis|visible|visibility)", re.IGNORECASE)
_BOXES = re.compile(r"(b?box|center|centre|rect|size|img|image|roi)s?", re.IGNORECASE)
"""What a pair of columns belongs to that is no point of an object."""
_START = 2**16  # bytes that tell whether a table has points


@dataclass(frozen=True)
class _Columns:
    """Columns by position: the image, x, y and visibility of each point by its name (-1 where none says it), split."""

    image: int
    points: dict[str, tuple[int, int, int]]
    split: int
    labeled: bool


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such tables, or None. Raises `DataError` for a line that is not understood, where
    tables have other points, and where no image is there.
    """
    names = [name for name in inventory.annotation_files(MARK) if has_points(inventory.root / name)]
    if not names:
        return None
    names, notes = without_duplicates(inventory.root, names)
    finder = ImageFinder(inventory.images)
    found: list[AnnotatedPoints] = []
    missing: list[str] = []
    points: tuple[str, ...] = ()
    for name in names:
        own, entries, absent = _read(inventory.root / name, name, finder)
        if points and own != points:
            raise DataError(f"{names[0]} and {name} in {inventory.root} have other points; leave one of them.")
        points, found, missing = own, [*found, *entries], [*missing, *absent]
    if not found:
        raise DataError(
            f"{inventory.root} holds none of the images that {names[0]} names, such as {list_names(missing)}."
        )
    if missing:
        notes.append(f"left out: {len(missing)} missing, such as {list_names(missing)}")
    entries = one_object_each(inventory, found)
    reason = f"the table of points {' and '.join(names)}"
    dataset = points_dataset(inventory, NAME, reason, entries, describe_points(points))
    return replace(dataset, notes=(*notes, *dataset.notes), sources=tuple(names))


def open_file(path: Path, options: ReadingOptions) -> Dataset | None:
    """The dataset of one such table, whose images are next to it or one folder above; None for another file. Raises
    `DataError` as `recognize` does.
    """
    if not has_points(path):
        return None
    obstacle = None
    for root in (path.parent, path.parent.parent):
        own = replace(options, annotations=(path.relative_to(root).as_posix(),))
        try:
            return recognize(take_inventory(root, own))
        except DataError as error:
            obstacle = obstacle or error
    raise obstacle or DataError(f"{path} has no images next to it; add them.")


def has_points(path: Path, *, alone: bool = False) -> bool:
    """Whether the first line of a table has the columns of points, and if they are ``alone`` none of a label."""
    try:
        text, _ = decode_text(read_start(path, _START))
        rows = cut_lines(text.splitlines()[:2])
    except (OSError, ValueError, DataError):
        return False
    columns = _find_columns(rows) if rows else None
    return columns is not None and not (alone and columns.labeled)


def _find_columns(rows: Sequence[Sequence[str]]) -> _Columns | None:
    row, first = rows[0], rows[1] if len(rows) > 1 else ()
    header = [re.sub(r"[ -]", "_", cell.casefold()) for cell in row]
    named = [header.index(word) for word in IMAGE_COLUMNS if word in header]
    files = [column for column in named if column < len(first) and _is_image_name(first[column])]
    image = next(iter(files or named), -1)
    axes: dict[str, dict[str, int]] = {}
    for position, cell in enumerate(row):
        if match := _COORDINATE.fullmatch(cell) or _VISIBILITY.fullmatch(cell):
            axis = match[2].casefold() if match.re is _COORDINATE else "v"
            axes.setdefault(match[1], {}).setdefault(axis, position)
    points = {
        name: (found["x"], found["y"], found.get("v", -1))
        for name, found in axes.items()
        if {"x", "y"} <= found.keys() and not _BOXES.fullmatch(re.split("[ _.-]", name)[-1])
    }
    if image < 0 or not points:
        return None
    labeled = find_column(header, [word for word in CLASS_COLUMNS if word != header[image]]) >= 0
    return _Columns(image, points, find_column(header, SPLIT_COLUMNS), labeled)


def _is_image_name(cell: str) -> bool:
    """Whether a cell ends as the name of an image does."""
    return PurePosixPath(cell).suffix.casefold() in IMAGE_SUFFIXES


def _read(path: Path, name: str, finder: ImageFinder) -> tuple[tuple[str, ...], list[AnnotatedPoints], tuple[str, ...]]:
    """The names of a table's points, its objects, and the images that are missing. Raises `DataError`."""
    try:
        text, _ = decode_text(read_file(path))
        rows = cut_lines(text.splitlines())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table ({error}); correct it, or save it as UTF-8.") from error
    try:
        refuse_own(rows[0])
        columns = _find_columns(rows)
        if columns is None:
            raise DataError("has no columns of points any more; restore it.")
        uneven = next((row for row in rows[1:] if len(row) != len(rows[0])), None)
        if uneven:
            raise DataError(
                f"has a line of {len(uneven)} cells instead of {len(rows[0])}: {shorten(', '.join(uneven))}; "
                "correct it."
            )
        found = finder.find([row[columns.image] for row in rows[1:]], name)
        entries = [_entry(columns, row, name, found.paths[row[columns.image]]) for row in rows[1:]
                   if row[columns.image] in found.paths]  # fmt: skip
    except DataError as error:
        raise type(error)(f"{path} {error}") from error
    return tuple(columns.points), entries, found.missing


def _entry(columns: _Columns, row: Sequence[str], source: str, image: str) -> AnnotatedPoints:
    """A line by its columns. Raises `DataError`."""
    if is_empty(row[columns.image]):
        raise DataError(f"has a line that names no image: {shorten(', '.join(row))}; complete it.")
    split = split_of(source) or find_split(image)
    if columns.split >= 0:
        split = split_word(row[columns.split])
        if split is None:
            raise DataError(f"puts {image} into a split called '{row[columns.split]}'; write train, val or test.")
    points: list[Point] = []
    visibility: list[int] = []
    for name, (x, y, v) in columns.points.items():
        try:
            point, visible = _point(row[x], row[y], row[v] if v >= 0 else None)
        except ValueError as error:
            cells = ", ".join(row[column] for column in (x, y, v) if column >= 0)
            raise DataError(f"has a point {name} of {image} that is not two numbers ({cells}); correct it.") from error
        points.append(point)
        visibility.append(visible)
    return AnnotatedPoints(image, source, tuple(points), tuple(visibility), split=split)


def _point(x: str, y: str, visible: str | None) -> tuple[Point, int]:
    """A point and its visibility. Raises `ValueError`."""
    if is_empty(x) and is_empty(y):
        return (0.0, 0.0), UNLABELED
    point = cell_number(x), cell_number(y)
    if visible is None or is_empty(visible):
        return point, UNLABELED if point == (-1.0, -1.0) else VISIBLE
    words = {"true": VISIBLE, "false": HIDDEN}
    return point, words.get(visible.casefold()) or as_whole(visible, UNLABELED, VISIBLE)
