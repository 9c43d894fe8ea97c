"""What an exported network for a style makes of images, and how good that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_to_input
from convolve.errors import ImageError
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.exported_task import ExportedTask
from convolve.tasks.style.options import INFO, StylePredictOptions
from convolve.tasks.style.prediction import StylizedFiles, StylizedImage
from convolve.tasks.style.tiles import TILE, Tile, cut, join, reflect
from convolve.values import Dataset, Floats, Images, Pixels

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.style.evaluation import Evaluation

OUTPUT = "stylized"
USAGE = (
    'stylized = found["stylized"][0].round().clip(0, 255).astype(np.uint8)',
    'Image.fromarray(stylized).save("stylized.png")',
)
MOST_PIXELS = 2**22
"""Of an image that goes through the network whole, as instance normalization needs it."""


@final
@dataclass(frozen=True)
class Tiling:
    """How images go through a network that takes sides of ``least`` pixels and more and has a ``stride``: in tiles,
    each read with a ``margin`` of pixels, or, where that is None, whole.
    """

    least: int
    stride: int
    margin: int | None

    def cut(self, image: Pixels) -> ReadImage:
        """(H, W, 3) as the network is given it."""
        pixels = reflect(image, self.least)
        areas = tuple(tile.read for tile in self._tiles(pixels))
        return ReadImage(pixels, (image.shape[0], image.shape[1]), areas=areas)

    def join(self, image: ReadImage, stylized: Iterable[Floats]) -> Pixels:
        """The image in the style, from the levels that the network made of its areas."""
        height, width = image.size
        return join(self._tiles(image.pixels), map(levels_to_pixels, stylized))[:height, :width]

    def _tiles(self, pixels: Pixels) -> tuple[Tile, ...]:
        size = (pixels.shape[0], pixels.shape[1])
        return cut(size, max(size) if self.margin is None else TILE, self.stride, self.margin or 0)


def levels_to_pixels(levels: Floats) -> Pixels:
    """What leaves the network for an image, in 8 bits."""
    return np.asarray(levels.round().clip(0, 255), np.uint8)


@final
@dataclass(frozen=True)
class ExportedStyle(ExportedTask):
    """A network whose graph gives the image in the style; ``tiling`` says how images go through it."""

    tiling: Tiling

    info = INFO
    monitored = "loss_removed"
    usage = USAGE

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedStyle:
        """From the sizes that the network needs."""
        least, stride, margin = (card.state[name] for name in ("least", "stride", "margin"))
        if not all(type(each) is int and each > 0 for each in (least, stride, margin or 1)):
            raise ValueError("its sizes are no numbers of pixels")
        return cls(card, Tiling(least, stride, margin))

    def predictor(self, options: StylePredictOptions, outputs: Collection[str]) -> ExportedImagePredictor:
        """How images of any size get the style. Raises `OptionError` without a folder to write to."""
        del outputs
        return ExportedImagePredictor(self, options)

    def read(self, images: Images, index: int) -> ReadImage:
        """An image at the size of the network's input. Raises `ImageError`."""
        image = images.read(index)
        return ReadImage(fit_to_input(image, self.card.input), (image.shape[0], image.shape[1]))

    def conform(self, dataset: Dataset) -> Dataset:
        """Any images."""
        return dataset

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """The losses, by the loss network of the run. Raises `RunError` where it, or the style image, is not what the
        run has learned by.
        """
        from convolve.tasks.style.evaluation import measure_images
        from convolve.tasks.style.loss_source import parse_source

        loss = parse_source(self.card.state["source"]).open()
        stylized = ((one.index, one.image.pixels, levels_to_pixels(one.outputs[OUTPUT])) for one in found)
        return measure_images(split, dataset.images, loss, stylized)

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The losses next to those of the photographs as they are."""
        from convolve.tasks.style.report import headlines, loss_section

        del dataset
        return headlines(evaluation), (loss_section(evaluation),)


@final
class ExportedImagePredictor(StylizedFiles):
    """Gives image after image the style, and writes the files."""

    def __init__(self, task: ExportedStyle, options: StylePredictOptions) -> None:
        super().__init__(options)
        self._tiling = task.tiling

    def read(self, images: Images, index: int) -> ReadImage:
        """(H, W, 3) at full size. Raises `ImageError`, also for an image that is too large to go through whole."""
        image = images.read(index)
        height, width = image.shape[:2]
        if self._tiling.margin is None and height * width > MOST_PIXELS:
            raise ImageError(
                f"{images.name(index)} has {width}x{height} pixels, and the network takes an image whole, of at most "
                f"{MOST_PIXELS:,} pixels; use the run itself, which takes it in tiles, or make the image smaller."
            )
        return self._tiling.cut(to_channels(image, 3))

    def predict(self, name: str, found: FoundInImage) -> StylizedImage:
        """The image in the style."""
        return self.write(name, self._tiling.join(found.image, [outputs[OUTPUT] for outputs in found.areas]))


EXPORTED = ExportedStyle
