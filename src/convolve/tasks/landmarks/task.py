"""What a network for landmarks learns and predicts: where the points of one object are in an image.

A network for coordinates gives two numbers a point: its distance from the mean position in the training images, in
standard deviations (regression); so does one with scores for the whole image. One with maps, of pixels or for points,
gives a heatmap a point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, final, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convolve.datasets.input_boxes import input_matrices
from convolve.datasets.point_sets import PointSet, describe_points, parse_point_set
from convolve.datasets.points import UNLABELED, Points, conform_points, move_points
from convolve.errors import DataError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.targets import PointTensors
from convolve.tasks.landmarks.evaluation import Evaluation, PointEvaluator, evaluate
from convolve.tasks.landmarks.heatmaps import find_means, find_peaks, gaussian_maps
from convolve.tasks.landmarks.options import BY_NAME, INFO, LandmarkOptions, LandmarkPredictOptions, PointLoss
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, Floats, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.landmarks.export import PointExport
    from convolve.tasks.landmarks.predictor import PointPredictor

SIGMA = 1 / 32
"""Of a heatmap's Gaussian, as a fraction of the input's side: 2 cells of 64 (Xiao, Wu, Wei 2018)."""
REGRESSION = ("image", "coordinates")
"""`Card.output` of networks that give two numbers for each point."""
_REFERENCE = 256
"""Pixels of a side in which coordinates are compared, whatever the input's size."""
_WING, _BEND = 10.0, 2.0
"""Where the wing loss becomes linear, and how it bends (Feng, Kittler, Awais, Huber, Wu 2018, "Wing loss for robust
facial landmark localisation with convolutional neural networks", equation 5 and table 1)."""
_LEAST_SPREAD = 0.01  # of the input's side
_MOST_POINTS = 1000


@final
@dataclass
class Landmarks(Task):
    """The points of ``point_set`` by the ``loss``. ``mean`` (P, 2) and ``spread`` are those of the training images'
    points, as fractions of the input's sides; ``sigma`` is a heatmap's, as a fraction too.
    """

    network: Network
    point_set: PointSet
    loss_kind: PointLoss
    sigma: float
    mean: Floats
    spread: float
    monitored: str = "mean_pck"

    info = INFO
    classes = ()

    @classmethod
    def accept(cls, dataset: Dataset, options: LandmarkOptions) -> Dataset:
        """The dataset with the pairs of points that the options name. Raises `DataError` without points."""
        dataset = dataset.for_ground_truth("points")
        points = cast(Points, dataset.ground_truths["points"])
        if options.pairs not in (None, BY_NAME):
            names, edges = points.point_set.names, points.point_set.edges
            points = replace(points, point_set=describe_points(names, edges, _parse_pairs(options.pairs or "")))
        return replace(dataset, ground_truths={**dataset.ground_truths, "points": points})

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """All of an image in the input, and mild changes; flips where it is known which points they exchange. Raises
        `OptionError` for a flip where that is not known, for a mosaic, and for a loss that the network does not have.
        """
        if known.get("mosaic"):
            raise OptionError("A mosaic shows four objects, and these are the points of one; leave out --mosaic.")
        pairs = cast(Points, ground_truth).point_set.pairs
        if (known.get("flip") or known.get("vertical_flip")) and not pairs:
            raise OptionError(
                "A flip exchanges left and right points, and no names of these points say which; give them with "
                "--pairs, such as left_eye=right_eye, or leave out the flip."
            )
        regression = card.output in REGRESSION
        if regression and known.get("loss") == "heatmap":
            raise OptionError(
                f"{card.name} gives two numbers for each point and no heatmap; choose --loss wing, l1 or smooth-l1, or "
                "a network with maps."
            )
        yield "fit", "letterbox", "keeps all points and the proportions"
        reason = "the same object may be elsewhere, nearer or farther, turned, and in other light"
        chosen: dict[str, object] = {"crop": 1.0, "scale": 0.2, "translate": 0.1, "rotate": 15.0}
        chosen |= {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3 if facts.channels == 3 else 0.0}
        yield from ((name, value, reason) for name, value in chosen.items())
        known_pairs = "left and right points exchange their places"
        yield "flip", bool(pairs), known_pairs if pairs else "no names say which points a flip exchanges (--pairs)"
        if regression:
            yield "loss", "wing", "heeds small errors as well as large ones"
        else:
            yield "loss", "heatmap", "a Gaussian around each point, as published"
        yield "sigma", SIGMA, "heatmaps alone use it" if regression else "two cells of a heatmap of 64"
        yield "pairs", BY_NAME, "points whose names differ in the side alone"

    @classmethod
    def outputs(cls, ground_truth: Points, card: Card) -> int:
        """Two numbers, or a heatmap, for each point."""
        count = len(ground_truth.point_set.names)
        return 2 * count if card.output in REGRESSION else count

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Points,
        options: LandmarkOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Landmarks:
        """The task of the points, whose mean position is that of the training split. Raises `DataError` where that has
        no labeled point.
        """
        mean, spread = _mean_position(ground_truth.take(splits.train), preprocessing)
        kind = options.loss or ("wing" if network.card.output in REGRESSION else "heatmap")
        return cls(network, ground_truth.point_set, kind, options.sigma or SIGMA, mean, spread)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Landmarks:
        """The task of a run."""
        point_set = parse_point_set(state)
        mean = np.array(state["mean"], dtype=np.float32)
        loss, sigma, spread = state["loss"], float(state["sigma"]), float(state["spread"])
        numbers = (sigma, spread, *mean.reshape(-1).tolist())
        if loss not in get_args(PointLoss) or mean.shape != (len(point_set.names), 2):
            raise ValueError("its points do not fit together")
        if not all(map(math.isfinite, numbers)) or min(sigma, spread) <= 0 or len(mean) > _MOST_POINTS:
            raise ValueError("a number is none that it can have")
        return cls(network, point_set, loss, sigma, mean, spread)

    def state(self) -> dict[str, Any]:
        """The points and how they belong together, the loss, and the mean position."""
        return {
            **self.point_set.state(),
            "has_heatmaps": self.has_heatmaps,
            "loss": self.loss_kind,
            "sigma": self.sigma,
            "mean": self.mean.tolist(),
            "spread": self.spread,
        }

    def with_network(self, network: Network) -> Landmarks:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: PointTensors, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and the points in them to `loss`, the mean over the images of that of their labeled points."""
        del random
        return {"loss": self._loss(self.outputs_for(images), targets, _size(images))}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, P, 3): x and y in pixels of the input, and a confidence from 0 to 1; it is 1 for
        regression, which has none.
        """
        return self.positions(self.outputs_for(images)[-1], _size(images))

    def loss_and_predictions(self, images: Tensor, targets: PointTensors) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        outputs, size = self.outputs_for(images), _size(images)
        return {"loss": self._loss(outputs, targets, size)}, self.positions(outputs[-1], size)

    def evaluator(self) -> PointEvaluator:
        """PCK and the normalized mean error, in pixels of the input."""
        return PointEvaluator()

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset, whose points must be this task's. Raises `DataError` where it has others."""
        return conform_points(dataset, self.point_set)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split, in the images' own pixels."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: LandmarkPredictOptions
    ) -> PointPredictor:
        """How the points of images of any size are found."""
        from convolve.tasks.landmarks.predictor import PointPredictor

        return PointPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> PointExport:
        """The network with the positions of its points after it."""
        from convolve.tasks.landmarks.export import PointExport

        return PointExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The errors of each point, how many points are within which distance, and the worst images."""
        from convolve.tasks.landmarks.report import report_sections

        del preprocessing, runtime
        return report_sections(evaluation, dataset)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """Why each of some points is found where it is, or all together."""
        from convolve.tasks.landmarks.explanation import explanation_targets

        return explanation_targets(self, inputs, sizes, classes, preprocessing)

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """Layer-CAM of a heatmap, whose score is that of one cell; Grad-CAM of regression, which has no class."""
        del stage
        if not self.has_heatmaps:
            return "grad-cam", "points are regressed, and have no class that a class activation map needs"
        return "layer-cam", "the score is that of one cell, and only weights of each position's own keep to it"

    @property
    def has_heatmaps(self) -> bool:
        """Whether the network gives a map for each point, and no two numbers."""
        return self.network.card.output not in REGRESSION

    @property
    def score_names(self) -> tuple[str, ...]:
        """The points."""
        return self.point_set.names

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output."""
        return self.outputs_for(inputs)[-1]

    def outputs_for(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, C, H, W) to all that leaves the network, float32: (N, 2 P) numbers, or (N, P, h, w) maps."""
        outputs = self.network(images)
        return tuple(each.float() for each in (outputs if isinstance(outputs, tuple) else (outputs,)))

    def positions(self, output: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, 2 P) numbers or (N, P, h, w) maps, for inputs of a ``size`` (height, width), to what `predict` gives."""
        if output.dim() == 4:
            return (find_peaks if self.loss_kind == "heatmap" else find_means)(output, size)
        mean = torch.from_numpy(self.mean).to(output.device)
        fractions = mean + self.spread * output.reshape(output.shape[0], -1, 2)
        points = fractions * fractions.new_tensor([size[1], size[0]])
        return torch.cat([points, torch.ones_like(points[..., :1])], 2)

    def _loss(self, outputs: tuple[Tensor, ...], targets: PointTensors, size: tuple[int, int]) -> Tensor:
        """The mean over all that leaves the network, and over the images."""
        losses = [self._point_losses(output, targets.points, size) for output in outputs]
        each, labeled = torch.stack(losses).mean(0), targets.labeled
        return (each * labeled).sum(1).div(labeled.sum(1).clamp(min=1)).mean()

    def _point_losses(self, output: Tensor, points: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, P) the loss of each point."""
        if self.loss_kind == "heatmap":
            sigma = self.sigma * max(size)
            goal = gaussian_maps(points, (output.shape[2], output.shape[3]), size, sigma)
            cells = math.pi * sigma**2 * (output.shape[2] * output.shape[3]) / (size[0] * size[1])
            return ((output - goal) ** 2).sum((2, 3)) / cells  # 1 for a map of zeros
        found = self.positions(output, size)[..., :2]
        return point_loss((found - points) * (_REFERENCE / max(size)), self.loss_kind).mean(2)


TASK = Landmarks


def point_loss(differences: Tensor, kind: PointLoss) -> Tensor:
    """Of each difference of two coordinates, in pixels of an input of 256."""
    distance = differences.abs()
    if kind == "l1":
        return distance
    if kind == "smooth-l1":
        return F.smooth_l1_loss(differences, torch.zeros_like(differences), reduction="none")
    shift = _WING - _WING * math.log(1 + _WING / _BEND)
    return torch.where(distance < _WING, _WING * torch.log1p(distance / _BEND), distance - shift)


def _mean_position(points: Points, preprocessing: Preprocessing) -> tuple[Floats, float]:
    """(P, 2) the mean position of each point in the input, and how far points are spread about it, both as fractions of
    the input's sides; the middle of the input for a point that is never labeled. Raises `DataError` without any.
    """
    labeled = points.visibility > UNLABELED
    if not labeled.any():
        raise DataError("The training split has no labeled point to learn from; label some, or move images there.")
    moved = move_points(points.points, input_matrices(points.sizes, preprocessing))
    fractions = moved / [preprocessing.width, preprocessing.height]
    counts = labeled.sum(0)[:, None]
    totals = (fractions * labeled[..., None]).sum(0)
    mean = np.divide(totals, counts, out=np.full(totals.shape, 0.5), where=counts > 0)
    spread = float(np.sqrt((((fractions - mean) ** 2)[labeled]).mean()))
    return mean.astype(np.float32), max(spread, _LEAST_SPREAD)


def _parse_pairs(text: str) -> list[tuple[str, str]]:
    """`a=b,c=d` as pairs. Raises `DataError`."""
    found = []
    for part in text.split(","):
        one, sign, other = (each.strip() for each in part.partition("="))
        if not (one and sign and other):
            raise DataError(f"--pairs has '{part.strip()}', which is no pair; write such as left_eye=right_eye.")
        found.append((one, other))
    return found


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
