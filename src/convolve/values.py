"""The values that pass between the parts: a shape per field, checked when made. NumPy only, so that reading data and
predicting with an exported run never import torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from convolve.choices import Fit
from convolve.errors import DataError

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Matrices = npt.NDArray[np.float64]
Color = tuple[int, int, int]

IGNORE = 255
"""In masks, a pixel that is neither learned from nor measured."""
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


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
    first one. Of a mosaic, each image fills one of the ``regions`` (N, 4; left, top, right, bottom) of its input, and
    four after one another make an example; None where each image is one.
    """

    matrices: Matrices
    sizes: Indices
    preprocessing: Preprocessing
    regions: Indices | None = None


class TargetSource(Protocol):
    """Where batches take the targets of examples from; safe to call from several threads."""

    def targets(self, indices: Indices, placement: Placement) -> Targets:
        """Those of some examples as they are in the network's input."""
        ...


@dataclass(frozen=True)
class Remark:
    """What is odd about some ``images``, given by index, such as `3 objects have the box of another one`, and what to
    do about it.
    """

    what: str
    images: tuple[int, ...]
    remedy: str


@dataclass(frozen=True)
class GroundTruthFindings:
    """What the doctor learns from reading all that is said of a dataset's images.

    ``failed`` says by index why something cannot be read. ``counts`` has (N, C) numbers for each image and class under
    a heading, such as `pixels`; those of the headings in ``fractions`` are best read as fractions of their sum.
    ``facts`` are numbers of all images, as text under a heading; ``remarks`` are for a person to look at.
    """

    failed: Mapping[int, str] = field(default_factory=dict)
    counts: Mapping[str, Indices] = field(default_factory=dict)
    fractions: frozenset[str] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


class GroundTruth(TargetSource, Protocol):
    """What a dataset says of each of its N images: labels, masks and the like. Safe to call from several threads."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the C classes, in the order of their indices; empty where there are none."""
        ...

    @property
    def covers(self) -> Flags:
        """(N,) of which images anything is said; see `Dataset.for_ground_truth`."""
        ...

    @property
    def findings(self) -> GroundTruthFindings:
        """What cannot be read, and what there is to count beyond the images of each class."""
        ...

    def __len__(self) -> int: ...

    def presence(self) -> Flags:
        """(N, C) which classes occur in which images: what splits are stratified by. None where it cannot be read."""
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

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """(N, H, W, 1 or 3) images of a batch with their targets drawn into them; and a few words on each, such as the
        names of classes.
        """
        ...


class Header(NamedTuple):
    """What an image's header says: ``size`` (height, width) of the upright image; ``gray`` where it rules out color;
    and the EXIF ``orientation`` by which it is turned upright, 1 to 8.
    """

    size: tuple[int, int]
    gray: bool
    orientation: int = 1


class EncodedImage(Protocol):
    """An image as it is stored, read once: nothing here reads the file again. Safe to use from several threads."""

    @property
    def digest(self) -> bytes:
        """16 bytes that depend on the stored content alone."""
        ...

    @property
    def header(self) -> Header:
        """What is known without decoding it. Raises `ImageError`."""
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
        return self.open(index).header.size

    def digest(self, index: int) -> bytes:
        """16 bytes that depend on the stored content alone. Raises `ImageError` when the file cannot be opened."""
        return self.open(index).digest


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images read through one of the recognized layouts, with all that the layout says of them.

    ``ground_truths`` has it by kind: `labels`, `masks`, `boxes`. ``given_splits`` maps `train`, `validation` and `test`
    to the indices that the layout itself assigns; it is empty when it assigns none. ``reason`` says by what the layout
    was recognized and what was found, ``notes`` what was left out or not taken, a sentence each; ``annotations`` are
    those image files below the root that the ground truths are read from, ``left_out`` those of which a note speaks;
    ``sources`` are tables and other files below the root that each say what is true of many images.
    """

    root: str
    layout: str
    reason: str
    images: Images
    ground_truths: Mapping[str, GroundTruth]
    given_splits: Mapping[str, Indices]
    notes: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, ground_truth in self.ground_truths.items():
            if len(ground_truth) != len(self.images):
                raise DataError(f"{self.root} has {len(self.images)} images, but {name} for {len(ground_truth)}.")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Indices) -> Dataset:
        """Some of the images with all that is said of them, in the order asked; the given splits stay as far as there
        are two or more of them left.
        """
        parts = {name: np.flatnonzero(np.isin(indices, part)) for name, part in self.given_splits.items()}
        parts = {name: part.astype(np.int64) for name, part in parts.items() if len(part)}
        return replace(
            self,
            images=self.images.take(indices),
            ground_truths={name: each.take(indices) for name, each in self.ground_truths.items()},
            given_splits=parts if len(parts) > 1 else {},
        )

    def for_ground_truth(self, name: str) -> Dataset:
        """The images of which this ground truth says anything. Raises `DataError` where there is none of that name."""
        if name not in self.ground_truths:
            known = ", ".join(self.ground_truths) or "images"
            found = "; ".join((self.reason, *self.notes))
            raise DataError(f"{self.root} has no {name}, only {known} ({found}); give a dataset that has them.")
        covers = self.ground_truths[name].covers
        return self if covers.all() else self.take(np.flatnonzero(covers).astype(np.int64))


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
            raise DataError("The splits overlap: an example is in two of train, validation and test.")


@dataclass(frozen=True)
class Preprocessing:
    """How an image of any size becomes a network's input; stored with the run and used wherever it predicts.

    ``mean`` and ``std`` are per channel, of values between 0 and 1. ``fit`` says how an image of another shape is
    brought to the input size: `crop` keeps its shape and cuts off what is too long, `letterbox` keeps all of it and
    pads with the mean, `stretch` changes its shape; `tiles` keeps its scale, and each input shows a part of it.
    ``permutation`` is the seed of the one by which the pixels of every input change places, None where they stay.
    """

    height: int
    width: int
    channels: int
    fit: Fit
    mean: tuple[float, ...]
    std: tuple[float, ...]
    permutation: int | None = None

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == self.channels:
            raise DataError(f"{self.channels} channels need as many means and standard deviations.")


@dataclass(frozen=True, eq=False)
class Batch:
    """``images`` (N, H, W, C) float32, normalized, with their ``targets``; ``indices`` (N,) of the examples."""

    images: Floats
    targets: Targets
    indices: Indices
