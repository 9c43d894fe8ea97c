"""Depth maps, the distance of every pixel: files of numbers, and how they follow their images."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple, cast, final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageOps

from convolve.datasets.images import DIGEST_BYTES, ImageFiles
from convolve.datasets.masks import IN_MEMORY
from convolve.datasets.mosaic import put_together
from convolve.datasets.parallel import in_order
from convolve.errors import ImageError
from convolve.memory import blame_machine
from convolve.targets import ArrayTargets
from convolve.untrusted.arrays import read_npy, read_npz, read_pfm
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.untrusted.images import check_cost, open_image
from convolve.values import (
    Flags,
    Floats,
    GroundTruthFindings,
    Indices,
    Matrices,
    Pixels,
    Placement,
    Preprocessing,
    Remark,
    Targets,
)

FARTHEST, NEAREST = 1000.0, 0.01
"""Meters between which the median of a depth map is plausible."""
_DEEP: Final = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of one channel with more than 8 bits."""
_EIGHT_BITS = "has 8 bits a channel, which show depth but do not measure it; export it as 16-bit PNG or as npz."
_COST = 12  # bytes that a pixel takes as an array, with copies
_OPACITY = 0.75


@final
@dataclass(frozen=True)
class DepthFiles:
    """Depth maps below ``root``, one for each of the ``images``. Whole numbers are divided by ``per_meter``, other
    numbers by ``float_per_meter``.
    """

    root: Path
    names: tuple[str, ...]
    images: ImageFiles
    per_meter: float
    float_per_meter: float = 1.0

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Floats:
        """(H, W) meters as the file has them: 0, what is negative and what is not finite stand for unknown. Raises
        `ImageError`, also for a map of another size than its image.
        """
        name = self.names[index]
        values = _read_numbers(self.root / name, name)
        height, width = self.images.size(index)
        if values.shape != (height, width):
            raise ImageError(
                f"{name} has {values.shape[1]}x{values.shape[0]} pixels, and its image {width}x{height}; export it "
                "again at the image's size, resized by the nearest pixel."
            )
        whole = values.dtype.kind in "ui"
        with np.errstate(over="ignore", invalid="ignore"):
            return (values.astype(np.float64) / (self.per_meter if whole else self.float_per_meter)).astype(np.float32)

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the file's bytes and of the unit. Raises `ImageError`."""
        try:
            content = read_file(self.root / self.names[index], IMAGE_BYTES)
        except OSError as error:
            blame_machine(error, self.names[index])
            raise ImageError(f"{self.names[index]} cannot be opened ({error.strerror}); restore it.") from error
        unit = b"%r %r " % (self.per_meter, self.float_per_meter)
        return hashlib.blake2b(unit + content, digest_size=DIGEST_BYTES).digest()


class DepthSummary(NamedTuple):
    """The fraction of a map's pixels whose depth is known, the nearest, median and farthest of these in meters, and how
    many of the others are negative or not finite.
    """

    known: float
    nearest: float
    median: float
    farthest: float
    impossible: int


@final
class DepthMaps:
    """A `GroundTruth`: the depth of every pixel of N images in meters, 0 where it is unknown.

    Image i has map ``indices[i]`` of the files; without ``indices`` they are in the same order. `take` gives a view
    that shares what was read.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, files: DepthFiles | _DepthMemory, indices: Indices | None = None) -> None:
        self._memory = files if isinstance(files, _DepthMemory) else _DepthMemory(files)
        self._indices: Indices = np.arange(len(self._memory.files)) if indices is None else indices

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def covers(self) -> Flags:
        """All images."""
        return np.ones(len(self), dtype=bool)

    @property
    def per_meter(self) -> float:
        """By what whole numbers in its files are divided."""
        return self._memory.files.per_meter

    @property
    def findings(self) -> GroundTruthFindings:
        """The maps that cannot be read or know nothing, the depths of all others, and what is odd about them. Reads all
        maps when it is first asked for.
        """
        rows = self._indices.tolist()
        summaries, failed = self._memory.summaries()
        found = {row: summaries[index] for row, index in enumerate(rows) if index in summaries}
        return GroundTruthFindings(
            failed={row: failed[index] for row, index in enumerate(rows) if index in failed},
            facts=_facts(list(found.values())),
            remarks=tuple(_remarks(found)),
        )

    def median(self, indices: Indices) -> float:
        """Meters: the median over some images of their maps' medians; 1 where none of them can be read."""
        summaries, _ = self._memory.summaries()
        found = [summaries[index].median for index in self._indices[indices].tolist() if index in summaries]
        return float(np.median(found)) if found else 1.0

    def read(self, index: int) -> Floats:
        """(H, W) meters, 0 where unknown. Raises `ImageError`."""
        return _without_unknown(self._memory.files.read(int(self._indices[index])))

    def presence(self) -> Flags:
        """(N, 0) no classes."""
        return np.zeros((len(self), 0), dtype=bool)

    def digest(self, index: int) -> bytes:
        """BLAKE2b of what is stored and of its unit. Raises `ImageError`."""
        return self._memory.files.digest(int(self._indices[index]))

    def take(self, indices: Indices) -> DepthMaps:
        """The maps of some images, in the order asked."""
        return DepthMaps(self._memory, self._indices[indices])

    def with_classes(self, names: Sequence[str]) -> DepthMaps:
        """Itself."""
        del names
        return self

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        """(M, height, width) float32 meters of the pixels of the input, resampled once, by the nearest pixel; 0 where
        unknown, and beyond the image.
        """
        preprocessing = placement.preprocessing
        result = np.empty((len(indices), preprocessing.height, preprocessing.width), np.float32)
        for index, matrix, size, target in zip(
            indices.tolist(), placement.matrices, placement.sizes, result, strict=True
        ):
            depth = self._memory.cached(int(self._indices[index]))
            scales = np.array([size[1] / depth.shape[1], size[0] / depth.shape[0], 1.0])
            target[...] = warp_depth(depth, matrix * scales, preprocessing)
        return ArrayTargets(result if placement.regions is None else put_together(result, placement.regions))

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """(N, H, W, 3) the images (N, H, W, 1 or 3) under the colors of their depths, and between which these are."""
        maps = cast(ArrayTargets, targets).values
        rgb = np.broadcast_to(images, (*images.shape[:3], 3))
        drawn = [overlay(image, depth) for image, depth in zip(rgb, maps, strict=True)]
        known = [depth[depth > 0] for depth in maps]
        return np.stack(drawn), [f"{each.min():.3g} to {each.max():.3g} m" if each.size else "" for each in known]


@final
class _DepthMemory:
    """Depth files: those read last stay decoded, and all are summarized once."""

    def __init__(self, files: DepthFiles) -> None:
        self.files = files
        self._maps: OrderedDict[int, Floats] = OrderedDict()
        self._bytes, self._lock, self._summarizing = 0, Lock(), Lock()
        self._summaries: tuple[dict[int, DepthSummary], dict[int, str]] | None = None

    def __reduce__(self) -> tuple[type[_DepthMemory], tuple[DepthFiles]]:
        """Another process begins without decoded maps."""
        return _DepthMemory, (self.files,)

    def cached(self, index: int) -> Floats:
        """A map with 0 where the depth is unknown, from memory where it is there."""
        with self._lock:
            if index in self._maps:
                self._maps.move_to_end(index)
                return self._maps[index]
        depth = _without_unknown(self.files.read(index))
        with self._lock:
            if index not in self._maps:
                self._maps[index] = depth
                self._bytes += depth.nbytes
            while self._bytes > IN_MEMORY and len(self._maps) > 1:
                self._bytes -= self._maps.popitem(last=False)[1].nbytes
        return depth

    def summaries(self) -> tuple[dict[int, DepthSummary], dict[int, str]]:
        """Of the maps that know anything, by index, and why others do not; reads all where that has not been done."""
        with self._summarizing:
            if self._summaries is None:
                failed: dict[int, str] = {}
                found = in_order(partial(self._summarize, failed), range(len(self.files)))
                self._summaries = {index: each for index, each in enumerate(found) if each}, failed
            return self._summaries

    def _summarize(self, failed: dict[int, str], index: int) -> DepthSummary | None:
        try:
            depth = self.files.read(index)
        except ImageError as error:
            failed[index] = str(error)
            return None
        known = _without_unknown(depth)
        inside = known[known > 0]
        if not inside.size:
            failed[index] = f"{self.files.names[index]} knows the depth of no pixel; leave its image out."
            return None
        ends = (float(inside.min()), float(np.median(inside)), float(inside.max()))
        return DepthSummary(inside.size / depth.size, *ends, int((~np.isfinite(depth) | (depth < 0)).sum()))


def warp_depth(depth: Floats, matrix: Matrices, preprocessing: Preprocessing) -> Floats:
    """(height, width) a map as its matrix (2, 3; see `preprocess`) takes it to the network's input, by the nearest
    pixel; 0 beyond its edges.
    """
    centered = matrix.copy()  # OpenCV counts from the first pixel's center
    centered[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    size = (preprocessing.width, preprocessing.height)
    warped = cv2.warpAffine(depth, centered, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, dtype=np.float32)


def colorize(depth: Floats, nearest: float, farthest: float) -> Pixels:
    """(H, W, 3) depths in colors, yellow near and dark blue far, in even steps of their logarithm; unknown is black."""
    start, end = np.log([nearest, max(farthest, nearest * 1.001)])
    fractions = (end - np.log(np.maximum(depth, np.float32(1e-9)))) / (end - start)
    levels = (255 * np.clip(fractions, 0, 1)).round().astype(np.uint8)
    colors = np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])
    colors[depth <= 0] = 0
    return np.asarray(colors, np.uint8)


def overlay(image: Pixels, depth: Floats) -> Pixels:
    """(H, W, 3) an image of that shape under the colors of its own depths; unchanged where these are unknown."""
    known = depth > 0
    if not known.any():
        return image
    colors = colorize(depth, float(depth[known].min()), float(depth[known].max()))
    mixed = (1 - _OPACITY) * image + _OPACITY * colors
    return np.where(known[..., None], mixed, image).round().astype(np.uint8)


def _without_unknown(depth: Floats) -> Floats:
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def _facts(summaries: Sequence[DepthSummary]) -> Mapping[str, str]:
    if not summaries:
        return {}
    nearest, median = min(each.nearest for each in summaries), float(np.median([each.median for each in summaries]))
    farthest, known = max(each.farthest for each in summaries), float(np.mean([each.known for each in summaries]))
    return {
        "depth": f"{nearest:.3g} to {farthest:.3g} m, median {median:.3g} m",
        "pixels of known depth": f"{known:.1%}",
    }


def _remarks(summaries: Mapping[int, DepthSummary]) -> Iterator[Remark]:
    impossible = tuple(row for row, each in summaries.items() if each.impossible)
    if impossible:
        pixels = sum(summaries[row].impossible for row in impossible)
        yield Remark(
            f"{pixels:,} pixels of depth maps are negative, infinite or NaN and taken as unknown",
            impossible,
            "write 0 where the depth is unknown",
        )
    scale = "check the unit, and give --depth-scale, what whole numbers are to be divided by, such as 1000 for mm"
    far = tuple(row for row, each in summaries.items() if each.median > FARTHEST)
    near = tuple(row for row, each in summaries.items() if each.median < NEAREST)
    if far:
        yield Remark(f"{len(far):,} depth maps have a median above {FARTHEST:,.0f} m", far, scale)
    if near:
        yield Remark(f"{len(near):,} depth maps have a median below {NEAREST:g} m", near, scale)


def _read_numbers(path: Path, name: str) -> npt.NDArray[Any]:
    """(H, W) what a file stores. Raises `ImageError`."""
    try:
        values = _READERS.get(path.suffix.casefold(), _read_image)(path)
    except ImageError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        blame_machine(error, name)
        raise ImageError(f"{name} cannot be read as a depth map ({error}); restore it.") from error
    if values.ndim != 2 or not values.size or values.dtype.kind not in "uif":
        raise ImageError(
            f"{name} holds an array of the shape {values.shape} and the type {values.dtype}; a depth map has one "
            "number for each pixel, (height, width)."
        )
    if values.dtype.itemsize == 1:
        raise ImageError(f"{name} {_EIGHT_BITS}")
    return values


def _read_image(path: Path) -> npt.NDArray[Any]:
    content = read_file(path, IMAGE_BYTES)
    with open_image(content) as file:
        check_cost(file, len(content), more=_COST)
        if file.mode not in _DEEP:
            raise ImageError(f"{path.name} {_EIGHT_BITS}")
        file.load()
        return np.asarray(ImageOps.exif_transpose(file))


def _read_array(path: Path) -> npt.NDArray[Any]:
    """Of several arrays the one called `depth`, or the only one of two axes. Raises `ValueError`."""
    arrays = read_npz(path)
    maps = [values for values in arrays.values() if values.ndim == 2]
    if "depth" not in arrays and len(maps) != 1:
        raise ValueError(f"it holds the arrays {', '.join(arrays) or 'none'}; call the one of the depths depth")
    return arrays["depth"] if "depth" in arrays else maps[0]


_READERS: Final = {".npz": _read_array, ".npy": read_npy, ".pfm": read_pfm}
