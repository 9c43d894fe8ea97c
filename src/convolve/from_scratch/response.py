"""Local response normalization: neighbors in the channels hold each other down ("측면억제", lateral inhibition).

Krizhevsky, Sutskever & Hinton 2012, section 3.3; slide "Local Response Normalization (LRN)".
Deviations: the slide's formula has lost the square of a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array


@dataclass(frozen=True)
class Response:
    """The paper's constants: ``window`` n, ``alpha``, ``beta`` and ``k``. Raises `ValueError` for an even window."""

    window: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise ValueError(f"A window of {self.window} channels has no middle; take an odd one.")


ALEXNET = Response()


class ResponseMemory(NamedTuple):
    """What went in, what each value was divided by before that was raised to β (``divisor``), and the constants."""

    x: Array
    divisor: Array
    response: Response


def response_forward(x: Array, response: Response = ALEXNET) -> tuple[Array, ResponseMemory]:
    """yᵢ = xᵢ / (k + α Σⱼ xⱼ²)^β over the n channels j around i that exist; x (N, C, …)."""
    divisor = response.k + response.alpha * _around(x * x, response.window)
    return x * divisor**-response.beta, ResponseMemory(x, divisor, response)


def response_backward(dy: Array, memory: ResponseMemory) -> Array:
    """Along its own y, x counts as divided; along every y of its neighborhood it counts in the divisor:

    dxᵢ = dyᵢ / qᵢ^β - 2αβ xᵢ Σⱼ dyⱼ xⱼ / qⱼ^(β + 1), q being the divisor k + α Σ x².
    """
    x, divisor, response = memory
    scaled = dy * divisor**-response.beta
    through = _around(scaled * x / divisor, response.window)
    return scaled - 2 * response.alpha * response.beta * x * through


def _around(x: Array, window: int) -> Array:
    """The sum over the channels within reach of each; an odd window's way back is the same sum."""
    channels, reach = x.shape[1], window // 2
    padded = np.pad(x, [(0, 0), (reach, reach)] + [(0, 0)] * (x.ndim - 2))
    return reduce(np.add, (padded[:, start : start + channels] for start in range(window)))
