"""Against torch's pooling with places and its inverse."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.unpooling import Unpooling


@pytest.mark.parametrize("size", [(45, 60), (8, 6), (1, 3)])
def test_values_go_back_to_where_torch_found_them(size: tuple[int, int]) -> None:
    pooled = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    maxima, places = nn.MaxPool2d(2, ceil_mode=True, return_indices=True)(pooled)
    values = torch.rand(maxima.shape, generator=torch.Generator().manual_seed(2))
    found = Unpooling()(values, pooled)
    assert torch.equal(found, nn.MaxUnpool2d(2)(values, places, output_size=size))
    assert torch.equal(found.flatten(2).gather(2, places.flatten(2)), values.flatten(2))
    back = Unpooling()(maxima, pooled)
    assert torch.equal(back, pooled * (back != 0))


def test_the_first_of_equal_values_gets_it() -> None:
    found = Unpooling()(torch.tensor([[[[5.0]]]]), torch.zeros(1, 1, 2, 2))
    assert found.tolist() == [[[[5.0, 0.0], [0.0, 0.0]]]]


def test_gradients_reach_the_values_and_not_the_places() -> None:
    values, pooled = torch.ones(1, 1, 2, 2, requires_grad=True), torch.rand(1, 1, 4, 4, requires_grad=True)
    torch.autograd.backward(Unpooling()(values, pooled).sum())
    assert values.grad is not None
    assert torch.equal(values.grad, torch.ones(1, 1, 2, 2))
    assert pooled.grad is None
