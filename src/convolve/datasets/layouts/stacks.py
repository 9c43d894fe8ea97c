"""Stacks: a TIFF of many pages of images with one of as many pages of masks, as ISBI's challenge of 2012 has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from convolve.datasets.images import ImageArray
from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.masks import class_lists, interpret
from convolve.datasets.layouts.parts import build_dataset, join_arrays, split_word
from convolve.datasets.masks import MaskArray, Masks, class_indices
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Pixels

NAME = "stacks"
EXPECTED = "train-volume.tif and train-labels.tif of as many pages"
MARK = re.compile(r"^[^/]+\.tiff?$", re.IGNORECASE)
_MASKS = re.compile(r"[-_. ]?(labels?|masks?|gt|ground[-_ ]?truths?|segmentation|seg)$")
_IMAGES = re.compile(r"[-_. ]?(volumes?|images?|stack|raw)$")


@dataclass(frozen=True)
class _Stack:
    images: Path
    masks: Path
    word: str


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, or None where no two stacks are called alike but for `volume` and `labels` and the
    like. What is left of the name may be a split. Raises `DataError` where pages do not go together.
    """
    path = inventory.root
    stacks = [stack for stack in _stacks(inventory) if _pages(stack.masks) > 1]
    if not stacks:
        return None
    images = [_read(stack.images) for stack in stacks]
    stored = [_read(stack.masks, colors=False) for stack in stacks]
    for stack, pages, values in zip(stacks, images, stored, strict=True):
        if pages.shape[:3] != values.shape or values.shape[1:] != stored[0].shape[1:]:
            raise DataError(
                f"{stack.images.name} has pages {pages.shape[:3]} and {stack.masks.name} {values.shape}; "
                "stacks go together when pages, height and width are the same."
            )
    found = sorted({int(value) for values in stored for value in np.unique(values)})
    meaning = interpret(found, class_lists(path), stacks[0].masks)
    try:
        array = class_indices(np.concatenate(stored), meaning.stored, meaning.ignored, stacks[0].masks.name)
    except ImageError as error:
        raise DataError(str(error)) from error
    masks = Masks(MaskArray(array), meaning.names, meaning.colors)
    reason = f"{' and '.join(stack.images.name for stack in stacks)} with masks page by page; {meaning.how}"
    arrays = [ImageArray(pages, stack.images.stem) for stack, pages in zip(stacks, images, strict=True)]
    splits = [stack.word for stack, pages in zip(stacks, images, strict=True) for _ in pages]
    return build_dataset(path, NAME, reason, join_arrays(arrays), splits, {"masks": masks})


def _stacks(inventory: Inventory) -> list[_Stack]:
    """The pairs, in the order of their names."""
    files = [inventory.root / name for name in inventory.images if MARK.search(name)]
    bare = {path: _MASKS.sub("", path.stem.casefold()) for path in files}
    masks = {word: path for path, word in bare.items() if word != path.stem.casefold()}
    found = []
    for path in (path for path in files if path not in masks.values()):
        word = _IMAGES.sub("", path.stem.casefold())
        if word in masks:
            found.append(_Stack(path, masks[word], split_word(word) or word or path.stem))
    return found


def _pages(path: Path) -> int:
    try:
        with Image.open(path) as file:
            return int(getattr(file, "n_frames", 1))
    except OSError as error:
        raise DataError(f"{path} cannot be read as TIFF ({error}); copy it again.") from error


def _read(path: Path, colors: bool = True) -> Pixels:
    """(pages, H, W, C) of images, (pages, H, W) of masks."""
    try:
        with Image.open(path) as file:
            pages = [_page(page, colors) for page in ImageSequence.Iterator(file)]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as TIFF ({error}); copy it again.") from error
    if len({page.shape for page in pages}) > 1:
        raise DataError(f"The pages of {path} have different sizes; save them as separate files.")
    return np.stack(pages)


def _page(page: Image.Image, colors: bool) -> Pixels:
    if not colors:
        return np.asarray(page.convert("L") if page.mode in ("1", "RGB") else page)
    if page.mode.startswith("I;16"):
        return (np.asarray(page) // 257).astype(np.uint8)[..., None]
    pixels = np.asarray(page.convert("L" if page.mode in ("1", "L") else "RGB"))
    return pixels if pixels.ndim == 3 else pixels[..., None]
