"""Pascal VOC's boxes: an XML file for each image, in Annotations/ or next to it, and splits in ImageSets/Main/.

Everingham et al. 2010, "The Pascal Visual Object Classes Challenge". Many programs write such files, such as labelImg
and Roboflow. The image is the one that is called as the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from unicodedata import normalize

from convolve.datasets.inventory import Inventory, natural
from convolve.datasets.layouts.annotated_images import (
    BOX,
    AnnotatedImage,
    NamedObject,
    ObjectBox,
    class_name,
    count_of,
    find_split,
    list_names,
)
from convolve.datasets.layouts.image_finder import ImageFinder, path_parts
from convolve.datasets.layouts.object_boxes import boxed_dataset
from convolve.datasets.layouts.outlines import NoOutlinesError
from convolve.datasets.layouts.parts import read_lines, split_word
from convolve.datasets.voc import VocAnnotation, VocObject, as_voc
from convolve.errors import DataError
from convolve.untrusted.documents import parse_xml
from convolve.untrusted.files import read_file, read_start
from convolve.values import Dataset

NAME = "voc"
EXPECTED = "Pascal VOC's .xml with boxes for each image"
MARK = re.compile(r"\.xml$", re.IGNORECASE)
_LISTS = re.compile(r"(?:^|/)ImageSets/Main/(train|val|trainval|test)\.txt$", re.IGNORECASE)
_ROOT = re.compile(rb"<annotation[\s>]")
_START = 4096  # bytes in which the first element begins
_FLAGGED = re.compile(r"(.+?)\s+-?[01]")
"""A line that also says whether a class is in the image."""


@dataclass(frozen=True)
class VocFile:
    """An XML file: what it says, or why it cannot be read."""

    name: str
    annotation: VocAnnotation | None
    failed: str | None = None


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. A file that cannot be read leaves its image out.

    Raises `DataError` where none can be read, or none has an image.
    """
    files = [found for name in filter(MARK.search, inventory.files) if (found := read_annotation(inventory, name))]
    if not files:
        return None
    if not any(file.annotation for file in files):
        raise DataError(str(files[0].failed))
    lists, notes = _read_lists(inventory)
    entries, more = _read_entries(inventory, files, lists)
    bare = [entry.image for entry in entries if lists and entry.split is None]
    notes += [f"in none of ImageSets/Main: {count_of(len(bare), 'image')}, such as {list_names(bare)}"] * bool(bare)
    names = sorted({one.name for entry in entries for one in entry.objects}, key=natural)
    reason = f"{count_of(len(files), 'file')} of Pascal VOC, such as {entries[0].source}"
    dataset = boxed_dataset(inventory, NAME, reason, entries, names)
    return replace(dataset, notes=(*notes, *more, *dataset.notes))


def _read_entries(
    inventory: Inventory, files: Sequence[VocFile], lists: Mapping[str, str]
) -> tuple[list[AnnotatedImage], list[str]]:
    """What the files say of images that are here, and notes on the others. Raises `DataError` where none is, and
    `NoOutlinesError` where no object is.
    """
    finder = ImageFinder(inventory.images)
    entries, missing, others = [], [], []
    for file in files:
        image, other = _find(finder, file)
        others += [f"{file.name} ({other})"] if other else []
        if image is None:
            missing.append(file.name)
        else:
            entries.append(as_entry(inventory, file, image, lists))
    bare = not any(file.annotation.objects for file in files if file.annotation)
    if bare or (entries and not any(entry.objects for entry in entries)):
        first = f"{files[0].name} in {inventory.root}"
        raise NoOutlinesError(f"{first} has no object, nor has another file; annotate some.")
    if not entries:
        raise DataError(f"{inventory.root} holds none of the images of {list_names(missing)}; put them there.")
    entries, redundant = _without_empty(entries)
    notes = []
    if missing:
        notes.append(f"left out: {count_of(len(missing), 'file')} without an image, such as {list_names(missing)}")
    if others:
        named = f"{count_of(len(others), 'file')}, such as {list_names(others)}"
        notes.append(f"the filename inside is another image than the file is called, which counts: {named}")
    if redundant:
        notes.append(f"not read: {count_of(len(redundant), 'file')} without objects, such as {list_names(redundant)}")
    return entries, notes


def read_annotation(inventory: Inventory, name: str) -> VocFile | None:
    """A file; None where it is none of this kind."""
    path = inventory.root / name
    try:
        if not _ROOT.search(read_start(path, _START).replace(b"\0", b"")):
            return None
        root = parse_xml(read_file(path))
        return VocFile(name, as_voc(root)) if root.tag == "annotation" else None
    except OSError as error:
        return VocFile(name, None, f"{path} cannot be read ({error.strerror}); check its permissions.")
    except ValueError as error:
        return VocFile(name, None, f"{path} is not an annotation in Pascal VOC's format ({error}); correct it.")


def _find(finder: ImageFinder, file: VocFile) -> tuple[str | None, str | None]:
    """The image that is called as a file, or else the one that it names; and the name in it that is another one."""
    stem, named = PurePosixPath(file.name).stem, file.annotation.filename if file.annotation else ""
    image = next(
        (path for path in finder.find([stem], file.name).paths.values() if _stem(path) == _stem(f"{stem}.x")), None
    )
    if image is None:
        return (finder.find([named], file.name).paths.get(named) if named else None), None
    parts = path_parts(named)
    return image, named if parts and PurePosixPath(parts[-1]).suffix and _stem(parts[-1]) != _stem(image) else None


def _stem(path: str) -> str:
    return normalize("NFC", PurePosixPath(path).stem).casefold()


def as_entry(inventory: Inventory, file: VocFile, image: str, lists: Mapping[str, str]) -> AnnotatedImage:
    """What a file says of an image, in the split in which the ``lists`` have it. Raises `DataError`."""
    found = file.annotation
    stem = normalize("NFC", PurePosixPath(file.name).stem)
    split = lists.get(stem) if lists else find_split(file.name) or find_split(image)
    if found is None:
        return AnnotatedImage(image, file.name, (), split=split, failed=file.failed)
    try:
        objects = tuple(NamedObject(class_name(one.name), None, BOX, box=_box(one)) for one in found.objects)
    except ValueError as error:
        raise DataError(f"{inventory.root / file.name} has an object without a name; give it one.") from error
    return AnnotatedImage(image, file.name, objects, found.size, split)


def _without_empty(entries: Sequence[AnnotatedImage]) -> tuple[list[AnnotatedImage], list[str]]:
    """The entries without those of folders in which no file has an object, where another file speaks of the same image;
    and the files left out.
    """
    filled = {PurePosixPath(entry.source).parent for entry in entries if entry.objects}
    known = {entry.image for entry in entries if PurePosixPath(entry.source).parent in filled}
    redundant = {
        entry.source for entry in entries if entry.image in known and PurePosixPath(entry.source).parent not in filled
    }
    return [entry for entry in entries if entry.source not in redundant], sorted(redundant, key=natural)


def _box(one: VocObject) -> ObjectBox:
    """The box of an object. One whose first pixel is its last one marks no object, although the pixel has an area."""
    left, top, right, bottom = one.edges
    if one.last[0] <= one.first[0] or one.last[1] <= one.first[1]:
        right, bottom = right - 1, bottom - 1
    return ObjectBox((left, top, right, bottom), difficult=one.difficult)


def _read_lists(inventory: Inventory) -> tuple[dict[str, str], list[str]]:
    """The splits of the images by their names without suffix, as the lists have them, and a note where one of these is
    in several. Raises `DataError` for a list that cannot be read.
    """
    files = {match[1].casefold(): name for name in inventory.files if (match := _LISTS.search(name))}
    if {"train", "val"} & files.keys():
        files.pop("trainval", None)
    found: dict[str, str] = {}
    twice: list[str] = []
    for word, name in files.items():
        split = split_word("train" if word == "trainval" else word) or ""
        listed = _names(read_lines(inventory.root / name), inventory.images)
        twice += [line for line in listed if found.setdefault(line, split) != split]
    for line in twice:
        del found[line]
    return found, [f"in several of ImageSets/Main, so in no split: {list_names(twice)}"] * bool(twice)


def _names(lines: Sequence[str], images: Sequence[str]) -> list[str]:
    """The names in the lines of a list; a number after one says whether a class is in the image."""
    stems = {normalize("NFC", PurePosixPath(image).stem) for image in images}
    found = []
    for line in lines:
        name = normalize("NFC", line)
        match = _FLAGGED.fullmatch(name)
        if name not in stems and match and match[1] in stems:
            name = match[1]
        found.append(name if name in stems else PurePosixPath(name).stem)
    return found
