"""Convolutions done another way where that is faster, in any network, without changing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from convolve.runtime import unrolled, winograd

_HEAVY, _PLACES = 1 << 24, 1 << 12
"""Weights from which a convolution is unrolled, and places up to which."""


@final
class QuickConvolutions(TorchFunctionMode):
    """The context in which wide convolutions of 3x3 go by Winograd's filtering, and those that have many weights for
    few places as one matrix product. In fp32 on a processor.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called for every function of torch that runs in the context."""
        if function is torch.conv2d and not named:
            way = quicker(*arguments)
            if way:
                images, weight, bias, _, padding = arguments[:5]
                return way(images, weight, bias, padding)
        return function(*arguments, **(named or {}))


def quicker(
    images: Tensor, weight: Tensor, bias: Tensor | None = None, stride: object = 1, padding: object = 0, *others: object
) -> Callable[[Tensor, Tensor, Tensor | None, tuple[int, int]], Tensor] | None:
    """A faster way for a call of `torch.conv2d` with these arguments; None where there is none."""
    del bias
    if stride != (1, 1) or others not in (((1, 1), 1), ()) or not isinstance(padding, tuple):
        return None
    if images.dtype != torch.float32 or images.device.type != "cpu" or images.ndim != 4:
        return None
    if weight.shape[2:] == (3, 3) and max(padding) <= 2 and winograd.worth(images, weight, padding):
        return winograd.convolution
    places = images.shape[0] * images.shape[2] * images.shape[3]
    return unrolled.convolution if weight.numel() >= _HEAVY and places <= _PLACES else None
