"""What a task gives of itself to be exported: its network with the arithmetic after it, and how its answers follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from torch import nn

from convolve.interop.graph_operations import Steps, Value, View
from convolve.values import Pixels

ExportedNetwork = Callable[[Pixels], Mapping[str, npt.NDArray[Any]]]
"""An exported network: images (N, H, W, C) to what leaves its graph, by name."""

Apply = Callable[[ExportedNetwork, Pixels], Mapping[str, npt.NDArray[Any]]]
"""An exported network and an image (H, W, C) to what leaves the graph for it, by name."""

Finish = Callable[[Steps, tuple[Value, ...], View], Mapping[str, Value]]
"""What leaves the graph, by name, from what leaves the module and how the images came to its input."""


@dataclass(frozen=True, eq=False)
class Exportable:
    """A ``module`` that takes normalized images (N, C, height, width) float32 and returns one tensor or a tuple, and
    how to ``finish`` it in the graph, where the images' own size is known.

    A module of ``any_size`` sees all of an image, in an input of whatever size that needs (`Steps.whole_view`); with
    ``own_size`` too, in the image's own, whatever size it was trained in.
    ``notes`` are sentences on what the graph does otherwise than the task's own prediction. ``usage`` are the lines of
    Python that print the answer for one image, from the names of the ``classes`` and what leaves the graph for a batch
    of it, arrays by name in ``found``. ``state`` is what `ExportedTask.restore` needs beyond the task's own state.
    ``apply`` says what an exported network is given of an image (H, W, C) of a dataset, and what of it leaves the
    graph, where that is not the image as it is; ``measure`` the same for the metrics of a split, where these are of
    something else again.
    """

    module: nn.Module
    finish: Finish
    usage: tuple[str, ...]
    any_size: bool = False
    own_size: bool = False
    notes: tuple[str, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    apply: Apply | None = None
    measure: Apply | None = None

    def view(self, steps: Steps, images: Value) -> View:
        """How images (N, H, W, C) come to the module's input."""
        if self.own_size:
            return steps.own_view(images)
        return steps.whole_view(images) if self.any_size else steps.view(images)
