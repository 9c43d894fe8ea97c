"""Where a window stands, and which cell each of its taps meets; one dimension is two with a height of 1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.windows import Sliding, output_size

Pair = tuple[int, int]


@dataclass(frozen=True)
class Places:
    """A ``kernel`` over a ``size``, each (rows, columns), with the way it moves along either."""

    size: Pair
    kernel: Pair
    down: Sliding
    right: Sliding

    @property
    def output(self) -> Pair:
        """(OH, OW). Raises `ValueError` where the window does not fit."""
        return (
            output_size(self.size[0], self.kernel[0], self.down),
            output_size(self.size[1], self.kernel[1], self.right),
        )

    @property
    def border(self) -> Pair:
        """Rows above (and below), columns on the left (and on the right) that are padding."""
        return self.down.padding, self.right.padding

    def met(self, place: Pair, tap: Pair) -> Pair:
        """The cell, counted in the padded input, that a tap meets where the window stands at ``place``."""
        return (
            self.down.stride * place[0] + self.down.dilation * tap[0],
            self.right.stride * place[1] + self.right.dilation * tap[1],
        )

    def meetings(self) -> Mapping[Pair, Sequence[tuple[Pair, Pair]]]:
        """For each cell of the padded input, every (place, tap) that meets it."""
        found: dict[Pair, list[tuple[Pair, Pair]]] = defaultdict(list)
        for i, j, u, v in np.ndindex(*self.output, *self.kernel):
            found[self.met((i, j), (u, v))].append(((i, j), (u, v)))
        return found
