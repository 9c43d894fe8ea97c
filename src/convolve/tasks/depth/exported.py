"""What an exported network for depth predicts, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from convolve.datasets.images import to_channels
from convolve.errors import ImageError
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.depth.options import INFO, DepthPredictOptions
from convolve.tasks.depth.prediction import DepthPrediction, DepthPredictions, restore_state
from convolve.tasks.exported_task import ExportedTask
from convolve.values import Dataset, Floats, Images

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.depth.evaluation import Evaluation

DEPTH = "depth"
"""The name of what leaves the graph."""
USAGE = (
    'depth = found["depth"][0]',
    'print(f"from {depth.min():.2f} to {depth.max():.2f} m, median {np.median(depth):.2f} m")',
)


@final
@dataclass(frozen=True)
class ExportedDepth(ExportedTask):
    """A network whose graph gives the depth of each pixel of the image in meters."""

    center: float = 1.0
    per_meter: float = 1.0

    info = INFO
    usage = USAGE
    monitored = "delta1"

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedDepth:
        """From the median depth and the unit of files."""
        return cls(card, *restore_state(card.state))

    def predictor(self, options: DepthPredictOptions, outputs: Collection[str]) -> ExportedDepthPredictor:
        """How the depth of images of any size is found."""
        del outputs
        return ExportedDepthPredictor(self, options)

    def read(self, images: Images, index: int) -> ReadImage:
        """An image at full size. Raises `ImageError`."""
        return _read_whole(images, index, self.card)

    def conform(self, dataset: Dataset) -> Dataset:
        """Any depth maps."""
        return dataset

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of whole images at their own size."""
        from convolve.tasks.depth.evaluation import measure_depths

        return measure_depths(split, self.center, dataset.images.name, _with_targets(dataset, found))

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those of a constant, and the error by distance."""
        from convolve.tasks.depth.report import headlines, plain_sections

        del dataset
        return headlines(evaluation), plain_sections(evaluation)


@final
class ExportedDepthPredictor(DepthPredictions):
    """Predicts images whole and at their own size, and writes the files."""

    def __init__(self, task: ExportedDepth, options: DepthPredictOptions) -> None:
        super().__init__(task.per_meter, options)
        self._card = task.card

    def read(self, images: Images, index: int) -> ReadImage:
        """An image at full size. Raises `ImageError`."""
        return _read_whole(images, index, self._card)

    def predict(self, name: str, found: FoundInImage) -> DepthPrediction:
        """From the depth of each pixel."""
        return self.describe(name, found.image.pixels, np.asarray(found.outputs[DEPTH], np.float32))


EXPORTED = ExportedDepth


def _read_whole(images: Images, index: int, card: ExportCard) -> ReadImage:
    pixels = to_channels(images.read(index), card.input.channels)
    return ReadImage(pixels, (pixels.shape[0], pixels.shape[1]))


def _with_targets(dataset: Dataset, found: Iterable[FoundInImage]) -> Iterator[tuple[int, Floats, Floats]]:
    """The index of each image, its true depth and what is predicted; images whose map cannot be read are left out."""
    for one in found:
        try:
            target = dataset.ground_truths["depth"].read(one.index)  # type: ignore[attr-defined]
        except ImageError:
            continue
        yield one.index, target, np.asarray(one.outputs[DEPTH], np.float32)
