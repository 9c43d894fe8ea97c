"""COCO's annotations: JSON files whose objects are outlined by polygons or given as run lengths."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from convolve.datasets.images import DIGEST_BYTES, ImageFiles
from convolve.datasets.layouts.mask_values import colors_apart
from convolve.datasets.layouts.masks import is_mask
from convolve.datasets.layouts.parts import from_labels, image_files, natural, split_word
from convolve.datasets.masks import READERS, class_flags
from convolve.datasets.parallel import in_order
from convolve.datasets.run_lengths import decoded, from_text
from convolve.errors import DataError, ImageError
from convolve.values import Color, Dataset, Labels, Pixels

EXPECTED = "annotations/*.json of COCO's kind, with polygons or run lengths"
_LAYERS = ("*.json", "annotations/*.json", "*/*.json")
BACKGROUND = "background"
PREDICTIONS = "predictions.json"
"""What `convolve predict` writes: truth only where a person has put it beside the images, above them, or into
`annotations`."""
_MOST = 254
_NAMED = 3  # images left out that are named
Corners = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Object:
    """An object of class ``number``; ``shape`` is its `segmentation` as the file has it."""

    number: int
    shape: Any
    area: float


@dataclass(frozen=True)
class _Entry:
    image: str
    split: str | None
    size: tuple[int, int]
    objects: tuple[_Object, ...]


@final
@dataclass(frozen=True, eq=False)
class CocoMasks:
    """Objects painted over background, which is class 0: the larger ones first, so that what lies upon them shows."""

    entries: tuple[_Entry, ...]
    colors: tuple[Color, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> Pixels:
        """(H, W) class numbers. Raises `ImageError`."""
        entry = self.entries[index]
        mask = np.zeros(entry.size, np.uint8)
        for one in sorted(entry.objects, key=lambda one: -one.area):
            try:
                mask[region(one.shape, entry.size) > 0] = one.number
            except (DataError, TypeError, ValueError, KeyError) as error:
                raise ImageError(f"An object of {entry.image} cannot be drawn ({error}); correct it.") from error
        return mask

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the objects and the size."""
        return hashlib.blake2b(repr(self.entries[index]).encode(), digest_size=DIGEST_BYTES).digest()


def region(shape: Any, size: tuple[int, int]) -> Pixels:
    """(H, W) zeros and ones of an object: a list of polygons, or `counts` as a list or as text. Raises `DataError`."""
    if isinstance(shape, Mapping):
        counts = shape["counts"]
        if list(shape["size"]) != list(size):
            raise DataError(f"its run lengths are of {shape['size']}, the image is {list(size)}")
        return decoded(from_text(counts) if isinstance(counts, str) else counts, size)
    filled = np.zeros(size, np.uint8)
    for polygon in shape:
        filled |= inside(np.asarray(polygon, np.float64).reshape(-1, 2), size)
    return filled


def inside(corners: Corners, size: tuple[int, int]) -> Pixels:
    """(H, W) 1 where a pixel's center lies inside a polygon (corners, 2) of x, y that count from the outer edge of the
    first pixel: where a line up from there crosses its edges an odd number of times.
    """
    crossed = np.zeros((size[0] + 1, size[1]), np.uint8)
    for (left, top), (right, bottom) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = sorted((left, right))
        columns = np.arange(max(0, np.ceil(low - 0.5)), min(size[1], np.ceil(high - 0.5)), dtype=np.int64)
        if len(columns):
            heights = top + (columns + 0.5 - left) / (right - left) * (bottom - top)
            rows = np.ceil(heights - 0.5).clip(0, size[0]).astype(np.int64)
            crossed[rows, columns] ^= 1
    return np.bitwise_xor.accumulate(crossed, axis=0)[:-1]


def recognize(place: Path) -> Dataset | None:
    """The dataset in a folder with such files, or None. Files called `instances…` go before others; the split is the
    word in the file's name or its folder's. Images that are not there, or of another size than the file says, are left
    out and named in the reason.

    Raises `DataError` for a damaged file, files that disagree on classes, or more than 254 classes.
    """
    if not place.is_dir():
        return None
    read = {path: document for path in _files(place) if (document := _read(path))}
    files = {path: document for path, document in read.items() if _is_truth(place, path, document)}
    if not files:
        return None
    names = _classes(files)
    found, missing = _entries(_Pictures(place), files, names)
    if not found:
        raise DataError(f"{place} holds none of the images that {next(iter(files)).name} names, such as {missing[0]}.")
    found, differing = _of_their_size(place, found)
    if not found:
        raise DataError(
            f"In {place} no image has the size that the file gives, such as {differing[0]}; export it again."
        )
    masks = CocoMasks(tuple(found), colors_apart(len(names)))
    reason = f"COCO's {', '.join(path.name for path in files)}; {len(found)} images"
    for what, left in (("that are not there", missing), ("whose size is not the file's", differing)):
        if left:
            reason += f"; {len(left)} {what} are left out, such as {', '.join(left[:_NAMED])}"
    rows = [(entry.image, entry.split) for entry in found]
    return replace(from_labels(place, "coco", reason, rows, Labels(class_flags(masks), names)), masks=masks)


def _files(place: Path) -> list[Path]:
    found = [path for layer in _LAYERS for path in sorted(place.glob(layer), key=lambda path: natural(path.name))]
    found = list(dict.fromkeys(found))
    return [path for path in found if path.name.startswith("instances")] or found


def _is_truth(place: Path, path: Path, document: Mapping[str, Any]) -> bool:
    """Whether a file is not what `convolve predict` left in a folder of its own."""
    if path.name != PREDICTIONS or path.parent in (place, place / "annotations"):
        return True
    return any((path.parent / str(image.get("file_name", ""))).is_file() for image in document["images"])


def _read(path: Path) -> dict[str, Any] | None:
    """The document, or None where it is none of this kind."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); copy or save it again.") from error
    if not isinstance(document, dict) or not {"images", "annotations", "categories"} <= document.keys():
        return None
    return document if any(one.get("segmentation") for one in document["annotations"]) else None


def _classes(files: Mapping[Path, dict[str, Any]]) -> tuple[str, ...]:
    """Background, then the categories by their numbers."""
    lists = [{int(one["id"]): str(one["name"]) for one in document["categories"]} for document in files.values()]
    if any(other != lists[0] for other in lists):
        raise DataError(f"{' and '.join(path.name for path in files)} have different categories; use one list.")
    if len(lists[0]) > _MOST:
        raise DataError(f"{next(iter(files))} has {len(lists[0])} categories; masks hold {_MOST} at most.")
    return (BACKGROUND, *(lists[0][number] for number in sorted(lists[0])))


@dataclass(frozen=True)
class _Pictures:
    """The images below a folder, to be found by what a file calls them."""

    place: Path

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        found = defaultdict(list)
        for name in image_files(self.place):
            found[Path(name).name].append(name)
        return found

    def find(self, name: str, words: Sequence[str]) -> str | None:
        """The path of that ending, of several the one in a folder that is called as one of the words."""
        ending = Path(name).as_posix().lstrip("./")
        fits = [path for path in self._by_name.get(Path(name).name, []) if f"/{path}".endswith(f"/{ending}")]
        fits.sort(key=is_mask)  # of an image and its mask the image
        near = [path for path in fits if set(Path(path).parts) & set(words) and not is_mask(path)]
        return next(iter(near or fits), None)


def _entries(
    pictures: _Pictures, files: Mapping[Path, dict[str, Any]], names: Sequence[str]
) -> tuple[list[_Entry], list[str]]:
    """What is there, in the files' order, and the images that are not."""
    entries: list[_Entry] = []
    missing: list[str] = []
    for path, document in files.items():
        try:
            found = list(_listed(pictures, path, document, names))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged: {type(error).__name__} {error}; export it again.") from error
        entries += [entry for entry in found if isinstance(entry, _Entry)]
        missing += [name for name in found if isinstance(name, str)]
    return entries, missing


def _of_their_size(place: Path, entries: Sequence[_Entry]) -> tuple[list[_Entry], list[str]]:
    """The entries whose images are as large as said, and the names and sizes of the others."""
    images = ImageFiles(place, tuple(entry.image for entry in entries))

    def size(index: int) -> tuple[int, int]:
        try:
            return images.size(index)
        except ImageError:
            return entries[index].size  # the doctor names what cannot be read

    sizes = list(in_order(size, range(len(entries)), READERS))
    pairs = list(zip(entries, sizes, strict=True))
    differing = [
        f"{entry.image} ({real[1]}x{real[0]}, not {entry.size[1]}x{entry.size[0]})"
        for entry, real in pairs
        if entry.size != real
    ]
    return [entry for entry, real in pairs if entry.size == real], differing


def _listed(pictures: _Pictures, path: Path, document: dict[str, Any], names: Sequence[str]) -> Iterator[_Entry | str]:
    """Every image of a file; of one that is not there, its name."""
    words = (*path.stem.split("_"), path.parent.name)
    split = next(filter(None, map(split_word, words)), None)
    numbers = {one["id"]: names.index(str(one["name"])) for one in document["categories"]}
    objects = defaultdict(list)
    for one in document["annotations"]:
        if one.get("segmentation"):
            own = _Object(numbers[one["category_id"]], one["segmentation"], float(one.get("area", 0)))
            objects[one["image_id"]].append(own)
    for image in document["images"]:
        name, size = pictures.find(str(image["file_name"]), words), (int(image["height"]), int(image["width"]))
        yield _Entry(name, split, size, tuple(objects[image["id"]])) if name else str(image["file_name"])
