"""A network for restoration as a graph that gives the restored gray levels or colors, and how it is held against the
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from convolve.errors import ImageError
from convolve.interop.exportable import Exportable, ExportedNetwork
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.restore.degradation import enlarging
from convolve.tasks.restore.evaluation import Evaluation, RestoredImage, measure_images, read_sharp, sharp_image
from convolve.tasks.restore.exported import LUMINANCE_NOTE, OUTPUT, Tiling, usage_of
from convolve.tasks.restore.tiled_restoration import margin_around, restore_image
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Images, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore

_CLOSE = 1
"""Gray levels by which a value may differ from the run's and count as the same."""
_TAPS = 5
"""Pixels that an enlarged one is made from: four, and one more as the four depend on the side that it is on."""


@final
class BicubicEnlarging(nn.Module):
    """(N, C, H, W) to (N, C, factor H, factor W), as `degradation.enlarge` does, for sides of two pixels and more."""

    kernels: Tensor

    def __init__(self, factor: int, channels: int) -> None:
        super().__init__()
        middle = _TAPS - 1  # of a side that is long enough: its pixels have all their neighbors
        rows = enlarging(2 * _TAPS - 1, factor)[factor * middle : factor * (middle + 1)]
        weights = torch.from_numpy(rows[:, middle - _TAPS // 2 : middle + _TAPS // 2 + 1].copy())
        kernels = torch.einsum("iy,jx->ijyx", weights, weights).reshape(factor**2, 1, _TAPS, _TAPS)
        self.register_buffer("kernels", kernels.repeat(channels, 1, 1, 1))
        self.factor, self.channels = factor, channels

    def forward(self, images: Tensor) -> Tensor:
        """The enlarged images."""
        above, below = images[:, :, 1:2], images[:, :, -2:-1]
        images = torch.cat([above, images[:, :, :1], images, images[:, :, -1:], below], 2)
        left, right = images[..., 1:2], images[..., -2:-1]
        images = torch.cat([left, images[..., :1], images, images[..., -1:], right], 3)
        return functional.pixel_shuffle(functional.conv2d(images, self.kernels, groups=self.channels), self.factor)


@final
class Restoration(nn.Module):
    """Normalized images (N, C, H, W) to restored ones (N, C, upscale H, upscale W), normalized too."""

    def __init__(self, task: Restore) -> None:
        super().__init__()
        factor = task.degradation.upscale
        self.enlarging = BicubicEnlarging(factor, len(task.mean)) if task.enlarges_before else nn.Identity()
        self.network, self.residual = task.network, task.network.card.residual

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        images = self.enlarging(images)
        outputs: Tensor = self.network(images)
        return images + outputs if self.residual else outputs


@final
class RestorationExport:
    """A network for restoration to be exported, and held against how the ``runtime`` runs it, in fp32: in bfloat16 its
    own values would be a few gray levels apart.
    """

    class_metric = ""

    def __init__(self, task: Restore, runtime: Runtime) -> None:
        self._task, self._runtime = task, replace(runtime, precision="fp32")
        channels, factor = len(task.mean), task.degradation.upscale
        margin = margin_around(task)
        if task.enlarges_before:
            margin = -(-margin // factor) + _TAPS // 2
        self._tiling = Tiling(task.degradation, channels, margin)

        def finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
            del view
            do, shape = steps.do, (1, channels, 1, 1)
            scaled = do.multiply(outputs[0], do.floats([255 * each for each in task.std], shape))
            levels = do.add(scaled, do.floats([255 * each for each in task.mean], shape))
            return {OUTPUT: do.transpose(levels, (0, 2, 3, 1))}

        self.part = Exportable(
            Restoration(task),
            finish,
            usage_of(channels, task.degradation),
            any_size=True,
            notes=(LUMINANCE_NOTE,) if channels == 1 and not task.is_gray else (),
            state={"margin": margin},
            apply=self._apply,
        )

    def predict(self, images: Images, index: int) -> Pixels:
        """The image, degraded and restored."""
        target = read_sharp(images, index, self._task)
        return restore_image(self._task.degradation.degrade(target), self._task, self._runtime)

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> Pixels:
        """The restored image."""
        return np.asarray(found[OUTPUT], np.uint8)

    def compare(self, run: Pixels, export: Pixels) -> AnswerDifference:
        """Each number of each pixel, which are the same up to a gray level."""
        apart = np.abs(run.astype(np.int16) - export)
        return AnswerDifference(apart.size, int((apart > _CLOSE).sum()), float(apart.max()) / 255)

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, Pixels]]) -> Evaluation:
        """As the run's own evaluation."""
        task, images = self._task, data.dataset.images

        def restored() -> Iterator[RestoredImage]:
            for index, image in answers:
                with suppress(ImageError):
                    target = read_sharp(images, index, task)
                    yield RestoredImage(index, target, task.degradation.degrade(target), image)

        return measure_images(data.split, images, restored(), task.degradation)

    def _apply(self, network: ExportedNetwork, image: Pixels) -> Mapping[str, npt.NDArray[Any]]:
        """An image, degraded, through the exported network, in tiles where it is large."""
        degraded = self._task.degradation.degrade(sharp_image(image, self._task))
        given = self._tiling.cut(degraded)
        areas = [network(given.pixels[area][None])[OUTPUT][0] for area in given.areas]
        return {OUTPUT: self._tiling.join(given, areas)}
