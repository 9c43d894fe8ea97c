"""Batches of normalized images, epoch by epoch; every random draw is a function of (seed, epoch, batch number)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np

from convolve.datasets.augment import apply_transforms, draw_transforms, input_sizes, noise_table, principal_axes
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.cache import PixelSource
from convolve.datasets.mosaic import PARTS, draw_mosaic, put_together
from convolve.datasets.parallel import in_order, one_thread_each
from convolve.datasets.preprocess import box_matrices, normalize, source_boxes, warp
from convolve.errors import ChangedImageError, DataError, ImageError
from convolve.progress import Listener
from convolve.values import Batch, Floats, Indices, Matrices, Pixels, Placement, Preprocessing, TargetSource

_ORDER = 2**64 - 1  # the batch number whose draws shuffle an epoch
_TABLE = 2**64 - 2  # the batch number whose draws fill the noise table
_IDENTITY = np.eye(2, 3)  # the matrix of pixels that have the input size already
_SIZE = 2**64 - 3  # the batch number whose draws choose the input's size for several batches
_SAME_SIZE = 10  # batches
_MOSAIC = 2**64 - 4  # the batch number whose draws put images together
_SAMPLE = 64  # images from which the principal axes of color are derived


@final
@dataclass(frozen=True, eq=False)
class Examples:
    """What batches are made of: the pixels of examples and their targets.

    The examples of image i are ``first[i]`` to ``first[i + 1]``; without ``first`` (images + 1,) every image is one.
    Where something about images takes long and is stored for later, ``precompute`` does so for some images and says how
    far it is; without it, that happens while batches are made.
    """

    source: PixelSource
    targets: TargetSource
    first: Indices | None = None
    precompute: Callable[[Indices, Listener], None] | None = None

    def of(self, images: Indices) -> Indices:
        """(M,) the examples of some images, image after image."""
        if self.first is None:
            return images
        counts = self.first[images + 1] - self.first[images]
        before = np.cumsum(counts) - counts
        return np.asarray(np.arange(counts.sum()) + np.repeat(self.first[images] - before, counts), dtype=np.int64)


@final
@dataclass(frozen=True, eq=False)
class Groups:
    """Which group each of N examples belongs to, ``values`` (N,), and how many of one follow one another in a batch."""

    values: Indices
    together: int


@dataclass(frozen=True)
class BatchOptions:
    """How examples become batches.

    Of a ``sampler``, weights (one per index) draw examples in proportion, with repetition, as many as there are; of
    groups, so many examples of one follow one another, those of a small group several times.
    ``workers`` threads prepare batches ahead, unless a batch is no more than a slice of an array; 0 prepares each when
    it is asked for. ``drop_last`` leaves out an incomplete last batch, unless it is the only one. Augmented images are
    not to ``reflect`` beyond their edges where the targets know nothing of what a reflection shows. Images that are
    not augmented are moved in the input by ``shift``, pixels to the right and down.
    """

    preprocessing: Preprocessing
    batch: int
    seed: int
    shuffle: bool
    augmentation: Augmentation | None = None
    sampler: Floats | Groups | None = None
    workers: int = 2
    drop_last: bool = False
    reflect: bool = True
    shift: tuple[int, int] = (0, 0)


@final
class Batches:
    """The examples ``indices`` of a source, in batches; images that cannot be read are left out."""

    def __init__(self, source: PixelSource, targets: TargetSource, indices: Indices, options: BatchOptions) -> None:
        """Raises `DataError` when no readable example is left."""
        usable = np.array([index not in source.failed for index in indices.tolist()], dtype=bool)
        if not usable.any():
            raise DataError("None of the images to train or measure on can be read; `convolve data` says why.")
        self.preprocessing = options.preprocessing
        self.augmented = options.augmentation is not None
        self._indices: Indices = indices[usable]
        self._weights = options.sampler[usable].astype(np.float64) if isinstance(options.sampler, np.ndarray) else None
        self._groups = options.sampler if isinstance(options.sampler, Groups) else None
        self._members = self._groups.values[usable] if self._groups else self._indices[:0]
        self.targets: TargetSource = targets
        self._source, self._options = source, options
        size = (options.preprocessing.height, options.preprocessing.width)
        whole = source.whole
        moved = options.augmentation is not None or options.shift != (0, 0)
        self._sliced = whole is not None and whole.shape[1:3] == size and not moved
        self._axes = np.zeros((options.preprocessing.channels, options.preprocessing.channels))
        if options.augmentation and options.augmentation.pca:
            some = np.unique(np.linspace(0, len(self._indices) - 1, _SAMPLE).astype(np.int64))
            self._axes = principal_axes(self._read(self._indices[some])[1])
        change = options.augmentation.multi_scale if options.augmentation else None
        self._inputs = input_sizes(change, options.preprocessing) if change else [options.preprocessing]
        noise = options.augmentation.noise if options.augmentation else None
        self._noise = noise_table(noise, self._inputs[-1], self._random(0, _TABLE)) if noise else None

    def shifted(self, x: int, y: int) -> Batches:
        """The same images, not augmented and in the same order, ``x`` pixels of the input further right and ``y``
        further down; beyond their edges as augmentation has them.
        """
        options = replace(self._options, augmentation=None, shift=(x, y))
        return Batches(self._source, self.targets, self._indices, options)

    def __len__(self) -> int:
        """Steps per epoch."""
        size, count = self._options.batch, len(self._indices)
        return max(1, count // size) if self._options.drop_last else -(-count // size)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        """Yield one epoch's batches from the ``start``-th on: the same ones whatever came before, however many workers
        there are. Close the generator when leaving early. Raises `DataError` when no image of a batch can be read, and
        `ChangedImageError` for one that is another one than before.
        """
        make = partial(self._make, self.order(number), number)
        if self._sliced:
            yield from map(make, range(start, len(self)))
            return
        with one_thread_each():
            yield from in_order(make, range(start, len(self)), self._options.workers)

    def placement(self, indices: Indices) -> Placement:
        """Where readable examples are in the input, if nothing is augmented. Raises `DataError` and `ImageError`."""
        readable, pixels = self._read(indices)
        if len(readable) < len(indices):
            raise DataError("An image of a batch can no longer be read; `convolve data` says why.")
        sizes = np.array([image.shape[:2] for image in pixels], dtype=np.int64)
        preprocessing = self._options.preprocessing
        if self._sliced:
            return Placement(np.broadcast_to(_IDENTITY, (len(pixels), 2, 3)), sizes, preprocessing)
        return Placement(box_matrices(source_boxes(sizes, preprocessing), preprocessing), sizes, preprocessing)

    def order(self, epoch: int) -> list[Indices]:
        """The indices of each batch of an epoch."""
        size, drawn = self._options.batch, self._indices
        if self._weights is not None:
            probabilities = self._weights / self._weights.sum()
            drawn = self._random(epoch, _ORDER).choice(self._indices, len(self._indices), p=probabilities)
        elif self._groups is not None:
            drawn = self._draw_groups(self._groups.together, self._random(epoch, _ORDER))
        elif self._options.shuffle:
            drawn = self._random(epoch, _ORDER).permutation(self._indices)
        return [drawn[number * size : (number + 1) * size] for number in range(len(self))]

    def _draw_groups(self, together: int, random: np.random.Generator) -> Indices:
        """As many as there are: rows of ``together`` examples of one group, in random order. A group's examples are all
        used before one of them is used again.
        """
        rows = []
        for group in np.unique(self._members):
            own = random.permutation(self._indices[self._members == group])
            rows.append(np.resize(own, -(-len(own) // together) * together).reshape(-1, together))
        drawn: Indices = random.permutation(np.concatenate(rows)).reshape(-1)[: len(self._indices)]
        return drawn

    def _make(self, order: Sequence[Indices], epoch: int, number: int) -> Batch:
        """Read one batch's images and bring them, and their targets by the same matrices, to the network's input."""
        preprocessing = self._inputs[0] if len(self._inputs) == 1 else self._draw_input(epoch, number)
        augmentation = self._options.augmentation
        if augmentation and augmentation.mosaic:
            random = self._random(epoch * len(self) + number, _MOSAIC)
            if random.random() < augmentation.mosaic:
                return self._make_mosaic(order[number], preprocessing, random)
        indices, pixels = self._read(order[number])
        sizes = np.array([image.shape[:2] for image in pixels], dtype=np.int64)
        if self._sliced:
            images = normalize(np.asarray(pixels), preprocessing)
            matrices: Matrices = np.broadcast_to(_IDENTITY, (len(pixels), 2, 3))
        elif augmentation is None:
            matrices = box_matrices(source_boxes(sizes, preprocessing), preprocessing)
            matrices[:, :, 2] += self._options.shift
            images = normalize(warp(pixels, matrices, preprocessing), preprocessing)
        else:
            random = self._random(epoch, number)
            transforms = draw_transforms(augmentation, sizes, preprocessing, self._axes, random)
            images = apply_transforms(transforms, pixels, preprocessing, self._noise, self._options.reflect)
            matrices = transforms.matrices
        return Batch(images, self.targets.targets(indices, Placement(matrices, sizes, preprocessing)), indices)

    def _make_mosaic(self, first: Indices, preprocessing: Preprocessing, random: np.random.Generator) -> Batch:
        """Images of which each is put together from one of the batch and three others of the split. Raises `DataError`
        where their targets cannot be.
        """
        groups = np.concatenate([first[:, None], random.choice(self._indices, (len(first), PARTS - 1))], axis=1)
        readable, found = self._read(np.unique(groups))
        pixels = dict(zip(readable.tolist(), found, strict=True))
        groups = groups[np.isin(groups, readable).all(1)]
        if not len(groups):
            raise DataError(f"Of each {PARTS} images of a mosaic one cannot be read; leave out --mosaic.")
        images = [pixels[index] for index in groups.reshape(-1).tolist()]
        sizes = np.array([image.shape[:2] for image in images], dtype=np.int64)
        mosaic = draw_mosaic(len(groups), preprocessing, random)
        augmentation = self._options.augmentation or Augmentation()
        transforms = draw_transforms(augmentation, sizes, preprocessing, self._axes, random)
        transforms = replace(transforms, matrices=mosaic.move(transforms.matrices))
        parts = apply_transforms(transforms, images, preprocessing, self._noise, self._options.reflect)
        placement = Placement(transforms.matrices, sizes, preprocessing, mosaic.regions)
        targets = self.targets.targets(groups.reshape(-1), placement)
        if len(targets) != len(groups):
            raise DataError("What is known of whole images does not describe a mosaic of four; leave out --mosaic.")
        return Batch(put_together(parts, mosaic.regions), targets, groups[:, 0])

    def _draw_input(self, epoch: int, number: int) -> Preprocessing:
        """That of a batch: each size stays for some batches."""
        random = self._random((epoch * len(self) + number) // _SAME_SIZE, _SIZE)
        return self._inputs[int(random.integers(len(self._inputs)))]

    def _read(self, indices: Indices) -> tuple[Indices, list[Pixels] | Pixels]:
        """The pixels of those that can be read: as one array where the source is one."""
        if self._source.whole is not None:
            return indices, self._source.whole.take(indices, axis=0)
        found: dict[int, Pixels] = {}
        for position, index in enumerate(indices.tolist()):
            try:
                found[position] = self._source.get(index)
            except ChangedImageError:
                raise
            except ImageError:  # `failed` has the reason
                continue
        if not found:
            raise DataError(f"None of the {len(indices)} images of a batch can be read; `convolve data` says why.")
        readable: Indices = indices[list(found)]
        return readable, list(found.values())

    def _random(self, epoch: int, number: int) -> np.random.Generator:
        """A stream of its own for each (seed, epoch, batch)."""
        key = self._options.seed % 2**64 + (epoch << 64)
        return np.random.Generator(np.random.Philox(key=key, counter=number << 192))
