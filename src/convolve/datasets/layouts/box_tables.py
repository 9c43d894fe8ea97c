"""Tables of boxes: CSV or TSV with an image, four edges and a class on each line.

They are `path,x1,y1,x2,y2,label` with or without that header, TensorFlow's and Roboflow's
`filename,width,height,class,xmin,ymin,xmax,ymax`, and Open Images' `ImageID,…,XMin,XMax,YMin,YMax` in fractions of the
image. Edges count from the outer edge of the first pixel; a line without them says that the image has no objects.
Numbers may have a decimal comma. A first line such as `sep=;` says what separates the cells.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory, natural, take_inventory
from convolve.datasets.layouts.annotated_images import (
    BOX,
    AnnotatedImage,
    NamedObject,
    ObjectBox,
    class_name,
    find_split,
    list_names,
)
from convolve.datasets.layouts.documents import without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder
from convolve.datasets.layouts.object_boxes import LARGEST_FRACTION, boxed_dataset
from convolve.datasets.layouts.parts import split_of, split_word
from convolve.datasets.layouts.table_cells import declared_delimiter, decode_text, is_empty, refuse_own
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, shorten
from convolve.untrusted.documents import cut_rows
from convolve.untrusted.fields import as_number, as_size
from convolve.untrusted.files import read_file, read_start
from convolve.values import Dataset

NAME = "box-table"
EXPECTED = "a .csv of boxes (path, x1, y1, x2, y2, label; or filename, width, height, class, xmin, ymin, xmax, ymax)"
MARK = re.compile(r"^([^/]+/){0,2}[^/]+\.(csv|tsv)$", re.IGNORECASE)
_EDGES = (
    ("xmin", "x_min", "x1", "left", "xtl", "bbox_x1", "bbox_xmin"),
    ("ymin", "y_min", "y1", "top", "ytl", "bbox_y1", "bbox_ymin"),
    ("xmax", "x_max", "x2", "right", "xbr", "bbox_x2", "bbox_xmax"),
    ("ymax", "y_max", "y2", "bottom", "ybr", "bbox_y2", "bbox_ymax"),
)
_CORNERS = (
    (*_EDGES[0], "x", "bbox_x", "cx", "xc", "x_center", "center_x", "xcenter"),
    (*_EDGES[1], "y", "bbox_y", "cy", "yc", "y_center", "center_y", "ycenter"),
)
_SIDES = (
    ("w", "width", "bbox_w", "bbox_width", "box_width"),
    ("h", "height", "bbox_h", "bbox_height", "box_height"),
)
"""Columns of boxes whose other edges are not given: whether x is the left edge or the center no program agrees on."""
IMAGE_COLUMNS = (
    "path", "filepath", "file_path", "filename", "file_name", "image_path", "image_name", "image_file", "image", "img",
    "img_path", "img_name", "file", "imageid", "image_id", "img_id", "id", "name",
)  # fmt: skip
CLASS_COLUMNS = (
    "class", "label", "class_name", "labelname", "label_name", "classname", "category", "classes", "labels", "target",
    "name", "class_id", "category_id",
)  # fmt: skip
_SIZES = (("height", "image_height", "img_height"), ("width", "image_width", "img_width"))
SPLIT_COLUMNS = ("split", "set", "subset")
_CROWDS = ("isgroupof", "iscrowd", "is_crowd")
_DESCRIPTIONS = re.compile(r"class-?_?descriptions.*\.csv$", re.IGNORECASE)
_ONLY = "object"
"""The class of all boxes where no column says one."""
_BARE = 6  # cells of a line without a header
_COMMA = re.compile(r"[-+]?\d+,\d+")
"""A number with a decimal comma, or with one between its thousands."""
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
_START = 2**16  # bytes that tell whether a table has boxes


@dataclass(frozen=True)
class _Columns:
    """The columns by position, -1 where there is none; the first ``start`` rows are no boxes."""

    start: int
    image: int
    edges: tuple[int, int, int, int]
    label: int
    size: tuple[int, int] = (-1, -1)
    split: int = -1
    crowd: int = -1


@dataclass(frozen=True)
class _Row:
    """A line of a table; ``edges`` are missing where it says that the image has no objects."""

    image: str
    edges: tuple[float, float, float, float] | None
    label: str
    size: tuple[int, int] | None
    split: str | None
    crowd: bool


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such tables, or None. A table's name, its folder or a column may say the split.

    Raises `DataError` for a line that is not understood, and where no image is there.
    """
    names = [name for name in inventory.annotation_files(MARK) if has_boxes(inventory.root / name)]
    if not names:
        return None
    names, notes = without_duplicates(inventory.root, names)
    tables = {name: _read(inventory.root / name, inventory.options) for name in names}
    finder = ImageFinder(inventory.images)
    described = _descriptions(inventory)
    entries: list[AnnotatedImage] = []
    missing: list[str] = []
    for name, rows in tables.items():
        found = finder.find([row.image for row in rows], name)
        missing += found.missing
        entries += _entries(name, rows, found.paths, described)
    if not entries:
        raise DataError(
            f"{inventory.root} holds none of the images that {names[0]} names, such as {list_names(missing)}."
        )
    if missing:
        notes.append(f"left out: {len(missing)} missing, such as {list_names(missing)}")
    if all(row.label == _ONLY for rows in tables.values() for row in rows):
        notes.append(f"no column says a class, so all objects are of one, {_ONLY}")
    classes = sorted({one.name for entry in entries for one in entry.objects}, key=natural)
    dataset = boxed_dataset(inventory, NAME, f"the table of boxes {' and '.join(names)}", entries, classes)
    return replace(dataset, notes=(*notes, *dataset.notes), sources=tuple(names))


def open_file(path: Path, options: ReadingOptions) -> Dataset | None:
    """The dataset of one such table, whose images are next to it or one folder above; None for another file. Raises
    `DataError` as `recognize` does.
    """
    if not has_boxes(path):
        return None
    obstacle = None
    for root in (path.parent, path.parent.parent):
        own = replace(options, annotations=(path.relative_to(root).as_posix(),))
        try:
            return recognize(take_inventory(root, own))
        except DataError as error:
            obstacle = obstacle or error
    raise obstacle or DataError(f"{path} has no images next to it; add them.")


def has_boxes(path: Path) -> bool:
    """Whether the first lines of a table have the columns of boxes."""
    try:
        text, _ = decode_text(read_start(path, _START))
        rows = cut_lines(text.splitlines()[:3])
        return _find_columns(rows, None) is not None
    except DataError:
        return True  # which only `_read` can name
    except (OSError, ValueError):
        return False


def cut_lines(lines: Sequence[str]) -> list[list[str]]:
    """The cells of each line that is not empty. Raises `ValueError`."""
    delimiter = declared_delimiter(lines[0]) if lines else None
    if delimiter:
        lines = lines[1:]
    else:
        first = next((line for line in lines if line.strip()), "")
        delimiter = max(",;\t|", key=first.count)
    rows = cut_rows((f"{line}\n" for line in lines), delimiter, spaced=delimiter != "\t", strict=True)
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def _find_columns(rows: Sequence[Sequence[str]], label: str | None) -> _Columns | None:
    """The columns of a table of boxes; None where it is another. Raises `DataError` where none is called ``label``,
    and where boxes have sides instead of edges.
    """
    header = [re.sub(r"[ -]", "_", cell.casefold()) for cell in rows[0]] if rows else []
    left, top, right, bottom = (find_column(header, words) for words in _EDGES)
    image = find_column(header, IMAGE_COLUMNS)
    if min(left, top, right, bottom, image) < 0:
        sided = [next((word for word in words if word in header), "") for words in (*_CORNERS, *_SIDES)]
        if image >= 0 and all(sided) and max(right, bottom) < 0:
            raise DataError(
                f"has boxes by the columns {', '.join(sided)}; write their edges in pixels instead, as xmin, ymin, "
                "xmax and ymax. To read labels alone, choose --layout table."
            )
        return _Columns(0, 0, (1, 2, 3, 4), 5) if rows and _is_bare(rows[0]) else None
    named = find_column(header, [word for word in CLASS_COLUMNS if word != header[image]])
    if label is not None:
        if label.casefold() not in header:
            raise DataError(f"has no column {label}; choose one of {', '.join(rows[0])}.")
        named = header.index(label.casefold())
    size = (find_column(header, _SIZES[0]), find_column(header, _SIZES[1]))
    split, crowd = find_column(header, SPLIT_COLUMNS), find_column(header, _CROWDS)
    return _Columns(1, image, (left, top, right, bottom), named, size, split, crowd)


def find_column(header: Sequence[str], words: Sequence[str]) -> int:
    """The first column that is called by one of the words; -1 where none is."""
    return next((header.index(word) for word in words if word in header), -1)


def _is_bare(row: Sequence[str]) -> bool:
    """Whether a line has an image, four numbers (or none of them), and a class."""
    if len(row) != _BARE or PurePosixPath(row[0]).suffix.casefold() not in IMAGE_SUFFIXES:
        return False
    try:
        return not any(row[1:]) or bool([cell_number(cell) for cell in row[1:5]] and row[5])
    except ValueError:
        return False


def cell_number(cell: str) -> float:
    """A number with a decimal point or comma. Raises `ValueError`."""
    return as_number(cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell)


def _check_commas(columns: _Columns, rows: Sequence[Sequence[str]]) -> None:
    """Raise `DataError` where a comma in the edges may be a decimal one or stand between thousands."""
    edges = [row[column] for row in rows for column in columns.edges if column < len(row)]
    commas = [cell for cell in edges if _COMMA.fullmatch(cell)]
    if commas and all(map(_THOUSANDS.fullmatch, commas)):
        raise DataError(
            f"writes edges as {commas[0]}, where the comma may be a decimal one or stand between thousands; write "
            "numbers with a decimal point, or with none."
        )
    points = [cell for cell in edges if "." in cell]
    if commas and points:
        raise DataError(f"writes edges as {points[0]} and as {commas[0]}; write all with a decimal point.")


def _read(path: Path, options: ReadingOptions) -> list[_Row]:
    """The lines of a table. Raises `DataError`."""
    try:
        text, _ = decode_text(read_file(path))
        rows = cut_lines(text.splitlines())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table ({error}); correct it, or save it as UTF-8.") from error
    try:
        refuse_own(rows[0])
        columns = _find_columns(rows, options.label_column)
        if columns is None:
            raise DataError("has no columns of boxes any more; restore it.")
        _check_commas(columns, rows[columns.start :])
        width = len(rows[0]) if columns.start else _BARE
        long = next((row for row in rows[columns.start :] if any(row[width:])), None)
        if long:
            raise DataError(
                f"has a line with too many columns: {shorten(', '.join(long))}; correct it, and where numbers have "
                "decimal commas, separate the cells by semicolons."
            )
        return [_row(columns, row) for row in rows[columns.start :]]
    except DataError as error:
        raise type(error)(f"{path} {error}") from error


def _row(columns: _Columns, row: Sequence[str]) -> _Row:
    """A line by its columns. Raises `DataError`."""

    def cell(column: int) -> str:
        return row[column] if 0 <= column < len(row) else ""

    line = shorten(", ".join(row))
    if len(row) <= max(*columns.edges, columns.label):
        raise DataError(f"has a line that ends too early: {line}; complete it.")
    written = [cell(column) for column in columns.edges]
    edges = None
    if not all(map(is_empty, written)):
        try:
            left, top, right, bottom = map(cell_number, written)
        except ValueError as error:
            raise DataError(f"has a line whose box is not four numbers: {line}; correct it.") from error
        edges = (left, top, right, bottom)
    label = class_name(cell(columns.label)) if columns.label >= 0 else _ONLY
    if is_empty(cell(columns.image)) or (edges and is_empty(label)):
        raise DataError(f"has a line without an image or a class: {line}; complete it.")
    try:
        size = as_size(cell(columns.size[0]), cell(columns.size[1]))
    except ValueError:
        size = None
    split = split_word(cell(columns.split)) if columns.split >= 0 else None
    if columns.split >= 0 and split is None:
        raise DataError(f"puts an image into a split called '{cell(columns.split)}'; write train, val or test.")
    crowd = cell(columns.crowd).casefold() in ("1", "true")
    return _Row(cell(columns.image), edges, label, size, split, crowd)


def _entries(
    name: str, rows: Sequence[_Row], paths: Mapping[str, str], described: Mapping[str, str]
) -> list[AnnotatedImage]:
    """The images of a table that are here, whose edges are fractions where all end near 1 or before."""
    split = split_of(name)
    edges = [edge for row in rows for edge in row.edges or ()]
    fractions = bool(edges) and max(edges) <= LARGEST_FRACTION and not all(edge.is_integer() for edge in edges)
    groups: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.image in paths:
            groups[paths[row.image]].append(row)
    entries = []
    for path, group in groups.items():
        objects = tuple(
            NamedObject(described.get(row.label, row.label), None, BOX, box=ObjectBox(row.edges, crowd=row.crowd))
            for row in group
            if row.edges
        )
        own = group[0].split or split or find_split(path)
        entries.append(AnnotatedImage(path, name, objects, group[0].size, own, fractions=fractions))
    return entries


def _descriptions(inventory: Inventory) -> dict[str, str]:
    """Open Images' names of classes by their codes, such as `/m/011k07`, where there is a list of them."""
    found: dict[str, str] = {}
    for name in filter(_DESCRIPTIONS.search, inventory.files):
        try:
            rows = cut_lines(decode_text(read_file(inventory.root / name))[0].splitlines())
        except (OSError, ValueError) as error:
            raise DataError(f"{inventory.root / name} cannot be read as a table ({error}); copy it again.") from error
        found |= {row[0]: class_name(row[1]) for row in rows if len(row) > 1 and row[0].startswith("/")}
    return found
