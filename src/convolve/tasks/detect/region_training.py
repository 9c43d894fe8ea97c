"""What R-CNN and SPP-net learn once their features are final: a support vector machine and a box regression a class.

Girshick, Donahue, Darrell, Malik 2014, "Rich feature hierarchies for accurate object detection and semantic
segmentation", sections 2.3 and 3.5 and appendices B and C; the constants are those of the authors' program.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch

from convolve.layers.box_coding import BoxCoder
from convolve.layers.region_head import RegionHead
from convolve.layers.region_svms import RegionSvms
from convolve.metrics.boxes import BoxArray, intersection_over_union
from convolve.progress import Listener, Pace
from convolve.targets import BoxTargets
from convolve.training.evaluation import evaluation_mode
from convolve.untrusted.arrays import read_npy
from convolve.values import Floats, Indices

if TYPE_CHECKING:
    from convolve.tasks.detect.task import Detect
    from convolve.tasks.task import EvaluationData

Doubles = npt.NDArray[np.float64]

NORM = 20.0
"""The mean norm of features after scaling."""
NEGATIVE = 0.3
"""A region that overlaps every object of a class by less is a negative example of it."""
COST, POSITIVE_WEIGHT, BIAS_FEATURE = 0.001, 2.0, 10.0
HARD, EASY = -1.0001, -1.2
"""Margins: a negative above the first is taken in, one below the second is thrown away after a fit."""
TOLERANCE = 0.1  # of the solver, as its own programs have it
NEW = 2000
"""Negatives taken in, after which a machine is fitted again."""
NEAR = 0.6
"""A region that overlaps an object by more is an example of how boxes are moved."""
RIDGE, WHITENING = 1000.0, 0.001
_ABSENT = -10.0  # the margin of a class of which there is no example
_SAMPLED = 200  # images, and regions of each, whose norms are measured


@dataclass(frozen=True)
class RegionFeatures:
    """An image's proposed ``regions`` (R, 4) with their features in a ``file`` on disk, (R + M, D): the last M are
    those of its M objects. ``overlaps`` (R, M), of which ``classes`` (M,) says whose they are, -1 what is ignored.
    """

    file: Path
    regions: BoxArray
    objects: BoxArray
    classes: Indices
    overlaps: Doubles

    def features(self) -> Floats:
        """(R + M, D)."""
        return np.asarray(read_npy(self.file), dtype=np.float32)

    def best(self, index: int) -> Doubles:
        """(R,) the greatest overlap of each region with an object of a class; 0 without any."""
        best: Doubles = self.overlaps[:, self.classes == index].max(1, initial=0.0)
        return best


def fit_regions(task: Detect, data: EvaluationData, listener: Listener) -> None:
    """Fit the machines and the regressions of a network to a split, and make them part of it. Features are kept on
    disk meanwhile.
    """
    svms = cast(RegionSvms, cast(RegionHead, task.network.head).svms)
    with tempfile.TemporaryDirectory(prefix="convolve-features-") as folder:
        images = list(_extract(task, data, Path(folder), listener))
        norms = [np.linalg.norm(one.features()[:_SAMPLED], axis=1) for one in images[:_SAMPLED]]
        scale = NORM / max(float(np.concatenate(norms).mean()), 1e-12)
        pace = Pace(listener, "support vector machines", len(images), "images")
        machines = mine_negatives(images, len(task.classes), scale, pace)
        moves = [fit_moves(*_near(images, index, scale)) for index in range(len(task.classes))]
    with torch.no_grad():
        svms.scale.fill_(scale)
        svms.weight.copy_(torch.from_numpy(np.stack([weight for weight, _ in machines])))
        svms.bias.copy_(torch.tensor([bias for _, bias in machines]))
        svms.moves.copy_(torch.from_numpy(np.stack(moves)))
        svms.fitted.fill_(1)


def mine_negatives(
    images: Sequence[RegionFeatures], classes: int, scale: float, pace: Pace | None = None
) -> list[tuple[Doubles, float]]:
    """The weights (D,) and the bias of each class's machine, after one pass over the images.

    Objects are the positives. Of the first image every negative is taken in, of each other one those that a machine
    finds hard; it is fitted anew when enough came in, and loses those that are easy then.
    """
    width = images[0].features().shape[1]
    positives: list[list[Floats]] = [[] for _ in range(classes)]
    for one in images:
        own = one.features()[len(one.regions) :]
        for index in range(classes):
            positives[index].append(own[one.classes == index] * scale)
    machines = [SupportVectorMachine(np.concatenate(own), width) for own in positives]
    for done, one in enumerate(images, 1):
        features = one.features()[: len(one.regions)] * scale
        allowed = one.overlaps[:, one.classes < 0].max(1, initial=0.0) < NEGATIVE
        for index, machine in enumerate(machines):
            machine.take(features[allowed & (one.best(index) < NEGATIVE)])
            if machine.waiting >= NEW or done in (1, len(images)):
                machine.fit()
        if pace:
            pace(done)
    return [(machine.weight, machine.bias) for machine in machines]


class SupportVectorMachine:
    """A class's machine with its examples so far."""

    def __init__(self, positives: Floats, width: int) -> None:
        self.positives = positives
        self.negatives = np.zeros((0, width), dtype=np.float32)
        self.weight, self.bias = np.zeros(width), _ABSENT
        self.waiting = 0
        self._fitted = False

    def take(self, negatives: Floats) -> None:
        """Take in those that are hard, before the first fit all of them."""
        hard = negatives[self._margins(negatives) > HARD] if self._fitted else negatives
        self.negatives = np.concatenate([self.negatives, hard])
        self.waiting += len(hard)

    def fit(self) -> None:
        """Fit to all examples, and throw the easy ones away; nothing without examples of both kinds."""
        from sklearn.svm import LinearSVC

        if not len(self.positives) or not len(self.negatives):
            return
        machine = LinearSVC(
            C=COST,
            loss="hinge",
            class_weight={1: POSITIVE_WEIGHT},
            intercept_scaling=BIAS_FEATURE,
            tol=TOLERANCE,
            max_iter=10_000,
            random_state=0,
        )
        labels = np.repeat([1, 0], [len(self.positives), len(self.negatives)])
        machine.fit(np.concatenate([self.positives, self.negatives]), labels)
        self.weight, self.bias = machine.coef_[0].astype(np.float64), float(machine.intercept_[0])
        self.negatives = self.negatives[self._margins(self.negatives) >= EASY]
        self.waiting, self._fitted = 0, True

    def _margins(self, features: Floats) -> Doubles:
        return np.asarray(features @ self.weight + self.bias, dtype=np.float64)


def fit_moves(features: Floats, deltas: Doubles) -> Doubles:
    """(4, D + 1) the linear regression of M deltas (M, 4) on scaled features (M, D), its last column the constant.

    The deltas are centered and whitened before, and brought back after; all coefficients are shrunk alike, also the
    constant's. Without an example boxes stay where they are.
    """
    width = features.shape[1] + 1
    if not len(deltas):
        return np.zeros((4, width))
    mean = deltas.mean(0)
    centered = deltas - mean
    values, vectors = np.linalg.eigh(centered.T @ centered / len(deltas) + WHITENING * np.eye(4))
    whiten, restore = ((vectors * values**power) @ vectors.T for power in (-0.5, 0.5))
    extended = np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)
    normal = extended.T @ extended + RIDGE * np.eye(width)
    found = np.linalg.solve(normal, extended.T @ (centered @ whiten)) @ restore
    found[-1] += mean
    return np.asarray(found.T, dtype=np.float64)


def _near(images: Sequence[RegionFeatures], index: int, scale: float) -> tuple[Floats, Doubles]:
    """The scaled features and the deltas of the regions that are near to an object of a class."""
    features, deltas = [], [np.zeros((0, 4))]
    for one in images:
        own = np.flatnonzero(one.classes == index)
        rows = np.flatnonzero(one.best(index) > NEAR)
        features.append(one.features()[rows] * scale)
        if len(rows):
            match = own[one.overlaps[np.ix_(rows, own)].argmax(1)]
            pair = (torch.from_numpy(boxes) for boxes in (one.regions[rows], one.objects[match]))
            deltas.append(BoxCoder().encode(*pair).numpy())
    return np.concatenate(features), np.concatenate(deltas)


def _extract(task: Detect, data: EvaluationData, folder: Path, listener: Listener) -> Iterator[RegionFeatures]:
    """The regions of each image of a split, with their features on disk."""
    head, runtime = cast(RegionHead, task.network.head), data.runtime
    pace, number = Pace(listener, "features of regions", len(data.indices), "images"), 0
    with evaluation_mode(task.network):
        for batch in data.batches.epoch(0):
            targets, images = cast(BoxTargets, batch.targets), runtime.images(batch.images)
            with torch.inference_mode(), runtime.arithmetic():
                (map_,) = task.network(images)
            for row, proposed in enumerate(cast(Floats, targets.regions)):
                regions = proposed[(proposed[:, 2:] > proposed[:, :2]).all(1)].astype(np.float64)
                own = targets.image == row
                objects = targets.boxes[own].astype(np.float64)
                every = torch.from_numpy(np.concatenate([regions, objects])).float().to(runtime.device)
                image = torch.zeros(len(every), dtype=torch.int64, device=runtime.device)
                file = folder / f"{number}.npy"
                with torch.inference_mode(), runtime.arithmetic():
                    found = head.features(map_[row : row + 1].float(), every, image).features
                np.save(file, found.cpu().numpy())
                classes = np.where(targets.ignored[own], -1, targets.classes[own])
                yield RegionFeatures(file, regions, objects, classes, intersection_over_union(regions, objects))
                number += 1
                pace(number)
