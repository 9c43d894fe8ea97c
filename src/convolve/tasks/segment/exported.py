"""What an exported segmentation network predicts, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

import cv2
import numpy as np

from convolve.datasets.images import to_channels
from convolve.errors import ExportError, ImageError, OptionError
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.exported_task import ExportedTask
from convolve.tasks.segment.options import INFO, SegmentPredictOptions
from convolve.tasks.segment.prediction import MaskPrediction, MaskPredictions
from convolve.tasks.segment.view_size import most_at_once, view_pixels
from convolve.values import IGNORE, Color, Dataset, Images, Pixels

if TYPE_CHECKING:
    from convolve.datasets.masks import Masks
    from convolve.reports.report import Headline, Section
    from convolve.tasks.segment.evaluation import Evaluation

USAGE = (
    'mask = found["classes"][0]',
    "for index in np.unique(mask):",
    '    print(f"{classes[index]} {(mask == index).mean():.1%} of the pixels")',
)
_CLASSES, _CONFIDENCE = "classes", "confidence"


@final
@dataclass(frozen=True)
class ExportedSegmentation(ExportedTask):
    """A network whose graph gives the class of each pixel of the image; ``colors`` are those of the classes."""

    colors: tuple[Color, ...] = ()

    info = INFO
    usage = USAGE
    monitored = "mean_iou"

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedSegmentation:
        """From the classes and their colors."""
        colors = tuple((red, green, blue) for red, green, blue in card.state["colors"])
        if not all(type(value) is int and 0 <= value <= 255 for color in colors for value in color):
            raise ValueError("colors are no numbers from 0 to 255")
        if not 0 < len(card.classes) <= IGNORE or len(colors) != len(card.classes):
            raise ValueError(f"it has not from 1 to {IGNORE} classes, each with a color")
        return cls(card, colors)

    def predictor(self, options: SegmentPredictOptions, outputs: Collection[str]) -> ExportedMaskPredictor:
        """How images of any size are segmented. Raises `OptionError` for a threshold that nothing can be held to."""
        if options.threshold is not None and _CONFIDENCE not in outputs:
            raise OptionError("This export gives no confidence of its pixels; omit --threshold.")
        return ExportedMaskPredictor(self, options)

    def read(self, images: Images, index: int) -> ReadImage:
        """An image at full size. Raises `ImageError`, and `ExportError` for one that the run would cut into tiles."""
        image = _read_whole(images, index, self.card)
        if reason := _too_large(image, self.card):
            raise ExportError(f"{images.name(index)} {reason}")
        return image

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this network's classes. Raises `DataError` when it has others."""
        from convolve.tasks.classes import conform

        return conform(dataset, "masks", self.card.classes)

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of whole images at the size of their masks."""
        from convolve.tasks.segment.evaluation import measure_masks

        masks = cast("Masks", dataset.ground_truths[INFO.ground_truth])
        return measure_masks(self.card.classes, split, _with_targets(masks, found))

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Confusion matrix, worst images, metrics of each class."""
        from convolve.tasks.segment.report import headlines, plain_sections

        return headlines(evaluation), plain_sections(evaluation, dataset, self.colors)


@final
class ExportedMaskPredictor(MaskPredictions):
    """Predicts images whole and at their own size, and writes the files."""

    def __init__(self, task: ExportedSegmentation, options: SegmentPredictOptions) -> None:
        super().__init__(task.card.classes, task.colors, options)
        self._card = task.card

    def read(self, images: Images, index: int) -> ReadImage:
        """An image at full size. Raises `ImageError`, also for one that the run would cut into tiles."""
        image = _read_whole(images, index, self._card)
        if reason := _too_large(image, self._card):
            raise ImageError(f"{images.name(index)} {reason}")
        return image

    def predict(self, name: str, found: FoundInImage) -> MaskPrediction:
        """From the class of each pixel, which is ignored where its confidence is below the threshold."""
        mask = _mask(found)
        if self._options.threshold is not None:
            mask[found.outputs[_CONFIDENCE] < self._options.threshold] = IGNORE
        return self.describe(name, found.image.pixels, mask)


EXPORTED = ExportedSegmentation


def _read_whole(images: Images, index: int, card: ExportCard) -> ReadImage:
    pixels = to_channels(images.read(index), card.input.channels)
    return ReadImage(pixels, (pixels.shape[0], pixels.shape[1]))


def _too_large(image: ReadImage, card: ExportCard) -> str:
    """Why an image is left to the run: this would blend it from tiles, and nothing so large has been compared with it.
    Else nothing.
    """
    height, width = image.size
    most = max(most_at_once(card.input), card.parity.get("view_pixels", 0))
    if card.input.fit not in ("crop", "tiles") or view_pixels(height, width, card.input) <= most:
        return ""
    return (
        f"has {width}x{height} pixels, which the run cuts into tiles and the export cannot; use the run itself, or "
        "make the image smaller."
    )


def _mask(found: FoundInImage) -> Pixels:
    return np.array(found.outputs[_CLASSES], dtype=np.uint8)


def _with_targets(masks: Masks, found: Iterable[FoundInImage]) -> Iterator[tuple[int, Pixels, Pixels]]:
    """The index of each image, its mask, and what is predicted, at the mask's size; an image whose mask cannot be read
    is left out.
    """
    for one in found:
        try:
            target = masks.read(one.index)
        except ImageError:
            continue
        predicted = _mask(one)
        if predicted.shape != target.shape:
            size = (target.shape[1], target.shape[0])
            predicted = np.asarray(cv2.resize(predicted, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        yield one.index, target, predicted
