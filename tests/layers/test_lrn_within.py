from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from convolve.layers.lrn_within import LocalResponseNormWithin


@pytest.fixture
def maps() -> torch.Tensor:
    return 30 * torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("window", [3, 5])
def test_neighbors_are_those_of_the_same_map(maps: torch.Tensor, window: int) -> None:
    reach, alpha = window // 2, 0.01
    squares = F.pad(maps.square(), (reach,) * 4)
    formula = torch.empty_like(maps)
    for row in range(6):
        for column in range(5):
            around = squares[:, :, row : row + window, column : column + window].sum((2, 3))
            formula[:, :, row, column] = maps[:, :, row, column] / (1 + alpha / window**2 * around) ** 0.75
    torch.testing.assert_close(LocalResponseNormWithin(window, alpha)(maps), formula)


def test_gradient_is_that_of_finite_differences(maps: torch.Tensor) -> None:
    layer = LocalResponseNormWithin(3, alpha=0.01)
    assert torch.autograd.gradcheck(layer, maps[:1, :2, :3, :3].double().requires_grad_())


def test_it_keeps_type_and_layout(maps: torch.Tensor) -> None:
    layer = LocalResponseNormWithin()
    rough = layer(maps.bfloat16().contiguous(memory_format=torch.channels_last))
    assert rough.dtype == torch.bfloat16
    assert rough.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rough.float(), layer(maps), rtol=0.02, atol=0.01)
