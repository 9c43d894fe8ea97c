"""How well a network gives photographs a style: its loss, next to that of the photographs as they are, and to that of
Gatys' optimization of one photograph's pixels after some iterations (Johnson et al. 2016, section 4.1 and figure 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor

from convolve.runtime import Runtime
from convolve.style_transfer.gatys import Objective, optimize
from convolve.style_transfer.perceptual_loss import PARTS, PerceptualLoss
from convolve.style_transfer.tiles import TiledMaps
from convolve.values import Batch, Images, Pixels

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.style.task import Style
    from convolve.tasks.task import EvaluationData

ITERATIONS = 100
"""Of the optimization at most; it ends when it has reached the network's loss."""


@dataclass(frozen=True)
class EvaluatedImage:
    """An image's name and index in the dataset, and the loss and its parts of what the ``network`` makes of it, and of
    the ``photograph`` as it is.
    """

    name: str
    index: int
    network: Mapping[str, float]
    photograph: Mapping[str, float]

    @property
    def loss_removed(self) -> float:
        """The fraction of the photograph's loss that the network removes."""
        return 1 - self.network["loss"] / self.photograph["loss"]


@dataclass(frozen=True)
class OptimizedImage:
    """The loss of one image in the course of an optimization: ``losses`` after some ``iterations``, next to what the
    ``network`` reaches in one pass.
    """

    name: str
    network: float
    iterations: tuple[int, ...]
    losses: tuple[float, ...]

    @property
    def equal(self) -> int | None:
        """After how many iterations the optimization was as good as the network: 0 where the photograph itself is; None
        where it was not yet.
        """
        return self.iterations[-1] if self.losses[-1] <= self.network else None


@dataclass(frozen=True)
class Evaluation:
    """The means over the images: ``metrics`` of the network, and the ``photographs``' own losses; the first image as it
    was ``optimized``, which it is of a run alone; ``each`` has the images.
    """

    split: str
    metrics: Mapping[str, float]
    photographs: Mapping[str, float]
    optimized: OptimizedImage | None
    each: tuple[EvaluatedImage, ...]

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.each)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": dict(self.metrics),
            "photographs": dict(self.photographs),
            "optimized": self.optimized and {**asdict(self.optimized), "equal": self.optimized.equal},
            "each": [
                {"image": one.name, "network": dict(one.network), "photograph": dict(one.photograph)}
                for one in self.each
            ],
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The losses of the network and of the photographs."""
        from convolve.tasks.style.report import console_output

        yield from console_output(self)


@final
class LossEvaluator:
    """Gathers the losses of images, whose normalization it knows, before and after."""

    def __init__(self, loss: PerceptualLoss, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._loss, self._mean, self._std = loss, mean, std
        self.network: list[dict[str, float]] = []
        self.photographs: list[dict[str, float]] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, 3, H, W) what the network made of a batch, with pixels from 0 to 1."""
        self.add_images(predictions, photographs_of(batch, self._mean, self._std).to(predictions.device))

    def add_images(self, predictions: Tensor, photographs: Tensor) -> None:
        """The same of (N, 3, H, W) ``photographs`` with pixels from 0 to 1."""
        with torch.inference_mode():
            for found, images in ((self.network, predictions), (self.photographs, photographs)):
                losses = {name: each.tolist() for name, each in self._loss(images, photographs).items()}
                found += [dict(zip(losses, row, strict=True)) for row in zip(*losses.values(), strict=True)]

    def metrics(self) -> dict[str, float]:
        """The mean of each part, and the fraction of the photographs' loss that is removed."""
        network, photographs = mean_losses(self.network), mean_losses(self.photographs)
        return {
            "loss_removed": 1 - network["loss"] / photographs["loss"],
            **{name: network[name] for name in PARTS},
        }


def evaluate(task: Style, data: EvaluationData) -> Evaluation:
    """Measure the images of a split in the size of the network's input, without augmentation."""
    from convolve.training.evaluation import evaluation_mode

    evaluator, indices, first = task.evaluator(), list[int](), list[Tensor]()
    with evaluation_mode(task.network):
        for batch in data.batches.epoch(0):
            with torch.inference_mode(), data.runtime.arithmetic():
                evaluator.add(task.predict(data.runtime.images(batch.images)), batch)
            indices += batch.indices.tolist()
            first = first or [photographs_of(batch, task.mean, task.std)[0]]
    each = _each(evaluator, data.dataset.images, indices)
    optimized = optimize_photograph(first[0], each[0], task.perceptual_loss, data.runtime)
    return Evaluation(data.split, evaluator.metrics(), mean_losses(evaluator.photographs), optimized, each)


def measure_images(
    split: str, images: Images, loss: PerceptualLoss, stylized: Iterable[tuple[int, Pixels, Pixels]]
) -> Evaluation:
    """Measure images by their indices, each as the photograph (H, W, 3) and as what became of it."""
    evaluator, indices = LossEvaluator(loss, (), ()), list[int]()
    for index, photograph, made in stylized:
        both = (torch.from_numpy(each.astype(np.float32) / 255) for each in (made, photograph))
        evaluator.add_images(*(each.permute(2, 0, 1)[None] for each in both))
        indices.append(index)
    each = _each(evaluator, images, indices)
    return Evaluation(split, evaluator.metrics(), mean_losses(evaluator.photographs), None, each)


def _each(evaluator: LossEvaluator, images: Images, indices: list[int]) -> tuple[EvaluatedImage, ...]:
    names = [images.name(index) for index in indices]
    rows = zip(names, indices, evaluator.network, evaluator.photographs, strict=True)
    return tuple(EvaluatedImage(*row) for row in rows)


def photographs_of(batch: Batch, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(N, 3, H, W) a batch's images with pixels from 0 to 1."""
    pixels = batch.images * torch.tensor(std).numpy() + torch.tensor(mean).numpy()
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def mean_losses(found: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each part over the images."""
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def optimize_photograph(
    photograph: Tensor, one: EvaluatedImage, loss: PerceptualLoss, runtime: Runtime
) -> OptimizedImage:
    """Lower the loss of a photograph (3, H, W) by its pixels until it is no more than the network's."""
    exact = replace(runtime, precision="fp32")
    maps = TiledMaps(loss.network, loss.preprocessing, exact, loss.layers.names)
    content = loss.visible(photograph[None].to(maps.device))[0]
    grams = {name: each.to(maps.device) for name, each in loss.grams.items()}
    objective = Objective(maps, loss.layers, content, grams, loss.weights)
    iterations, losses = [0], [one.photograph["loss"]]
    states = optimize(objective, content, ITERATIONS)
    while losses[-1] > one.network["loss"] and (state := next(states, None)):
        iterations.append(state[0])
        losses.append(state[1])
    return OptimizedImage(one.name, one.network["loss"], tuple(iterations), tuple(losses))
