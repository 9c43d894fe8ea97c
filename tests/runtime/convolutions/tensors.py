"""Tensors to try convolutions on, and how far two of them are apart."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers, channels last."""
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return found.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else found


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a fraction of the largest expected value."""
    with torch.no_grad():
        return float((found.double() - expected).abs().max() / expected.abs().max())


def assert_close_to_direct(
    convolution: Callable[[Tensor, Tensor, Tensor | None, tuple[int, int]], Tensor],
    images: tuple[int, ...],
    weight: tuple[int, ...],
    padding: tuple[int, int],
    biased: bool,
    close: float,
) -> None:
    """Hold outputs and all gradients against torch's direct convolution in double precision."""
    parts = [random_tensor(*images), random_tensor(*weight, seed=1), random_tensor(weight[0], seed=2)]
    exact = [part.double().requires_grad_() for part in parts]
    ours = [part.requires_grad_() for part in parts]
    expected = F.conv2d(exact[0], exact[1], exact[2] if biased else None, padding=padding)
    found = convolution(ours[0], ours[1], ours[2] if biased else None, padding)
    assert found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(found, expected) < close
    gradients = random_tensor(*expected.shape, seed=3)
    torch.autograd.backward(expected, gradients.double())
    torch.autograd.backward(found, gradients)
    for one, other in list(zip(ours, exact, strict=True))[: 2 + biased]:
        assert one.grad is not None
        assert other.grad is not None
        assert relative_error(one.grad, other.grad) < close
