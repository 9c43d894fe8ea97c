"""A network for a style as a graph that gives the image in that style, and how it is held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_to_input
from convolve.errors import ImageError
from convolve.interop.exportable import Exportable, ExportedNetwork
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.style.evaluation import Evaluation, measure_images
from convolve.tasks.style.exported import MOST_PIXELS, OUTPUT, USAGE, Tiling, levels_to_pixels
from convolve.tasks.style.instance_statistics import normalizes_each_image
from convolve.tasks.style.stylization import margin_around, stride_of, stylize
from convolve.tasks.style.tiles import TILE
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.style.task import Style

COMPARED = 1024
"""Pixels of the sides of an image, its middle, on which an export is held against the run."""
_CLOSE = 1
"""Gray levels by which a value may differ from the run's and count as the same."""


@final
class StyleExport:
    """A network for a style to be exported, and held against how the ``runtime`` runs it, in fp32: in bfloat16 its own
    values would be a few gray levels apart. Where it normalizes each image by its own statistics, both take it whole.
    """

    class_metric = ""

    def __init__(self, task: Style, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._task, self._preprocessing = task, preprocessing
        self._runtime = replace(runtime, precision="fp32")
        network, least = task.network, task.network.card.minimum
        whole = normalizes_each_image(network)
        self._tiling = Tiling(least, stride_of(network), None if whole else margin_around(network, TILE))

        def finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
            del view
            levels = steps.do.multiply(outputs[0], steps.do.floats([255.0], (1, 1, 1, 1)))
            return {OUTPUT: steps.do.transpose(levels, (0, 2, 3, 1))}

        self.part = Exportable(
            network,
            finish,
            USAGE,
            any_size=True,
            own_size=True,
            notes=tuple(_notes(least, whole)),
            state={"least": least, "stride": self._tiling.stride, "margin": self._tiling.margin},
            apply=self._apply,
            measure=self._measure,
        )

    def predict(self, images: Images, index: int) -> Pixels:
        """The image in the style, of a large one the middle."""
        tile = COMPARED if self._tiling.margin is None else TILE
        return stylize(_middle(images.read(index)), self._task, self._runtime, tile)

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> Pixels:
        """The image in the style."""
        return np.asarray(found[OUTPUT], np.uint8)

    def compare(self, run: Pixels, export: Pixels) -> AnswerDifference:
        """Each number of each pixel, which are the same up to a gray level."""
        apart = np.abs(run.astype(np.int16) - export)
        return AnswerDifference(apart.size, int((apart > _CLOSE).sum()), float(apart.max()) / 255)

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, Pixels]]) -> Evaluation:
        """The losses at the network's input size, as in the run's own evaluation, without an optimization. Raises
        `RunError` where the loss is not what the run has learned by.
        """
        images = data.dataset.images

        def stylized() -> Iterator[tuple[int, Pixels, Pixels]]:
            for index, made in answers:
                with suppress(ImageError):
                    yield index, fit_to_input(images.read(index), self._preprocessing), made

        return measure_images(data.split, images, self._task.perceptual_loss, stylized())

    def _apply(self, network: ExportedNetwork, image: Pixels) -> Mapping[str, npt.NDArray[Any]]:
        """The image in the style, of a large one the middle, in tiles as `ExportedStyle` has them."""
        given = self._tiling.cut(to_channels(_middle(image), 3))
        areas = [network(given.pixels[area][None])[OUTPUT][0] for area in given.areas]
        return {OUTPUT: self._tiling.join(given, areas)}

    def _measure(self, network: ExportedNetwork, image: Pixels) -> Mapping[str, npt.NDArray[Any]]:
        """What the network makes of the image at its input size."""
        levels = network(fit_to_input(image, self._preprocessing)[None])[OUTPUT][0]
        return {OUTPUT: levels_to_pixels(levels)}


def _middle(image: Pixels) -> Pixels:
    top, left = (max(0, (side - COMPARED) // 2) for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + COMPARED, left : left + COMPARED])


def _notes(least: int, whole: bool) -> Iterator[str]:
    yield f"An image has to have {least} pixels on a side at least; `convolve predict` reflects a smaller one."
    if whole:
        yield (
            "The network normalizes each image by its own mean and deviation, so that it takes an image whole; "
            f"`convolve predict` refuses one of more than {MOST_PIXELS:,} pixels. The run cuts an image with a side "
            f"above {TILE} pixels into tiles and measures its mean and deviation on parts, so that colors may differ."
        )
    else:
        yield (
            f"`convolve predict` gives the network an image with a side above {TILE} pixels in tiles, which are equal "
            "to the whole; the code of README.md takes it whole, for which large images need much memory."
        )
