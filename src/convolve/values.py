"""The values that pass between the parts: a shape per field, checked when made. NumPy only, so that reading data and
predicting with an exported run never import torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.words import Fit

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Matrices = npt.NDArray[np.float64]
Color = tuple[int, int, int]

IGNORE = 255
"""In masks, a pixel that is neither learned from nor measured."""
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
TargetArray = npt.NDArray[np.int64] | npt.NDArray[np.uint8]


class Truth(Protocol):
    """What the answers to images should be."""

    def targets(self, indices: Indices, matrices: Matrices) -> TargetArray:
        """(N, …) of some images, each moved from its pixels to the network's frame by its matrix (N, 2, 3)."""
        ...


class Targets(Protocol):
    """What the outputs for some examples should be: arrays, or ragged boxes (`convolve.targets`)."""

    def __len__(self) -> int:
        """How many examples."""
        ...

    def to(self, device: str) -> Any:
        """The same as torch tensors on a device: what a task's `loss` takes."""
        ...


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a batch's N images are in the network's input.

    ``matrices`` (N, 2, 3) take a point (x, y, 1) in the pixels of an image of ``sizes`` (N, 2; height, width) to the
    pixels of the input that ``preprocessing`` describes. Pixels are counted continuously, from the outer edge of the
    first one.
    """

    matrices: Matrices
    sizes: Indices
    preprocessing: Preprocessing


class TargetSource(Protocol):
    """Where batches take the targets of examples from; safe to call from several threads."""

    def targets(self, indices: Indices, placement: Placement) -> Targets:
        """Those of some examples as they are in the network's input."""
        ...


class GroundTruth(TargetSource, Protocol):
    """What a dataset says of each of its N images: labels, masks and the like. Safe to call from several threads."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the C classes, in the order of their indices; empty where there are none."""
        ...

    def __len__(self) -> int: ...

    def presence(self) -> Flags:
        """(N, C) which classes occur in which images: what splits are stratified by."""
        ...

    def digest(self, index: int) -> bytes:
        """Bytes that change whenever what is said of an image changes. Raises `ImageError` for an unreadable file."""
        ...

    def take(self, indices: Indices) -> GroundTruth:
        """That of some of the images, in the order asked."""
        ...

    def with_classes(self, names: Sequence[str]) -> GroundTruth:
        """The same with the classes ``names`` in that order, some of which may not occur. What belongs to a class that
        is not among them is ignored; where that is impossible, raises `DataError`.
        """
        ...

    def draw(self, images: Pixels, targets: Targets) -> Pixels:
        """(N, H, W, 1 or 3) images of a batch with their targets drawn into them."""
        ...

    def describe(self, targets: Targets) -> list[str]:
        """A few words on each of a batch's targets, such as the names of classes."""
        ...


@dataclass(frozen=True)
class Labels:
    """What each image shows.

    ``values``: (N,) int64, one class index per image; or (N, classes) uint8 flags, where an image may show several.
    Raises `DataError` when a value names no class.
    """

    values: TargetArray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.multiple:
            if self.values.shape[1] != len(self.classes):
                raise DataError(f"Labels have {self.values.shape[1]} columns for {len(self.classes)} classes.")
        elif len(self.values) and not 0 <= int(self.values.min()) <= int(self.values.max()) < len(self.classes):
            raise DataError(f"A label lies outside the {len(self.classes)} classes; labels count from 0.")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def multiple(self) -> bool:
        """Whether an image may carry several labels."""
        return self.values.ndim == 2

    def take(self, indices: Indices) -> Labels:
        """The labels of some images, in the order asked."""
        return Labels(self.values[indices], self.classes)

    def targets(self, indices: Indices, matrices: Matrices) -> TargetArray:  # noqa: ARG002 - labels stay where pixels move
        """The values of some images, in the order asked."""
        return self.values[indices]

    def counts(self) -> Indices:
        """(classes,) how many images carry each label."""
        if self.multiple:
            return np.asarray(self.values.sum(0), dtype=np.int64)
        return np.bincount(self.values, minlength=len(self.classes)).astype(np.int64)


class EncodedImage(Protocol):
    """An image as it is stored, read once: nothing here reads the file again. Safe to use from several threads."""

    @property
    def digest(self) -> bytes:
        """16 bytes that depend on the stored content alone."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright image, without decoding it. Raises `ImageError`."""
        ...

    @property
    def gray(self) -> bool:
        """Whether the header alone rules out color. Raises `ImageError`."""
        ...

    def decode(self, at_least: int = 0) -> Pixels:
        """(H, W, C) with C 1 or 3, upright. A shorter side above ``at_least`` pixels may come reduced, never below
        it; 0 asks for full size. Raises `ImageError`.
        """
        ...


class Images(Protocol):
    """Images on disk or in memory, read one at a time; safe to call from several threads.

    Inherit from it: what `read`, `size` and `digest` do follows from `open`.
    """

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What people call it: the path below the dataset's root, or `train-images#17`."""
        ...

    def open(self, index: int) -> EncodedImage:
        """Read one image, and do not decode it yet. Raises `ImageError` when its file cannot be opened."""
        ...

    def take(self, indices: Indices) -> Images:
        """Some of the images, in the order asked."""
        ...

    def read(self, index: int, at_least: int = 0) -> Pixels:
        """The decoded image; see `EncodedImage.decode`. Raises `ImageError`."""
        return self.open(index).decode(at_least)

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of the upright image, without decoding it. Raises `ImageError`."""
        return self.open(index).size

    def digest(self, index: int) -> bytes:
        """16 bytes that depend on the stored content alone. Raises `ImageError` when the file cannot be opened."""
        return self.open(index).digest


class Masks(Protocol):
    """The class of every pixel of images, read one at a time; safe to call from several threads."""

    @property
    def colors(self) -> tuple[Color, ...]:
        """(red, green, blue), 0 to 255, in which the dataset paints each class."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> Pixels:
        """(H, W) class numbers, `IGNORE` where none is meant. Raises `ImageError`."""
        ...

    def digest(self, index: int) -> bytes:
        """16 bytes that depend on the stored content alone. Raises `ImageError` when the file cannot be opened."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Examples on disk, read through one of the recognized layouts. Where there are ``masks``, ``labels`` say which
    classes occur in each.

    ``given`` maps `train`, `validation` and `test` to the indices that the layout itself assigns; empty when it
    assigns none. ``reason`` says by what the layout was recognized.
    """

    root: str
    layout: str
    reason: str
    images: Images
    labels: Labels
    given: Mapping[str, Indices]
    masks: Masks | None = None

    def __post_init__(self) -> None:
        if self.masks is not None and len(self.images) != len(self.masks):
            raise DataError(f"{self.root} holds {len(self.images)} images but {len(self.masks)} masks.")
        if len(self.images) != len(self.labels):
            raise DataError(f"{self.root} holds {len(self.images)} images but {len(self.labels)} labels.")

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Splits:
    """Which examples are learned from, which select, and which are touched once at the end; ``origin`` says why."""

    train: Indices
    validation: Indices
    test: Indices
    origin: str

    def __post_init__(self) -> None:
        parts = np.concatenate([self.train, self.validation, self.test])
        if len(np.unique(parts)) != len(parts):
            raise DataError("The splits overlap: an example stands in two of train, validation and test.")


@dataclass(frozen=True)
class Preprocessing:
    """How an image of any size becomes a network's input; stored with the run and used wherever it predicts.

    ``mean`` and ``std`` are per channel, of values between 0 and 1. ``fit`` says how the picture meets the frame:
    `crop` keeps the shape and cuts what stands over, `letterbox` keeps all of it and pads with the mean, `stretch`
    stretches; `tiles` keeps the scale, and a frame shows a part of the picture.
    """

    height: int
    width: int
    channels: int
    fit: Fit
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == self.channels:
            raise DataError(f"{self.channels} channels need as many means and standard deviations.")


@dataclass(frozen=True)
class Batch:
    """``images`` (N, H, W, C) float32, normalized; ``targets`` (N, …) their truth; ``indices`` (N,) in the dataset."""

    images: Floats
    targets: TargetArray
    indices: Indices


@dataclass(frozen=True)
class Scored:
    """A task's answers, ``scores`` (N, …), the ``targets`` they should meet, and the examples' ``indices`` (N,)."""

    scores: npt.NDArray[Any]
    targets: TargetArray
    indices: Indices
