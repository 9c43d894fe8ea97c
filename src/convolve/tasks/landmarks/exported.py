"""What an exported network for landmarks finds, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from convolve.datasets.crops import ImagePart, decode_whole, part_of
from convolve.datasets.images import to_channels
from convolve.datasets.point_sets import PointSet, parse_point_set
from convolve.datasets.points import PointArray
from convolve.datasets.preprocess import least_side
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.exported_task import ExportedTask
from convolve.tasks.landmarks.options import INFO, LandmarkPredictOptions
from convolve.tasks.landmarks.prediction import PointPrediction, PointPredictions
from convolve.values import Dataset, Images

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.landmarks.evaluation import Evaluation

USAGE = (
    'for name, (x, y) in zip(classes, found["points"][0]):',
    '    print(f"{name} {x:.1f} {y:.1f}")',
)


@final
@dataclass(frozen=True)
class ExportedLandmarks(ExportedTask):
    """A network whose graph gives the points of a ``point_set`` in the image; ``sure`` where it says how sure it is."""

    point_set: PointSet
    sure: bool

    info = INFO
    usage = USAGE
    monitored = "mean_pck"

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedLandmarks:
        """From the points of its state."""
        return cls(card, parse_point_set(card.state), bool(card.state["has_heatmaps"]))

    def predictor(self, options: LandmarkPredictOptions, outputs: Collection[str]) -> ExportedPointPredictor:
        """How the points of images of any size are found."""
        del outputs
        return ExportedPointPredictor(self, options)

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset, whose points must be those of the export. Raises `DataError` where it has others."""
        from convolve.datasets.points import conform_points

        return conform_points(dataset, self.point_set)

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of a split, in the images' own pixels."""
        from convolve.tasks.landmarks.evaluation import measure_points

        every = list(found)
        points = np.stack([points_in_image(one) for one in every])
        sure = np.stack([one.outputs["confidence"].astype(np.float64) for one in every])
        return measure_points(split, dataset, np.array([one.index for one in every], dtype=np.int64), points, sure)

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The errors of each point, and the worst images."""
        from convolve.tasks.landmarks.report import report_sections

        return report_sections(evaluation, dataset)


@final
class ExportedPointPredictor(PointPredictions):
    """Predicts images as a whole, and writes the files."""

    def __init__(self, task: ExportedLandmarks, options: LandmarkPredictOptions) -> None:
        super().__init__(task.point_set, options)
        self._card, self._sure = task.card, task.sure

    def read(self, images: Images, index: int) -> ReadImage:
        """An image, also at full size where it is drawn. Raises `ImageError`."""
        encoded = images.open(index)
        pixels = to_channels(encoded.decode(least_side(self._card.input)), self._card.input.channels)
        whole = decode_whole(encoded) if self._options.out else None
        return ReadImage(pixels, encoded.header.size, whole, part_of(images, index, encoded))

    def predict(self, name: str, found: FoundInImage) -> PointPrediction:
        """From the points that left the network."""
        sure = found.outputs["confidence"].astype(np.float32) if self._sure else None
        part = found.image.part or ImagePart(name, found.image.size)
        return self.describe(name, part, points_in_image(found), sure, found.image.whole)


EXPORTED = ExportedLandmarks


def points_in_image(found: FoundInImage) -> PointArray:
    """(P, 2) in the pixels of the image itself, which the network may have seen smaller."""
    (height, width), seen = found.image.size, found.image.pixels.shape
    scaled: PointArray = found.outputs["points"].astype(np.float64) * [width / seen[1], height / seen[0]]
    return scaled
