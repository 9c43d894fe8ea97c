"""A network: layers one after the other and a loss at the end, run forwards and backwards.

Slides "Back propagation": differentiate, multiply, add, backwards from the loss, each layer handing its slope on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, final

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.layers import Layer
from convolve.from_scratch.losses import SOFTMAX, Loss


class Model(Protocol):
    """What `trainer` trains and `checking` checks: a network of layers, a net written out, a linear classifier."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """What is learned, by name; optimizers change the arrays in place."""
        ...

    def scores(self, x: Array) -> Array:
        """``x`` (N, …) to scores (N, classes), the highest of which is the guess."""
        ...

    def gradients(self, x: Array, labels: Labels) -> tuple[float, Mapping[str, Array]]:
        """The mean loss over a batch, and its slope along each parameter."""
        ...


@final
class Network:
    """Layers one after the other. Parameters are named by place, as in ``0.w``.

    Raises `TypeError` when it is given images in another number format than its parameters': nothing is converted
    silently.
    """

    def __init__(self, layers: Sequence[Layer], loss: Loss = SOFTMAX) -> None:
        self.layers, self.loss = tuple(layers), loss

    @property
    def parameters(self) -> dict[str, Array]:
        """All parameters of all layers."""
        layers = enumerate(self.layers)
        return {f"{place}.{name}": w for place, layer in layers for name, w in layer.parameters.items()}

    def scores(self, x: Array) -> Array:
        """``x`` (N, …) to the last layer's output, as used after training."""
        self._check(x)
        for layer in self.layers:
            x = layer.predict(x)
        return x

    def gradients(self, x: Array, labels: Labels) -> tuple[float, dict[str, Array]]:
        """One pass forwards in training, one backwards; slopes in the order of the parameters."""
        self._check(x)
        memories = []
        for layer in self.layers:
            x, memory = layer.forward(x)
            memories.append(memory)
        loss, memory = self.loss.forward(x, labels)
        dy, found = self.loss.backward(memory), {}
        for place in reversed(range(len(self.layers))):
            dy, slopes = self.layers[place].backward(dy, memories.pop())
            found.update({f"{place}.{name}": slope for name, slope in slopes.items()})
        return loss, {name: found[name] for name in self.parameters}

    def _check(self, x: Array) -> None:
        wanted = {w.dtype for w in self.parameters.values()} or {x.dtype}
        if wanted != {x.dtype}:
            names = ", ".join(sorted(str(np.dtype(dtype)) for dtype in wanted))
            raise TypeError(f"The network computes in {names}, the images are {x.dtype}; convert them with astype.")
