"""Label Studio's exports: JSON with outlines in percent and brush strokes, or JSON, JSON-MIN and CSV with choices.

The formats: https://labelstud.io/guide/export and https://labelstud.io/guide/task_format. Brush strokes are RGBA images
packed by thi.ng's `rle-pack` (https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack), whose alpha counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory, natural
from convolve.datasets.layouts.annotated_images import (
    BOX,
    OUTLINE,
    AnnotatedImage,
    NamedObject,
    class_name,
    count_of,
    find_split,
    list_names,
)
from convolve.datasets.layouts.documents import read_json, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder, path_parts
from convolve.datasets.layouts.outlines import outlined_dataset, tagged_dataset
from convolve.datasets.layouts.painting import cover
from convolve.datasets.layouts.shapes import Edges, Ellipse, Polygons, Shape, flags_bounds, rectangle
from convolve.errors import DataError
from convolve.untrusted.documents import cut_rows, parse_json
from convolve.untrusted.fields import as_dict, as_list, as_number, as_size, as_whole
from convolve.untrusted.files import read_text
from convolve.values import Dataset, Pixels

NAME = "label-studio"
EXPECTED = "Label Studio's JSON, JSON-MIN or CSV"
MARK = re.compile(r"^([^/]+/)?[^/]+\.(json|csv)$", re.IGNORECASE)
_MIN_KEYS = ("annotation_id", "lead_time")  # of each line in JSON-MIN and CSV
_META = frozenset(("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"))
_AREAS = frozenset(("x", "points", "rle"))
_OUTLINE = _AREAS | {"y", "width", "height", "rotation", "closed", "radiusX", "radiusY"}
_REGION = _OUTLINE | {"format", "original_width", "original_height", "image_rotation"}
"""All that is known of a region that nobody gave a label."""
_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of uploaded files' names
_FULL = 100.0
_BYTES = 4
"""Of each pixel of brush strokes: red, green, blue and alpha."""
_UNPACKED_STEPS = 4  # for each pixel of brush strokes


@final
@dataclass(frozen=True)
class Brush:
    """Strokes packed as bits: ``data`` are bytes, ``size`` the height and width they fill."""

    data: tuple[int, ...]
    size: tuple[int, int]

    def area(self) -> float:
        """The pixels of the strokes."""
        return float(np.count_nonzero(self._alpha()))

    def steps(self, size: tuple[int, int]) -> int:
        """Those of all pixels, unpacked once for the area and once to be painted; the image must have the same size."""
        if size != self.size:
            raise DataError(f"its brush strokes are of {list(self.size)}, the image is {list(size)}")
        return _UNPACKED_STEPS * self.size[0] * self.size[1]

    def bounds(self, size: tuple[int, int]) -> Edges | None:  # noqa: ARG002 - which `steps` has compared
        """Around the pixels of the strokes."""
        return flags_bounds(self._alpha())

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels of the strokes."""
        cover(mask, self._alpha() > 0, value)

    def _alpha(self) -> Pixels:
        height, width = self.size
        return unpack_alpha(self.data, height * width).reshape(height, width)


def unpack_alpha(data: Sequence[int], pixels: int) -> Pixels:
    """Every fourth one of the bytes that `rle-pack` has packed: their number (32 bits), the bits of a value and of four
    lengths, then runs of one value and lists of values in turn. Raises `DataError`.
    """
    bits = "".join(f"{byte:08b}" for byte in data)
    position = 0

    def read(count: int) -> int:
        nonlocal position
        position += count
        return int(bits[position - count : position] or "0", 2)

    total, value_bits = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if value_bits > 8:
        raise DataError("its brush strokes are not bytes")
    if total != _BYTES * pixels:
        raise DataError(f"its brush strokes of {total} values do not fill {_BYTES * pixels}")
    alpha = np.zeros(pixels, np.uint8)
    start = 0
    while start < total:
        if position >= len(bits):
            raise DataError("its brush strokes end too early")
        run = read(1)
        end = start + 1 + read(lengths[read(2)])
        values = [read(value_bits) for _ in range(1 if run else min(end, total) - start)]
        alpha[start // _BYTES : end // _BYTES] = values[0] if run else values[_BYTES - 1 - start % _BYTES :: _BYTES]
        start = end
    return alpha


@dataclass(frozen=True)
class _Task:
    """An image as a file calls it, with what was drawn and chosen."""

    image: str
    objects: tuple[NamedObject, ...]
    tags: tuple[str, ...]
    size: tuple[int, int] | None


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Where nothing is outlined, the choices are the labels.

    Raises `DataError` for a damaged file, and for an image with annotations that differ.
    """
    finder = ImageFinder(inventory.images)
    files = {name: tasks for name in inventory.annotation_files(MARK) if (tasks := _read(inventory, name))}
    if not files:
        return None
    names, duplicates = without_duplicates(inventory.root, list(files))
    files = {name: files[name] for name in names}
    entries: list[AnnotatedImage] = []
    missing: list[str] = []
    for file, tasks in files.items():
        done = [task for task in tasks if task]
        found = _find(finder, [task.image for task in done], file)
        entries += _entries(inventory, file, done, found)
        missing += [task.image for task in done if task.image not in found]
    first = f"{next(iter(files))} in {inventory.root}"
    if not entries and missing:
        raise DataError(f"{first} names images that are not there, such as {missing[0]}; put them next to it.")
    if not entries:
        raise DataError(f"{first} has no finished annotation; annotate some.")
    waiting = sum(task is None for tasks in files.values() for task in tasks)
    absent = [f"left out: {len(missing)} missing, such as {list_names(missing)}"] if missing else []
    absent += [f"left out: {count_of(waiting, 'task')} without a finished annotation"] if waiting else []
    reason = f"Label Studio's {', '.join(files)}"
    regions = [one.name for entry in entries for one in entry.objects]
    drawn = sorted(filter(None, set(regions)), key=natural)
    chosen = sorted({tag for entry in entries for tag in entry.tags}, key=natural)
    if drawn or (regions and not chosen):
        dataset = outlined_dataset(inventory, NAME, reason, entries, drawn)
    elif chosen:
        dataset = tagged_dataset(inventory, NAME, reason, entries, chosen)
    else:
        raise DataError(f"{first} has neither regions nor choices; annotate some.")
    return replace(dataset, notes=(*duplicates, *absent, *dataset.notes), sources=tuple(files))


def _entries(
    inventory: Inventory, file: str, tasks: Sequence[_Task], found: Mapping[str, str]
) -> Iterator[AnnotatedImage]:
    """Those tasks whose images are here. Raises `DataError` where two of the same image differ."""
    read: dict[str, _Task] = {}
    for task in tasks:
        if task.image in found:
            path = found[task.image]
            if repr(read.setdefault(path, task)) != repr(task):
                raise DataError(f"{file} in {inventory.root} annotates {path} twice and differently; leave one.")
            yield AnnotatedImage(path, file, task.objects, task.size, find_split(path), task.tags)


def _find(finder: ImageFinder, names: Sequence[str], file: str) -> dict[str, str]:
    """The paths by the names; of an uploaded file also by the name that it had before."""
    local = {name: name.rpartition("?d=")[2] for name in names}
    found = finder.find(local.values(), file).paths
    bare = {name: _PREFIX.sub("", (path_parts(path) or ("",))[-1]) for name, path in local.items() if path not in found}
    before = finder.find(bare.values(), file).paths
    return {
        name: found.get(path) or before[bare[name]]
        for name, path in local.items()
        if path in found or bare.get(name) in before
    }


def _read(inventory: Inventory, file: str) -> list[_Task | None] | None:
    """The tasks of a file, None for each without annotation; None where the file is another."""
    path = inventory.root / file
    if file.casefold().endswith(".csv"):
        lines = _read_table(path)
        return [_read_line(inventory, path, line) for line in lines] if lines else None
    document = read_json(path, ("annotations", "data"))
    if _are_dicts(document, ("annotations", "data")):
        return [_read_task(path, task) for task in document]
    document = read_json(path, _MIN_KEYS)
    if _are_dicts(document, _MIN_KEYS):
        return [_read_line(inventory, path, line) for line in document]
    return None


def _are_dicts(document: Any, keys: Sequence[str]) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and all(isinstance(one, dict) and one.keys() >= set(keys) for one in document)
    )


def _read_table(path: Path) -> list[dict[str, Any]]:
    """The lines of a CSV export, with what its cells hold as JSON; nothing where it is another table. Raises
    `DataError` for a line that lacks cells.
    """
    try:
        header, *rows = filter(None, cut_rows(read_text(path).splitlines(keepends=True)))
    except (OSError, ValueError):
        return []
    if not set(_MIN_KEYS) <= set(header):
        return []
    if any(len(row) < len(header) for row in rows):
        raise DataError(f"{path} has a line that ends too early; export it again.")
    return [{key: _parse_cell(cell) for key, cell in zip(header, row, strict=False) if key and cell} for row in rows]


def _parse_cell(cell: str) -> Any:
    try:
        return parse_json(cell) if cell[:1] in ("[", "{") else cell
    except ValueError:
        return cell


def _read_task(path: Path, task: Mapping[str, Any]) -> _Task | None:
    """A task of the full export. Raises `DataError` where its annotations differ."""
    try:
        finished = [
            one for one in as_list(task["annotations"]) if isinstance(one, dict) and not one.get("was_cancelled")
        ]
        best = [one for one in finished if one.get("ground_truth")] or finished
        results = [[part for part in as_list(one.get("result", [])) if isinstance(part, dict)] for one in best]
        data = as_dict(task["data"])
        values = [sorted(repr(part.get("value")) for part in parts) for parts in results]
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path} has a task whose annotations or data are damaged; export it again.") from error
    if not results:
        return None
    image = _image_of(path, data)
    if any(value != values[0] for value in values):
        raise DataError(f"{path} has {len(values)} annotations of {image} that differ; mark one as ground truth.")
    try:
        objects = _objects([(part, part["value"]) for part in results[0] if "value" in part])
        size = next((_size(part) for part in results[0] if "original_width" in part), None)
        tags = [class_name(tag) for part in results[0] for tag in as_list(part.get("value", {}).get("choices", []))]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} has a region of {image} without size, or turned, or with odd numbers; export it again."
        ) from error
    return _Task(image, tuple(objects), tuple(dict.fromkeys(tags)), size)


def _read_line(inventory: Inventory, path: Path, line: Mapping[str, Any]) -> _Task:
    """A line of JSON-MIN or CSV. Raises `DataError` where several of its columns may be the choice."""
    image = _image_of(path, line)
    others = {key: value for key, value in line.items() if key not in _META and value != image}
    drawn = {key: value for key, value in others.items() if isinstance(value, list)}
    chosen = {key: value for key, value in others.items() if key not in drawn}
    asked = inventory.options.label_column
    if asked is not None:
        chosen = {key: value for key, value in chosen.items() if key == asked}
    if len(chosen) > 1:
        raise DataError(
            f"{path} has several columns that may be the label, {list_names(list(chosen))}; say which one, such as "
            f"--label-column {next(iter(chosen))}."
        )
    regions = [region for value in drawn.values() for region in value if isinstance(region, dict)]
    try:
        tags = [class_name(tag) for value in chosen.values() for tag in _choices(value)]
        size = next((_size(region) for region in regions if "original_width" in region), None)
        objects = _objects([(region, region) for region in regions])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} has a region of {image} without size, or turned, or with odd numbers; export it again."
        ) from error
    return _Task(image, tuple(objects), tuple(dict.fromkeys(tags)), size)


def _choices(value: Any) -> list[Any]:
    return as_list(value.get("choices", [])) if isinstance(value, dict) else [value]


def _image_of(path: Path, data: Mapping[str, Any]) -> str:
    """The value that is an image's path or address."""
    for key in sorted(data, key=lambda key: key not in ("image", "img")):
        value = data[key]
        if isinstance(value, str) and Path((path_parts(value) or ("",))[-1]).suffix.casefold() in IMAGE_SUFFIXES:
            return value
    raise DataError(f"{path} has a task without an image's path; export it with its data.")


def _size(result: Mapping[str, Any]) -> tuple[int, int]:
    return as_size(result["original_height"], result["original_width"])


def _objects(results: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[NamedObject]:
    """The regions of results with their values, for each label that they have; one without any has no name."""
    named = {_outline(value) for _, value in results if _labels(value)}
    objects = []
    for result, value in results:
        bare = _AREAS & value.keys() and value.keys() <= _REGION and _outline(value) not in named
        names = _labels(value) or ([""] if bare else [])
        if names and result.get("image_rotation"):
            raise ValueError
        for name in names:
            shape, kind = _shape(value, *_size(result))
            objects.append(NamedObject(class_name(name), shape, kind))
    return objects


def _labels(value: Mapping[str, Any]) -> list[str]:
    return [name for key, labels in value.items() if key.endswith("labels") and labels for name in as_list(labels)]


def _outline(value: Mapping[str, Any]) -> str:
    """What is equal in the results of one region, of which one may have the outline and another one the label."""
    return repr([value.get(key) for key in sorted(_OUTLINE)])


def _shape(value: Mapping[str, Any], height: int, width: int) -> tuple[Shape | None, str]:
    """A region in pixels, and of which kind it is."""
    right, down = width / _FULL, height / _FULL

    def pixels(across: object, along: object) -> tuple[float, float]:
        return as_number(across) * right, as_number(along) * down

    if "rle" in value:
        return Brush(tuple(as_whole(byte, 0, 255) for byte in as_list(value["rle"])), (height, width)), OUTLINE
    if "points" in value:
        points = [pixels(x, y) for x, y in map(as_list, as_list(value["points"]))]
        return Polygons([[each for point in points for each in point]]), OUTLINE
    angle = as_number(value.get("rotation", 0))
    if "radiusX" in value:
        center, radii = pixels(value["x"], value["y"]), pixels(value["radiusX"], value["radiusY"])
        return Ellipse(center, radii, angle), OUTLINE
    if "width" in value and "height" in value and "keypointlabels" not in value:
        (left, top), (across, along) = pixels(value["x"], value["y"]), pixels(value["width"], value["height"])
        return rectangle((left, top, left + across, top + along), (left, top), angle), BOX
    return None, "points"
