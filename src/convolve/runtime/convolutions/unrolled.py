"""Convolutions with more weights than positions as one matrix product: im2col, channels last.

Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document processing", section 4.
Where a dense layer has become a convolution (7x7 over 512 channels to 4096: 103 million weights) its weights are read
once for all positions, without reordering, and their gradient is written once; a direct convolution reorders them every
time. Rows of positions are processed in blocks, so that what is unrolled stays small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_UNROLLED = 1 << 24
"""Values that are unrolled at a time: 64 MiB."""


def convolution(images: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W), (O, C, h, w), (O,) in fp32 to (N, O, H', W'), channels last, at stride 1."""
    down, across = padding
    output: Tensor = _Convolution.apply(F.pad(images, (across, across, down, down)), weight, bias)
    return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(images, weight)
        pixels, matrix = _channels_last(images), _matrix(weight)
        height, width = images.shape[2] - weight.shape[2] + 1, images.shape[3] - weight.shape[3] + 1
        size = len(images), len(weight), height, width
        output = torch.empty(size, dtype=images.dtype, memory_format=torch.channels_last)
        rows = output.permute(0, 2, 3, 1).view(-1, width, len(weight))
        for block, columns in _blocks(pixels, weight):
            product = columns @ matrix.T if bias is None else torch.addmm(bias, columns, matrix.T)
            rows[block] = product.view(-1, width, len(weight))
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        images, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        rows = _channels_last(gradients)
        return (
            _image_gradient(rows, images, weight) if needs[0] else None,
            _weight_gradient(rows, images, weight) if needs[1] else None,
            gradients.sum((0, 2, 3)) if needs[2] else None,
        )


def _image_gradient(gradients: Tensor, images: Tensor, weight: Tensor) -> Tensor:
    """(N, C, H, W) the gradients of all positions, added to the pixels in their windows."""
    height, width = weight.shape[2:]
    total = torch.zeros_like(images, memory_format=torch.channels_last)
    taps = _matrix(weight).view(len(weight), height, width, -1)
    for down in range(height):
        for across in range(width):
            window = total[:, :, down : down + gradients.shape[1], across : across + gradients.shape[2]].permute(
                0, 2, 3, 1
            )
            window += gradients @ taps[:, down, across]
    return total


def _weight_gradient(gradients: Tensor, images: Tensor, weight: Tensor) -> Tensor:
    """(O, C, h, w), in the memory order of channels-last weights."""
    outputs, inputs, height, width = weight.shape
    total = images.new_empty(outputs, height * width * inputs)
    rows = gradients.reshape(-1, gradients.shape[2], outputs)
    for block, columns in _blocks(_channels_last(images), weight):
        total.addmm_(rows[block].reshape(-1, outputs).T, columns, beta=1 if block.start else 0)
    return total.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def _channels_last(images: Tensor) -> Tensor:
    """(N, C, H, W) as (N, H, W, C), in that order in memory."""
    return images.permute(0, 2, 3, 1).contiguous()


def _matrix(weight: Tensor) -> Tensor:
    """(O, C, h, w) as (O, h * w * C), without a copy where channels are last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _blocks(pixels: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of positions, counted through all images, and the values in their windows (positions, h * w * C)."""
    length = weight[0].numel()
    count, height, width = pixels.shape[0], pixels.shape[1] - weight.shape[2] + 1, pixels.shape[2] - weight.shape[3] + 1
    image, down, across, step = pixels.stride()
    shape = (count, height, width, *weight.shape[2:], pixels.shape[3])
    windows = pixels.as_strided(shape, (image, down, across, down, across, step))
    images = min(max(1, _UNROLLED // (height * width * length)), count)
    together = min(max(1, _UNROLLED // (width * length)), height)  # rows; of several images always all
    for first in range(0, count, images):
        for top in range(0, height, together):
            block = windows[first : first + images, top : top + together]
            start = first * height + top
            yield slice(start, start + block.shape[0] * block.shape[1]), block.reshape(-1, length)
