"""What a task gives of itself to be exported: its network with the arithmetic after it, and how its answers follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from convolve.interop.graph_operations import Steps, Value, View

Finish = Callable[[Steps, tuple[Value, ...], View], Mapping[str, Value]]
"""What leaves the graph, by name, from what leaves the module and how the images came to its input."""


@dataclass(frozen=True, eq=False)
class Exportable:
    """A ``module`` that takes normalized images (N, C, height, width) float32 and returns one tensor or a tuple, and
    how to ``finish`` it in the graph, where the images' own size is known.

    A module of ``any_size`` sees all of an image, in an input of whatever size that needs (`Steps.whole_view`).
    ``notes`` are sentences on what the graph does otherwise than the task's own prediction. ``usage`` are the lines of
    Python that print the answer for one image, from the names of the ``classes`` and what leaves the graph for a batch
    of it, arrays by name in ``found``.
    """

    module: nn.Module
    finish: Finish
    usage: tuple[str, ...]
    any_size: bool = False
    notes: tuple[str, ...] = ()
