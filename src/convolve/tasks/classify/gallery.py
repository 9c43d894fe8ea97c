"""Which images of a split the report shows, and each of them with its classes and heatmaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convolve.errors import ImageError
from convolve.metrics.confusion import Flags, Fractions
from convolve.reports.image_card import ImageTile
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.classify.heatmaps import Heatmap
from convolve.values import Floats, Images, Indices

Confidence = Floats | Fractions
ClassArray = Indices | Flags
"""(N,) class indices, or (N, C) flags where an image may carry several labels."""


@dataclass(frozen=True)
class Example:
    """An image, a data URI, with the indices of its true and its predicted classes."""

    name: str
    image: str
    true: tuple[int, ...]
    predicted: tuple[int, ...]
    confidence: float
    heatmaps: tuple[Heatmap, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that its images take on the page."""
        return len(self.image) + sum(len(heatmap.layer) for heatmap in self.heatmaps)

    @property
    def cell(self) -> str:
        """Its cell of the confusion matrix, as the page's script calls it."""
        return f"{self.true[0]}-{self.predicted[0]}"

    @property
    def tile(self) -> ImageTile:
        """The image as it is."""
        return ImageTile(self.name)

    def heatmap_tiles(self, names: Sequence[str]) -> list[ImageTile]:
        """The image below the heatmap of each class, called by its name, true classes in blue."""
        return [
            ImageTile(
                alt=f"heatmap for {names[heatmap.class_index]}",
                caption=names[heatmap.class_index],
                heatmap=heatmap.layer,
                tone="right" if heatmap.class_index in self.true else "wrong",
            )
            for heatmap in self.heatmaps
        ]


@dataclass(frozen=True)
class Selection:
    """The images that a report shows of N: those of the ``cells`` of the confusion matrix, by cell and then by
    confidence, and the worst ``mistakes``, as indices.
    """

    true: ClassArray
    predicted: ClassArray
    scores: Floats
    cells: Indices
    mistakes: Indices

    @classmethod
    def of(cls, targets: npt.NDArray[np.generic], scores: Floats) -> Selection:
        """Selected from targets, (N,) class indices or (N, C) flags, and the probabilities (N, C) of every class."""
        confidence = scores.max(1)
        if targets.ndim == 2:
            flags, found = targets.astype(bool), scores >= 0.5
            return cls(flags, found, scores, np.zeros(0, np.int64), worst_mistakes(flags, found, confidence))
        true, best = targets.astype(np.int64), scores.argmax(1)
        cells = select_for_cells(true, best, confidence)
        return cls(true, best, scores, cells, worst_mistakes(true, best, confidence))

    def heatmap_classes(self) -> dict[int, tuple[int, ...]]:
        """By image, the classes whose heatmaps it shows, the most important image first: the worst mistakes, then the
        first image of every cell, wrong cells before correct ones, then the second.

        They are the predicted and the true class; of several labels the most confident wrong and missed ones.
        """
        counts, turns = Counter[tuple[int, int]](), []
        for index in self.cells.tolist():
            cell = int(self.true[index]), int(self.predicted[index])
            turns.append((counts[cell], cell[0] == cell[1], index))
            counts[cell] += 1
        order = dict.fromkeys([*self.mistakes.tolist(), *(index for _, _, index in sorted(turns))])
        return {index: self._heatmap_classes(index) for index in order}

    def _heatmap_classes(self, index: int) -> tuple[int, ...]:
        true, predicted = self.true[index], self.predicted[index]
        if self.true.ndim == 1:
            return tuple(dict.fromkeys((int(predicted), int(true))))
        errors = predicted & ~true, true & ~predicted
        return tuple(int(np.where(flags, self.scores[index], -1).argmax()) for flags in errors if flags.any())

    def examples(
        self, images: Images, indices: Indices, heatmaps: Mapping[int, tuple[Heatmap, ...]], side: int
    ) -> tuple[Example, ...]:
        """Some of the images, read and made small; one that cannot be read is left out."""
        found: list[Example] = []
        for index in indices.tolist():
            with suppress(ImageError):
                image = thumbnail(images.read(index, at_least=side), side)
                classes = class_indices(self.true[index]), class_indices(self.predicted[index])
                confidence = float(self.scores[index].max())
                found.append(Example(images.name(index), image, *classes, confidence, heatmaps.get(index, ())))
        return tuple(found)


def select_for_cells(
    true: Indices, predicted: Indices, confidence: Confidence, per_cell: int = 12, total: int = 600
) -> Indices:
    """Which of N images to show for a confusion matrix: at most ``per_cell`` of a cell, ``total`` in all.

    Cells share the total by how many images they hold, as parties share seats (Sainte-Lague), a correct cell as if it
    held two; in a cell the most confident go first. Returns their indices, by cell and then confidence.
    """
    _, cells, counts = np.unique(np.stack([true, predicted]), axis=1, return_inverse=True, return_counts=True)
    order = np.lexsort((-confidence, cells))
    sizes = counts[cells[order]]
    turn = np.arange(len(order)) - (np.cumsum(counts) - counts)[cells[order]]
    by_seat = np.argsort((turn + 0.5) / np.where((true == predicted)[order], 2, sizes), kind="stable")
    selected = by_seat[turn[by_seat] < per_cell][:total]
    return np.asarray(order[np.sort(selected)], dtype=np.int64)


def worst_mistakes(true: ClassArray, predicted: ClassArray, confidence: Confidence, count: int = 24) -> Indices:
    """The indices of the wrong predictions among N, most confident first."""
    wrong = np.flatnonzero((true != predicted).reshape(len(true), -1).any(axis=1))
    return np.asarray(wrong[np.argsort(-confidence[wrong], kind="stable")][:count], dtype=np.int64)


def limit_bytes(examples: tuple[Example, ...], size: int) -> tuple[Example, ...]:
    """The first examples whose images take no more than ``size`` bytes together."""
    totals = np.cumsum([example.size for example in examples])
    return examples[: int(np.searchsorted(totals, size, side="right"))]


def class_indices(answer: npt.NDArray[np.generic]) -> tuple[int, ...]:
    """One image's classes, a class index or flags (C,), as indices."""
    return tuple(np.flatnonzero(answer).tolist()) if answer.ndim else (int(answer),)
