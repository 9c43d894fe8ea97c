"""What of a point is explained: why the network finds it where it does.

Of a heatmap it is the value of the cell in which it is greatest, before any image is changed. Regression has no score:
there it is how far the two numbers of a point go the way that they went, from the mean position in the training images
to the point; 1 for the image as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.tasks.landmarks.task import Landmarks
from convolve.values import Flags, Floats, Indices, Preprocessing

ALL_POINTS = "all points"
_RADIUS = 1 / 16  # of the input's longer side: what is marked around a point
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class CellScore:
    """The mean of the heatmaps' values in the ``cells`` (N, K), of the points (N, K), and the ``regions`` (N, H, W) of
    the input around them.
    """

    points: Tensor
    cells: Tensor
    regions: Tensor

    @property
    def classes(self) -> None:
        """None: a point is no class."""
        return

    def __len__(self) -> int:
        return len(self.points)

    def __call__(self, outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
        """(N, P, h, w) heatmaps, or several of which the last counts, to (N,)."""
        maps = (outputs[-1] if isinstance(outputs, tuple) else outputs).float().flatten(2)
        rows = self.points.to(maps.device)[..., None].expand(-1, -1, maps.shape[2])
        values = maps.gather(1, rows).gather(2, self.cells.to(maps.device)[..., None])
        return values[..., 0].mean(1)

    def take(self, indices: Tensor) -> CellScore:
        """The target of some of the images."""
        rows = indices.to(self.points.device)
        return CellScore(self.points[rows], self.cells[rows], self.regions[rows])


@dataclass(frozen=True, eq=False)
class DirectionScore:
    """The mean over points of how far their numbers in outputs (N, 2 P) go along the ``directions`` (N, 2 P), which are
    0 for the points that are not explained.
    """

    directions: Tensor

    @property
    def classes(self) -> None:
        """None: a point is no class."""
        return

    @property
    def regions(self) -> None:
        """None: the numbers are of the image as a whole."""
        return

    def __len__(self) -> int:
        return len(self.directions)

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, 2 P) to (N,)."""
        return (outputs.float() * self.directions.to(outputs.device)).sum(1)

    def take(self, indices: Tensor) -> DirectionScore:
        """The target of some of the images."""
        return DirectionScore(self.directions[indices.to(self.directions.device)])


def explanation_targets(
    task: Landmarks, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
) -> ExplanationTargets:
    """Each of the points with the indices ``classes``, or all together. ``inputs`` are (N, C, H, W)."""
    del sizes, preprocessing
    with torch.inference_mode():
        output = task.outputs_for(inputs)[-1].clone()
        found = task.positions(output, (inputs.shape[2], inputs.shape[3]))
    count, every = len(inputs), list(range(len(task.point_set.names)))
    groups = [[index] for index in classes] or [every]
    names = [task.point_set.names[index] for index in classes] or [ALL_POINTS]
    if output.dim() == 4:
        cells = output.flatten(2).argmax(2)
        marked = [_around(found[:, group], inputs) for group in groups]
        chosen = [torch.tensor(group, device=inputs.device).expand(count, -1) for group in groups]
        scores = torch.stack([found[:, group, 2].mean(1) for group in groups], 1)
        return ExplanationTargets(
            predictions=(f"{len(every)} points",) * count,
            confidences=_floats(found[..., 2].mean(1)),
            names=(tuple(names),) * count,
            scores=_floats(scores),
            targets=tuple(
                CellScore(rows, cells.gather(1, rows), region) for rows, region in zip(chosen, marked, strict=True)
            ),
            regions=_flags(torch.stack(marked, 1)),
        )
    targets = tuple(DirectionScore(_directions(output, group)) for group in groups)
    return ExplanationTargets(
        predictions=(f"{len(every)} points",) * count,
        confidences=None,
        names=(tuple(names),) * count,
        scores=_floats(torch.stack([target(output) for target in targets], 1)),
        targets=targets,
    )


def _directions(output: Tensor, group: Sequence[int]) -> Tensor:
    """(N, 2 P) what makes 1 of the numbers of each of the points, as the mean over them."""
    pairs = output.view(len(output), -1, 2)
    along = pairs / pairs.square().sum(2, keepdim=True).clamp(min=_LEAST)
    chosen = torch.zeros_like(along)
    chosen[:, list(group)] = along[:, list(group)] / len(group)
    return chosen.flatten(1)


def _around(points: Tensor, inputs: Tensor) -> Tensor:
    """(N, H, W) the pixels of the input near one of the points (N, K, 3)."""
    height, width = inputs.shape[2:]
    rows, columns = (torch.arange(side, device=points.device) + 0.5 for side in (height, width))
    down = (rows - points[..., 1, None]) ** 2
    across = (columns - points[..., 0, None]) ** 2
    near = down[..., :, None] + across[..., None, :] <= (_RADIUS * max(height, width)) ** 2
    return near.any(1)


def _floats(values: Tensor) -> Floats:
    return np.asarray(values.cpu().numpy(), dtype=np.float32)


def _flags(values: Tensor) -> Flags:
    return np.asarray(values.cpu().numpy(), dtype=bool)
