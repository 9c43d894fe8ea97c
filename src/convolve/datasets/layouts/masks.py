"""Images with masks of the same names, in neighboring folders, below splits, or in one folder with a suffix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convolve.datasets.images import ImageFiles
from convolve.datasets.layouts.mask_values import class_lists, interpret_files
from convolve.datasets.layouts.parts import build_dataset, image_files, natural, read_lines, split_word
from convolve.datasets.masks import MaskFiles, Masks, stored_values
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError
from convolve.values import Dataset

EXPECTED = "images/ and masks/ with files of the same names"
_MASKS = re.compile(
    r"(?:^|[-_ ])(masks?|labels?|labelids|annotations?|annots?|gt|ground[-_ ]?truths?|segmentation(?:class)?|trimaps?)$"
    r"|(?<=[a-z])(annot)$"
)
_IMAGES = re.compile(r"(?:^|[-_ ])(images?|imgs?|jpegimages|photos?|leftimg8bit|rgb)$")
_OBJECTS = "segmentationobject"  # Pascal VOC's masks of single objects
_SUFFIX = re.compile(r"[-_. ](masks?|labels?|labelids|gt|seg|segmentation|trimap|l)$")
_VOC = "ImageSets/Segmentation"
_NAMED = 3  # missing masks that are named


@dataclass(frozen=True)
class _Pair:
    image: str
    mask: str
    split: str | None


def recognize(path: Path) -> Dataset | None:
    """The dataset in a folder, or None where fewer than half of the masks found belong to an image.

    A mask is a file in a folder called so (`masks`, `labels`, `annotations`, `trainannot`, `SegmentationClass` …) or
    one whose name ends so (`17_mask.png`); it belongs to the image of the same name. What its values mean is judged by
    `mask_values.interpret_files`. Images without a mask, and pairs whose shapes differ, are left out and named in the
    reason. Raises `DataError` for values that cannot be interpreted.
    """
    if not path.is_dir():
        return None
    pairs, alone = _pairs(image_files(path))
    if not pairs:
        return None
    pairs, unlisted, absent = _assign_splits(path, pairs)
    broken = [pair.mask for pair in unlisted if not _can_be_read(path / pair.mask)]
    pairs, differing = _with_same_shape(path, pairs)
    if not pairs:
        raise DataError(f"In {path} no mask has its image's shape, such as {differing[0]}; export them again.")
    meaning, counts = interpret_files([path / pair.mask for pair in pairs], class_lists(path))
    reader = MaskFiles(path, tuple(pair.mask for pair in pairs), meaning.stored, meaning.ignored)
    reason = f"{len(pairs)} images with masks of the same names; {meaning.how}"
    for what, names in (
        ("images without a mask", alone),
        ("pairs of different shapes", differing),
        ("names of the lists without a pair", absent),
        ("pairs that no list names", [pair.image for pair in unlisted]),
        ("of those masks cannot be read and", broken),
    ):
        if names:
            reason += f"; {len(names)} {what} are left out, such as {', '.join(names[:_NAMED])}"
    images = ImageFiles(path, tuple(pair.image for pair in pairs))
    ground_truths = {"masks": Masks(reader, meaning.names, meaning.colors, counts=counts)}
    return build_dataset(path, "masks", reason, images, [pair.split for pair in pairs], ground_truths)


def is_mask(name: str) -> bool:
    """Whether a path is called as masks are."""
    return _key(PurePosixPath(name))[1]


def _pairs(names: list[str]) -> tuple[list[_Pair], list[str]]:
    """Images with their masks in natural order, and the images that have none; nothing where that is most of them."""
    images: dict[tuple[str, ...], str] = {}
    masks: dict[tuple[str, ...], str] = {}
    for name in names:
        if _OBJECTS not in name.casefold():
            key, marked = _key(PurePosixPath(name))
            (masks if marked else images)[key] = name
    both = [key for key in images if key in masks]
    if not both or 2 * len(both) < len(masks):
        return [], []
    pairs = [_Pair(images[key], masks[key], next(filter(None, map(split_word, key[:-1])), None)) for key in both]
    return sorted(pairs, key=lambda pair: natural(pair.image)), [images[key] for key in images if key not in masks]


def _key(path: PurePosixPath) -> tuple[tuple[str, ...], bool]:
    """What an image and its mask have in common, and whether this is the mask."""
    marked, parts = False, []
    for part in path.parts[:-1]:
        word = part.casefold()
        marked |= bool(_MASKS.search(word))
        rest = _IMAGES.sub("", _MASKS.sub("", word))
        parts += [rest.strip("-_ ")] if rest.strip("-_ ") else []
    stem = path.stem.casefold()
    bare = _SUFFIX.sub("", stem)
    return (*parts, _IMAGES.sub("", bare).strip("-_ ") or bare), marked or bare != stem


def _assign_splits(folder: Path, pairs: list[_Pair]) -> tuple[list[_Pair], list[_Pair], list[str]]:
    """Pairs with the splits of Pascal VOC's lists, where they are; then those that no list names, and the names of the
    lists that have no pair.
    """
    lists = {word: path for path in sorted(folder.glob(f"{_VOC}/*.txt")) if (word := split_word(path.stem))}
    if not lists:
        return pairs, [], []
    split = {name.split()[0]: word for word, path in lists.items() for name in read_lines(path)}
    stems = [PurePosixPath(pair.image).stem for pair in pairs]
    named = list(zip(stems, pairs, strict=True))
    known = [_Pair(pair.image, pair.mask, split[stem]) for stem, pair in named if stem in split]
    unlisted = [pair for stem, pair in named if stem not in split]
    return known, unlisted, sorted(split.keys() - set(stems), key=natural)


def _can_be_read(mask: Path) -> bool:
    try:
        stored_values(mask)
    except ImageError:
        return False
    return True


def _with_same_shape(folder: Path, pairs: list[_Pair]) -> tuple[list[_Pair], list[str]]:
    """Pairs of one shape (a mask may be smaller than its image), and the images of the others."""
    images = ImageFiles(folder, tuple(pair.image for pair in pairs))
    masks = ImageFiles(folder, tuple(pair.mask for pair in pairs))

    def same(index: int) -> bool:
        try:
            (height, width), (rows, columns) = images.size(index), masks.size(index)
        except ImageError:
            return True  # the doctor names what cannot be read
        return abs(height * columns - width * rows) <= max(height + rows, width + columns) / 2

    fits = list(in_order(same, range(len(pairs))))
    differing = [pair.image for pair, fit in zip(pairs, fits, strict=True) if not fit]
    return [pair for pair, fit in zip(pairs, fits, strict=True) if fit], differing
