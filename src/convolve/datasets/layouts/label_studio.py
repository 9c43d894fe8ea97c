"""Label Studio's exports: JSON with outlines in percent and brush strokes, or JSON, JSON-MIN and CSV with choices.

The formats: https://labelstud.io/guide/export and https://labelstud.io/guide/task_format. Brush strokes are RGBA images
packed by thi.ng's `rle-pack` (https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack), whose alpha counts.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory, natural
from convolve.datasets.layouts.documents import read_json, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder, path_parts
from convolve.datasets.layouts.outlines import (
    BOX,
    OUTLINE,
    NamedObject,
    OutlinedImage,
    class_name,
    count_of,
    find_split,
    list_names,
    outlined_dataset,
    tagged_dataset,
)
from convolve.datasets.layouts.shapes import Ellipse, Polygons, Shape, rectangle
from convolve.errors import DataError
from convolve.values import Dataset, Pixels

NAME = "label-studio"
EXPECTED = "Label Studio's JSON, JSON-MIN or CSV"
MARK = re.compile(r"^([^/]+/)?[^/]+\.(json|csv)$", re.IGNORECASE)
_MIN_KEYS = ("annotation_id", "lead_time")  # of each line in JSON-MIN and CSV
_META = frozenset(("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"))
_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of uploaded files' names
_FULL = 100.0


@final
@dataclass(frozen=True)
class Brush:
    """Strokes packed as bits: ``data`` are bytes, ``size`` the height and width they fill."""

    data: tuple[int, ...]
    size: tuple[int, int]

    def area(self) -> float:
        """The pixels of the strokes."""
        return float(np.count_nonzero(self._alpha()))

    def paint(self, size: tuple[int, int]) -> Pixels:
        """The pixels of the strokes; the image must have the same size."""
        if size != self.size:
            raise DataError(f"its brush strokes are of {list(self.size)}, the image is {list(size)}")
        return (self._alpha() > 0).astype(np.uint8)

    def _alpha(self) -> Pixels:
        height, width = self.size
        values = unpack(self.data)
        if len(values) != 4 * height * width:
            raise DataError(f"its brush strokes of {len(values)} values do not fill {height}x{width}")
        return values.reshape(height, width, 4)[..., 3]


def unpack(data: Sequence[int]) -> Pixels:
    """The bytes that `rle-pack` has packed: their number (32 bits), the bits of a value and of four lengths, then runs
    of one value and lists of values in turn. Raises `DataError`.
    """
    bits = "".join(f"{byte & 255:08b}" for byte in data)
    position = 0

    def read(count: int) -> int:
        nonlocal position
        position += count
        return int(bits[position - count : position] or "0", 2)

    total, value_bits = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if value_bits > 8 or total > 4 * 2**28:
        raise DataError("its brush strokes are not bytes")
    result = np.zeros(total, np.uint8)
    start = 0
    while start < total:
        if position >= len(bits):
            raise DataError("its brush strokes end too early")
        run = read(1)
        end = start + 1 + read(lengths[read(2)])
        result[start:end] = read(value_bits) if run else [read(value_bits) for _ in range(min(end, total) - start)]
        start = end
    return result


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
    entries: list[OutlinedImage] = []
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
    drawn = sorted({one.name for entry in entries for one in entry.objects}, key=natural)
    chosen = sorted({tag for entry in entries for tag in entry.tags}, key=natural)
    if drawn:
        dataset = outlined_dataset(inventory, NAME, reason, entries, drawn)
    elif chosen:
        dataset = tagged_dataset(inventory, NAME, reason, entries, chosen)
    else:
        raise DataError(f"{first} has neither regions nor choices; annotate some.")
    return replace(dataset, notes=(*duplicates, *absent, *dataset.notes), sources=tuple(files))


def _entries(
    inventory: Inventory, file: str, tasks: Sequence[_Task], found: Mapping[str, str]
) -> Iterator[OutlinedImage]:
    """Those tasks whose images are here. Raises `DataError` where two of the same image differ."""
    read: dict[str, _Task] = {}
    for task in tasks:
        if task.image in found:
            path = found[task.image]
            if repr(read.setdefault(path, task)) != repr(task):
                raise DataError(f"{file} in {inventory.root} annotates {path} twice and differently; leave one.")
            yield OutlinedImage(path, file, task.objects, task.size, find_split(path), task.tags)


def _find(finder: ImageFinder, names: Sequence[str], file: str) -> dict[str, str]:
    """The paths by the names; of an uploaded file also by the name that it had before."""
    local = {name: name.rpartition("?d=")[2] for name in names}
    found = finder.find(local.values(), file).paths
    bare = {name: _PREFIX.sub("", path_parts(path)[-1]) for name, path in local.items() if path not in found}
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
    """The lines of a CSV export, with what its cells hold as JSON; nothing where it is another table."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    if not rows or not set(_MIN_KEYS) <= rows[0].keys():
        return []
    return [{key: _parse_cell(cell) for key, cell in row.items() if key and cell} for row in rows]


def _parse_cell(cell: str) -> Any:
    try:
        return json.loads(cell) if cell[:1] in ("[", "{") else cell
    except ValueError:
        return cell


def _read_task(path: Path, task: Mapping[str, Any]) -> _Task | None:
    """A task of the full export. Raises `DataError` where its annotations differ."""
    finished = [one for one in task["annotations"] if isinstance(one, dict) and not one.get("was_cancelled")]
    best = [one for one in finished if one.get("ground_truth")] or finished
    results = [[part for part in one.get("result", ()) if isinstance(part, dict)] for one in best]
    if not results:
        return None
    image = _image_of(path, task["data"])
    values = [sorted(repr(part.get("value")) for part in parts) for parts in results]
    if any(value != values[0] for value in values):
        raise DataError(f"{path} has {len(values)} annotations of {image} that differ; mark one as ground truth.")
    try:
        objects = [one for part in results[0] if "value" in part for one in _regions(part, part["value"])]
        size = next((_size(part) for part in results[0] if "original_width" in part), None)
        tags = [class_name(tag) for part in results[0] for tag in part.get("value", {}).get("choices", ())]
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
    tags = [class_name(tag) for value in chosen.values() for tag in _choices(value)]
    regions = [region for value in drawn.values() for region in value if isinstance(region, dict)]
    try:
        size = next((_size(region) for region in regions if "original_width" in region), None)
        objects = [one for region in regions for one in _regions(region, region)]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} has a region of {image} without size, or turned, or with odd numbers; export it again."
        ) from error
    return _Task(image, tuple(objects), tuple(dict.fromkeys(tags)), size)


def _choices(value: Any) -> Sequence[str]:
    return value.get("choices", ()) if isinstance(value, dict) else [str(value)]


def _image_of(path: Path, data: Mapping[str, Any]) -> str:
    """The value that is an image's path or address."""
    for key in sorted(data, key=lambda key: key not in ("image", "img")):
        value = data[key]
        if isinstance(value, str) and Path((path_parts(value) or ("",))[-1]).suffix.casefold() in IMAGE_SUFFIXES:
            return value
    raise DataError(f"{path} has a task without an image's path; export it with its data.")


def _size(result: Mapping[str, Any]) -> tuple[int, int]:
    return int(result["original_height"]), int(result["original_width"])


def _regions(result: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[NamedObject]:
    """The region of a result, for each label that it has."""
    names = [name for key, labels in value.items() if key.endswith("labels") and labels for name in labels]
    if not names:
        return
    if result.get("image_rotation"):
        raise ValueError
    height, width = _size(result)
    for name in names:
        shape, kind = _shape(value, height, width)
        yield NamedObject(class_name(name), shape, kind)


def _shape(value: Mapping[str, Any], height: int, width: int) -> tuple[Shape | None, str]:
    """A region in pixels, and of which kind it is."""
    right, down = width / _FULL, height / _FULL
    if "rle" in value:
        return Brush(tuple(value["rle"]), (height, width)), OUTLINE
    if "points" in value:
        return Polygons([[float(each) for x, y in value["points"] for each in (x * right, y * down)]]), OUTLINE
    if "radiusX" in value:
        center = (value["x"] * right, value["y"] * down)
        radii = (value["radiusX"] * right, value["radiusY"] * down)
        return Ellipse(center, radii, float(value.get("rotation", 0))), OUTLINE
    if "width" in value and "height" in value and "keypointlabels" not in value:
        left, top = value["x"] * right, value["y"] * down
        edges = (left, top, left + value["width"] * right, top + value["height"] * down)
        return rectangle(edges, (left, top), float(value.get("rotation", 0))), BOX
    return None, "points"
