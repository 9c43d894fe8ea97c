"""Stacks: a TIFF of many pages of images with one of as many pages of masks, as ISBI's challenge of 2012 has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from convolve.datasets.images import ImageArray
from convolve.datasets.inventory import NAMED, Inventory
from convolve.datasets.layouts.class_lists import find_class_list
from convolve.datasets.layouts.mask_values import count_values, interpret
from convolve.datasets.layouts.parts import NoGroundTruthError, build_dataset, join_arrays, split_word
from convolve.datasets.layouts.soft_edges import refuse_soft_edges
from convolve.datasets.masks import MaskArray, Masks
from convolve.datasets.stored_masks import StoredMask, are_colors, class_indices, store
from convolve.errors import DataError, ImageError
from convolve.untrusted.files import read_file
from convolve.untrusted.images import TooCostlyError, check_cost, open_image
from convolve.values import Dataset, Pixels

NAME = "stacks"
EXPECTED = "train-volume.tif and train-labels.tif of as many pages"
MARK = re.compile(r"^[^/]+\.tiff?$", re.IGNORECASE)
_MASKS = re.compile(r"[-_. ]?(labels?|masks?|gt|ground[-_ ]?truths?|segmentation|seg)$")
_IMAGES = re.compile(r"[-_. ]?(volumes?|images?|stack|raw)$")
_SAMPLE = 8  # masks that are searched for soft edges


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
    found = _stacks(inventory)
    stacks = [stack for stack in found if _pages(stack.masks) > 1]
    if not stacks:
        _refuse_half(inventory, found)
        return None
    images = [_read_images(stack.images) for stack in stacks]
    stored = [_read_masks(stack.masks) for stack in stacks]
    for stack, pages, masks in zip(stacks, images, stored, strict=True):
        shape = (len(masks), *masks[0].values.shape)
        if pages.shape[:3] != shape or shape[1:] != stored[0][0].values.shape:
            raise DataError(
                f"{stack.images.name} has pages {pages.shape[:3]} and {stack.masks.name} {shape}; "
                "stacks go together when pages, height and width are the same."
            )
    listed, first = find_class_list(inventory), stacks[0].masks
    every = [mask for masks in stored for mask in masks]
    if listed is None:
        refuse_soft_edges([first], every[:: len(every) // _SAMPLE + 1])
    meaning = interpret([count_values(mask) for mask in every], listed, first)
    try:
        by_color = are_colors((*meaning.stored, *meaning.ignored))
        pages_read = [mask.translate(mask.values, by_color) for mask in every]
        array = class_indices(np.stack(pages_read), meaning.stored, meaning.ignored, first.name)
    except ImageError as error:
        raise DataError(str(error)) from error
    reason = f"{' and '.join(stack.images.name for stack in stacks)} with masks page by page; {meaning.how}"
    arrays = [ImageArray(pages, stack.images.stem) for stack, pages in zip(stacks, images, strict=True)]
    splits = [stack.word for stack, pages in zip(stacks, images, strict=True) for _ in pages]
    ground_truths = {"masks": Masks(MaskArray(array), meaning.names, meaning.colors)}
    dataset = build_dataset(path, NAME, reason, join_arrays(arrays), splits, ground_truths)
    used = {file.name for stack in stacks for file in (stack.images, stack.masks)}
    left = [name for name in inventory.images if name not in used]
    notes = [f"left out: {len(left)} that belong to no pair of stacks, such as {', '.join(left[:NAMED])}"]
    return replace(dataset, notes=tuple(notes if left else ()), left_out=tuple(left))


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


def _refuse_half(inventory: Inventory, pairs: Sequence[_Stack]) -> None:
    """Raise `DataError` for a stack of images whose masks are not there, or the reverse."""
    paired = {file.name for stack in pairs for file in (stack.images, stack.masks)}
    for name in inventory.images:
        path = inventory.root / name
        for called, what, other in ((_MASKS, "images", "-volume"), (_IMAGES, "masks", "-labels")):
            match = called.search(path.stem.casefold())
            if match and MARK.search(name) and name not in paired and _has_pages(path):
                absent = f"{path.stem[: match.start()]}{other}{path.suffix}"
                raise NoGroundTruthError(f"{path} is a stack without its {what}, such as {absent}; add them.")


def _has_pages(path: Path) -> bool:
    """Whether a TIFF is a stack. Raises `NoGroundTruthError` where it cannot be read: it may be something else."""
    try:
        return _pages(path) > 1
    except DataError as error:
        raise NoGroundTruthError(str(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[Image.Image], int]]:
    """The pages of a stack, one at a time, and how many there are. Raises `DataError`, as all that is done with them
    does.
    """
    try:
        content = read_file(path)
        with open_image(content) as file:
            pages = int(getattr(file, "n_frames", 1))
            yield _check_pages(file, len(content), pages), pages
    except ImageError as error:
        raise DataError(str(error)) from error
    except TooCostlyError as error:
        raise DataError(f"{path} {error}; make its pages smaller, or save them as separate files.") from error
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"{path} cannot be read as TIFF ({error}); copy it again.") from error


def _check_pages(file: Image.Image, length: int, pages: int) -> Iterator[Image.Image]:
    """Each page before it is decoded. Raises `TooCostlyError` where all of them together would take too much memory."""
    for page in ImageSequence.Iterator(file):
        check_cost(page, length, pages)
        yield page


def _pages(path: Path) -> int:
    with _opened(path) as (_, pages):
        return pages


def _read_images(path: Path) -> Pixels:
    """(pages, H, W, C)."""
    with _opened(path) as (each_page, _):
        pages = [_page(page) for page in each_page]
    if len({page.shape for page in pages}) > 1:
        raise DataError(f"The pages of {path} have different sizes; save them as separate files.")
    return np.stack(pages)


def _page(page: Image.Image) -> Pixels:
    if page.mode.startswith("I;16"):
        return (np.asarray(page) // 257).astype(np.uint8)[..., None]
    pixels = np.asarray(page.convert("L" if page.mode in ("1", "L") else "RGB"))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _read_masks(path: Path) -> list[StoredMask]:
    """A mask of each page, all of one size."""
    with _opened(path) as (each_page, _):
        masks = [store(page, str(path)) for page in each_page]
    if len({mask.values.shape for mask in masks}) > 1:
        raise DataError(f"The pages of {path} have different sizes; save them as separate files.")
    return masks
