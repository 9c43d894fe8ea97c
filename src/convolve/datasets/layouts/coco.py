"""COCO's annotations: JSON files whose objects are outlined by polygons or run-length encoded.

They give masks, and labels: which categories occur in an image.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from convolve.datasets.images import DIGEST_BYTES, ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, natural
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.mask_values import distinct_colors
from convolve.datasets.layouts.parts import build_dataset, split_word
from convolve.datasets.masks import Masks
from convolve.datasets.parallel import in_order
from convolve.datasets.rle import decode, from_text
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, GroundTruth, Pixels

NAME = "coco"
EXPECTED = "annotations/*.json in COCO's format, with polygons or RLE"
MARK = re.compile(r"^([^/]+/)?[^/]+\.json$", re.IGNORECASE)
BACKGROUND = "background"
PREDICTIONS = "predictions.json"
"""What `convolve predict` writes: ground truth only where a person has put it next to the images, above them, or into
`annotations`."""
_MOST = 254
Corners = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Object:
    """An object of a class, by its index; ``shape`` is its `segmentation` as the file has it."""

    index: int
    shape: Any
    area: float


@dataclass(frozen=True)
class _Entry:
    """An image with the class indices of all its objects (``present``), and those objects that have an outline."""

    image: str
    split: str | None
    size: tuple[int, int]
    present: frozenset[int]
    objects: tuple[_Object, ...]


@final
@dataclass(frozen=True, eq=False)
class CocoMasks:
    """Objects painted over the background, which is class 0: larger ones first, so that smaller ones remain visible."""

    entries: tuple[_Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> Pixels:
        """(H, W) class indices. Raises `ImageError`."""
        entry = self.entries[index]
        mask = np.zeros(entry.size, np.uint8)
        for one in sorted(entry.objects, key=lambda one: -one.area):
            try:
                mask[region(one.shape, entry.size) > 0] = one.index
            except (DataError, TypeError, ValueError, KeyError) as error:
                raise ImageError(f"An object of {entry.image} cannot be drawn ({error}); correct it.") from error
        return mask

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the objects and the size."""
        content = (self.entries[index].size, self.entries[index].objects)
        return hashlib.blake2b(repr(content).encode(), digest_size=DIGEST_BYTES).digest()


def region(shape: Any, size: tuple[int, int]) -> Pixels:
    """(H, W) zeros and ones of an object: a list of polygons, or `counts` as a list or as text. Raises `DataError`."""
    if isinstance(shape, Mapping):
        counts = shape["counts"]
        if list(shape["size"]) != list(size):
            raise DataError(f"its run lengths are of {shape['size']}, the image is {list(size)}")
        return decode(from_text(counts) if isinstance(counts, str) else counts, size)
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


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Files called `instances…` go before others; the split is the
    word in the file's name or its folder's. Images that are missing, or of another size than the file says, are left
    out and named in the reason.

    Raises `DataError` for a damaged file, files that disagree on classes, or more than 254 classes.
    """
    path = inventory.root
    found = [path / name for name in sorted(filter(MARK.search, inventory.files), key=_rank)]
    instances = [file for file in found if file.name.startswith("instances")]
    documents = {file: document for file in dict.fromkeys(instances or found) if (document := _read(file))}
    files = {file: document for file, document in documents.items() if _is_ground_truth(path, file, document)}
    if not files:
        return None
    names = _classes(files)
    entries, missing = _entries(_ImageFinder(inventory.images), files, names)
    if not entries:
        raise DataError(f"{path} holds none of the images that {next(iter(files)).name} names, such as {missing[0]}.")
    entries, differing = _of_same_size(path, entries)
    if not entries:
        raise DataError(
            f"In {path} no image has the size that the file gives, such as {differing[0]}; export it again."
        )
    reason = f"COCO's {', '.join(file.name for file in files)}; {len(entries)} images with masks and labels"
    for what, left_out in (("missing", missing), ("whose size is not the file's", differing)):
        if left_out:
            reason += f"; left out: {len(left_out)} {what}, such as {', '.join(left_out[:NAMED])}"
    flags = np.array([[index in entry.present for index in range(1, len(names))] for entry in entries], dtype=np.uint8)
    ground_truths: dict[str, GroundTruth] = {
        "masks": Masks(CocoMasks(tuple(entries)), names, distinct_colors(len(names))),
        "labels": Labels(flags, names[1:]),
    }
    images = ImageFiles(path, tuple(entry.image for entry in entries))
    return build_dataset(path, NAME, reason, images, [entry.split for entry in entries], ground_truths)


def _rank(file: str) -> tuple[object, ...]:
    """Files at the top first, then those in `annotations`, then the others; by name."""
    folder, _, name = file.rpartition("/")
    return bool(folder), folder != "annotations", natural(name), folder


def _is_ground_truth(folder: Path, file: Path, document: Mapping[str, Any]) -> bool:
    """Whether a file is not what `convolve predict` left in a folder of its own."""
    if file.name != PREDICTIONS or file.parent in (folder, folder / "annotations"):
        return True
    return any((file.parent / str(image.get("file_name", ""))).is_file() for image in document["images"])


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
    """Background, then the categories in the order of their ids."""
    lists = [{int(one["id"]): str(one["name"]) for one in document["categories"]} for document in files.values()]
    if any(other != lists[0] for other in lists):
        raise DataError(f"{' and '.join(path.name for path in files)} have different categories; use one list.")
    if len(lists[0]) > _MOST:
        raise DataError(f"{next(iter(files))} has {len(lists[0])} categories; masks hold {_MOST} at most.")
    return (BACKGROUND, *(lists[0][key] for key in sorted(lists[0])))


@dataclass(frozen=True)
class _ImageFinder:
    """The images below a folder, to be found by what a file calls them."""

    images: Sequence[str]

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        found = defaultdict(list)
        for name in self.images:
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
    images: _ImageFinder, files: Mapping[Path, dict[str, Any]], names: Sequence[str]
) -> tuple[list[_Entry], list[str]]:
    """The images that exist, in the files' order, and the names of those that do not."""
    entries: list[_Entry] = []
    missing: list[str] = []
    for path, document in files.items():
        try:
            found = list(_parse(images, path, document, names))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged: {type(error).__name__} {error}; export it again.") from error
        entries += [entry for entry in found if isinstance(entry, _Entry)]
        missing += [name for name in found if isinstance(name, str)]
    return entries, missing


def _of_same_size(folder: Path, entries: Sequence[_Entry]) -> tuple[list[_Entry], list[str]]:
    """The entries whose images are as large as the file says, and the names and sizes of the others."""
    images = ImageFiles(folder, tuple(entry.image for entry in entries))

    def size(index: int) -> tuple[int, int]:
        try:
            return images.size(index)
        except ImageError:
            return entries[index].size  # the doctor names what cannot be read

    sizes = list(in_order(size, range(len(entries))))
    pairs = list(zip(entries, sizes, strict=True))
    differing = [
        f"{entry.image} ({actual[1]}x{actual[0]}, not {entry.size[1]}x{entry.size[0]})"
        for entry, actual in pairs
        if entry.size != actual
    ]
    return [entry for entry, actual in pairs if entry.size == actual], differing


def _parse(images: _ImageFinder, path: Path, document: dict[str, Any], names: Sequence[str]) -> Iterator[_Entry | str]:
    """Every image of a file; of one that does not exist, its name."""
    words = (*path.stem.split("_"), path.parent.name)
    split = next(filter(None, map(split_word, words)), None)
    indices = {one["id"]: names.index(str(one["name"])) for one in document["categories"]}
    objects, present = defaultdict(list), defaultdict(set)
    for one in document["annotations"]:
        index = indices[one["category_id"]]
        present[one["image_id"]].add(index)
        if one.get("segmentation"):
            objects[one["image_id"]].append(_Object(index, one["segmentation"], float(one.get("area", 0))))
    for image in document["images"]:
        name, size, key = str(image["file_name"]), (int(image["height"]), int(image["width"])), image["id"]
        file = images.find(name, words)
        yield _Entry(file, split, size, frozenset(present[key]), tuple(objects[key])) if file else name
