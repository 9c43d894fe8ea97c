"""Convolutions with more weights than places as one matrix product: im2col, channels last.

Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document processing", section 4.
Where a dense layer has become a convolution (7x7 over 512 channels to 4096: 103 million weights) its weights are read
once for all places, as they lie, and their gradient is written once; a direct convolution reorders them every time.
Rows of places are worked on a piece at a time, so that what is unrolled stays small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_UNROLLED = 1 << 24
"""Numbers that are unrolled at a time: 64 MiB."""


def convolution(images: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W), (O, C, h, w), (O,) in fp32 to (N, O, H', W'), channels last, at stride 1."""
    down, across = padding
    found: Tensor = _Convolution.apply(F.pad(images, (across, across, down, down)), weight, bias)
    return found


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(images, weight)
        last, matrix = _last(images), _matrix(weight)
        height, width = images.shape[2] - weight.shape[2] + 1, images.shape[3] - weight.shape[3] + 1
        size = len(images), len(weight), height, width
        found = torch.empty(size, dtype=images.dtype, memory_format=torch.channels_last)
        rows = found.permute(0, 2, 3, 1).view(-1, width, len(weight))
        for some, columns in _pieces(last, weight):
            product = columns @ matrix.T if bias is None else torch.addmm(bias, columns, matrix.T)
            rows[some] = product.view(-1, width, len(weight))
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        images, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        last = _last(slopes)
        return (
            _of_images(last, images, weight) if needs[0] else None,
            _of_weight(last, images, weight) if needs[1] else None,
            slopes.sum((0, 2, 3)) if needs[2] else None,
        )


def _of_images(slopes: Tensor, images: Tensor, weight: Tensor) -> Tensor:
    """Every place's slopes, back to the pixels that it saw."""
    height, width = weight.shape[2:]
    total = torch.zeros_like(images, memory_format=torch.channels_last)
    taps = _matrix(weight).view(len(weight), height, width, -1)
    for down in range(height):
        for across in range(width):
            seen = total[:, :, down : down + slopes.shape[1], across : across + slopes.shape[2]].permute(0, 2, 3, 1)
            seen += slopes @ taps[:, down, across]
    return total


def _of_weight(slopes: Tensor, images: Tensor, weight: Tensor) -> Tensor:
    """(O, C, h, w), as channels-last weights lie."""
    outputs, inputs, height, width = weight.shape
    total = images.new_empty(outputs, height * width * inputs)
    rows = slopes.reshape(-1, slopes.shape[2], outputs)
    for some, columns in _pieces(_last(images), weight):
        total.addmm_(rows[some].reshape(-1, outputs).T, columns, beta=1 if some.start else 0)
    return total.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def _last(images: Tensor) -> Tensor:
    """(N, C, H, W) as (N, H, W, C), in that order in memory."""
    return images.permute(0, 2, 3, 1).contiguous()


def _matrix(weight: Tensor) -> Tensor:
    """(O, C, h, w) as (O, h * w * C), without a copy where channels are last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _pieces(last: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of places, counted through all images, and what their windows see (places, h * w * C)."""
    reach = weight[0].numel()
    count, height, width = last.shape[0], last.shape[1] - weight.shape[2] + 1, last.shape[2] - weight.shape[3] + 1
    image, down, across, step = last.stride()
    shape = (count, height, width, *weight.shape[2:], last.shape[3])
    windows = last.as_strided(shape, (image, down, across, down, across, step))
    images = min(max(1, _UNROLLED // (height * width * reach)), count)
    together = min(max(1, _UNROLLED // (width * reach)), height)  # rows; of several images always all
    for first in range(0, count, images):
        for top in range(0, height, together):
            some = windows[first : first + images, top : top + together]
            start = first * height + top
            yield slice(start, start + some.shape[0] * some.shape[1]), some.reshape(-1, reach)
