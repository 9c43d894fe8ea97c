"""Faster algorithms for some convolutions, in any network, without changing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from convolve.runtime.convolutions import unrolled, winograd

_LEAST_WEIGHTS, _MOST_POSITIONS = 1 << 24, 1 << 12
"""A convolution is unrolled from so many weights on, and up to so many positions."""


@final
class FastConvolutions(TorchFunctionMode):
    """A context in which wide 3x3 convolutions run as Winograd's filtering, and those that have many weights for few
    positions as one matrix product; in fp32 on a CPU.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called for every function of torch that runs in the context."""
        if function is torch.conv2d and not keywords:
            faster = faster_algorithm(*arguments)
            if faster:
                images, weight, bias, _, padding = arguments[:5]
                return faster(images, weight, bias, padding)
        return function(*arguments, **(keywords or {}))


def faster_algorithm(
    images: Tensor, weight: Tensor, bias: Tensor | None = None, stride: object = 1, padding: object = 0, *others: object
) -> Callable[[Tensor, Tensor, Tensor | None, tuple[int, int]], Tensor] | None:
    """A faster algorithm for a call of `torch.conv2d` with these arguments; None if there is none."""
    del bias
    if stride != (1, 1) or others not in (((1, 1), 1), ()) or not isinstance(padding, tuple):
        return None
    if images.dtype != torch.float32 or images.device.type != "cpu" or images.ndim != 4:
        return None
    if weight.shape[2:] == (3, 3) and max(padding) <= 2 and winograd.pays(images, weight, padding):
        return winograd.convolution
    positions = images.shape[0] * images.shape[2] * images.shape[3]
    return unrolled.convolution if weight.numel() >= _LEAST_WEIGHTS and positions <= _MOST_POSITIONS else None
