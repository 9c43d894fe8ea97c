"""Images with depth maps of the same names, in neighboring folders, below splits, or in one folder with a suffix."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from convolve.datasets.depth_maps import DepthFiles, DepthMaps
from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, natural
from convolve.datasets.layouts.parts import build_dataset, split_word
from convolve.errors import DataError
from convolve.values import Dataset

NAME = "depth"
EXPECTED = "images/ and depth/ with files of the same names, with --layout depth"
MARK = re.compile(r"(?!)")
"""Nothing tells it: it is asked only by its name, since 16-bit images may be masks as well."""
MILLIMETERS, KITTI = 1000.0, 256.0
"""Whole numbers per meter: of most cameras and NYU Depth v2; of KITTI's depth PNG files."""
_ARRAYS = re.compile(r"\.(npz|npy|pfm)$", re.IGNORECASE)
_DEPTH = re.compile(r"depths?|depthmaps?|groundtruth|gt")
_NEUTRAL = re.compile(r"depths?|depthmaps?|maps?|groundtruth|gt|proj|images?|imgs?|rgb|colors?|sync|data|left")
_KITTI = re.compile(r"(?:^|[/_])(?:proj_depth|groundtruth_depth)[/_]")
_DATE = re.compile(r"\d{4}_\d\d_\d\d")
"""A folder of KITTI's raw images, which those of its depth maps do not have."""

_Key = tuple[str, ...]


def recognize(inventory: Inventory) -> Dataset | None:
    """The images that have a depth map, or None where none has.

    A depth map is a file with `depth`, `groundtruth` or `gt` among the words of its path, or an array (.npz, .npy,
    .pfm); it belongs to the image whose path has the same words but for these, and for `image`, `rgb` and the like:
    `images/7.png` and `depth/7.png`, `7.jpg` and `7_depth.png`, `rgb_00045.jpg` and `sync_depth_00045.png` (NYU),
    KITTI's `image_02/data` and `proj_depth/groundtruth/image_02`. Raises `DataError` where two maps belong to one
    image, and for a scale that is none.
    """
    scale = inventory.options.depth_scale
    if scale is not None and not (scale > 0 and math.isfinite(scale)):
        raise DataError(f"--depth-scale cannot be {scale:g}; it must be a number above 0.")
    files = [*inventory.images, *(name for name in inventory.files if _ARRAYS.search(name))]
    pairs = _pairs(inventory.root, files, by_split=True) or _pairs(inventory.root, files, by_split=False)
    if not pairs:
        return None
    names, depths = tuple(pairs), tuple(pairs.values())
    kitti = any(map(_KITTI.search, depths))
    per_meter = scale or (KITTI if kitti else MILLIMETERS)
    unit = "as requested" if scale else "as in KITTI" if kitti else "millimeters"
    reason = (
        f"{len(pairs):,} images with depth maps of the same names; whole numbers over {per_meter:g} are meters, {unit}"
    )
    images = ImageFiles(inventory.root, names)
    maps = DepthMaps(DepthFiles(inventory.root, depths, images, per_meter, scale or 1.0))
    splits = [_split(image) or _split(depth) for image, depth in pairs.items()]
    dataset = build_dataset(inventory.root, NAME, reason, images, splits, {"depth": maps})
    left = sorted({*files}.difference(names, depths), key=natural)
    note = f"left out: {len(left):,} files without a counterpart, such as {', '.join(left[:NAMED])}"
    return replace(dataset, notes=(note,) if left else (), annotations=depths, left_out=tuple(left))


def _pairs(root: Path, files: Iterable[str], *, by_split: bool) -> dict[str, str]:
    """Each image's depth map, in natural order; ``by_split`` only those in folders of the same split."""
    images, maps = defaultdict[_Key, list[str]](list), defaultdict[_Key, list[str]](list)
    for name in files:
        key, is_map = _key(name, by_split)
        (maps if is_map else images)[key].append(name)
    both = [key for key in images if key in maps]
    for found in (maps, images):
        if doubled := next((found[key] for key in both if len(found[key]) > 1), None):
            raise DataError(f"In {root} {doubled[0]} and {doubled[1]} are of one image by their names; remove one.")
    pairs = ((images[key][0], maps[key][0]) for key in both)
    return dict(sorted(pairs, key=lambda pair: natural(pair[0])))


def _key(path: str, by_split: bool) -> tuple[_Key, bool]:
    """The words by which an image and its depth map are called, and whether this is the map."""
    *folders, name = PurePosixPath(path).with_suffix("").parts
    counted = [part for part in folders if not _DATE.fullmatch(part) and (by_split or not split_word(part))]
    parts = [re.split(r"[-_. ]+", normalize("NFC", part).casefold()) for part in (*counted, name)]
    words = [word for part in parts for word in part if word]
    is_map = bool(_ARRAYS.search(path)) or any(map(_DEPTH.fullmatch, words))
    return tuple(word for word in words if not _NEUTRAL.fullmatch(word)), is_map


def _split(path: str) -> str | None:
    return next(filter(None, map(split_word, PurePosixPath(path).parts[:-1])), None)
