"""What an exported localization network predicts, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.metrics.boxes import BoxArray
from convolve.tasks.exported_task import ExportedTask, read_small
from convolve.tasks.localize.options import INFO, LocalizePredictOptions
from convolve.tasks.localize.prediction import LocalizationPrediction, LocalizationPredictions
from convolve.values import Dataset, Floats, Images

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.localize.evaluation import Evaluation

USAGE = (
    'index = found["probabilities"][0].argmax()',
    "print(f\"{classes[index]} {found['probabilities'][0, index]:.1%}\")",
    'print(*found["boxes"][0].round().astype(int))  # left, top, right, bottom',
)


@final
@dataclass(frozen=True)
class ExportedLocalization(ExportedTask):
    """A localization network whose graph gives probabilities, and the box in pixels of the image that it is given."""

    info = INFO
    monitored = "localization_accuracy"
    usage = USAGE

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedLocalization:
        """From the classes."""
        if not card.classes:
            raise ValueError("it has no names of classes")
        return cls(card)

    def predictor(self, options: LocalizePredictOptions, outputs: Collection[str]) -> ExportedLocalizationPredictor:
        """How the object of images of any size is found."""
        del outputs
        return ExportedLocalizationPredictor(self, options)

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this network's classes, and one object for each image. Raises `DataError`."""
        from convolve.tasks.classes import conform
        from convolve.tasks.localize.objects import with_one_object

        return with_one_object(conform(dataset, "boxes", self.card.classes))

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of a split, in the images' own pixels."""
        from convolve.tasks.localize.evaluation import summarize

        rows = [(one.index, *answer_in_image(one)) for one in found]
        indices = np.array([index for index, _, _ in rows], dtype=np.int64)
        columns = np.stack([scores for _, scores, _ in rows]), np.stack([box for _, _, box in rows])
        return summarize(self.card.classes, split, dataset, indices, columns)

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """As `Localize.report`."""
        from convolve.tasks.localize.report import headlines, report_sections

        return headlines(evaluation), report_sections(evaluation, dataset)


@final
class ExportedLocalizationPredictor(LocalizationPredictions):
    """Predicts images, and writes the files."""

    def __init__(self, task: ExportedLocalization, options: LocalizePredictOptions) -> None:
        super().__init__(task.card.classes, options)
        self._card = task.card

    def read(self, images: Images, index: int) -> ReadImage:
        """An image, also at full size where it is drawn. Raises `ImageError`."""
        small = read_small(images, index, self._card)
        if not self._options.out:
            return small
        whole = images.read(index)
        return ReadImage(small.pixels, (whole.shape[0], whole.shape[1]), whole)

    def predict(self, name: str, found: FoundInImage) -> LocalizationPrediction:
        """From the probabilities and the box."""
        return self.describe(name, found.image.size, answer_in_image(found), found.image.whole)


EXPORTED = ExportedLocalization


def answer_in_image(found: FoundInImage) -> tuple[Floats, BoxArray]:
    """The probabilities (C,), and the box (4,) in the pixels of the image itself, which the network may have been given
    at a smaller size.
    """
    height, width = found.image.size
    scales = np.array([width / found.image.pixels.shape[1], height / found.image.pixels.shape[0]] * 2)
    return found.outputs["probabilities"], found.outputs["boxes"].astype(np.float64) * scales
