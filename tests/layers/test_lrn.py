from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from convolve.layers.lrn import LocalResponseNorm, LocalResponseNormWithin, caffe_lrn


@pytest.fixture
def maps() -> torch.Tensor:
    return 30 * torch.randn(2, 9, 4, 5, generator=torch.Generator().manual_seed(0))


def test_the_paper_multiplies_the_sum_by_alpha(maps: torch.Tensor) -> None:
    formula = torch.empty_like(maps)
    for channel in range(9):
        around = maps[:, max(0, channel - 2) : channel + 3].square().sum(1)
        formula[:, channel] = maps[:, channel] / (2 + 1e-4 * around) ** 0.75
    torch.testing.assert_close(LocalResponseNorm(9)(maps), formula)


def test_caffe_divides_alpha_by_the_window_as_torch_does(maps: torch.Tensor) -> None:
    torch.testing.assert_close(caffe_lrn(9, 5, 1e-4, 0.75)(maps), F.local_response_norm(maps, 5, 1e-4, 0.75, 1.0))
    torch.testing.assert_close(LocalResponseNorm(9)(maps), F.local_response_norm(maps, 5, 5e-4, 0.75, 2.0))


def test_gradient_is_that_of_finite_differences(maps: torch.Tensor) -> None:
    layer = LocalResponseNorm(9, window=3, alpha=0.01).double()
    assert torch.autograd.gradcheck(layer, maps[:1, :, :2, :2].double().requires_grad_())


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradient_is_that_of_torchs_own(maps: torch.Tensor, kind: torch.dtype) -> None:
    """Under autocast too, where the sums are in bfloat16 and the maps in either format."""
    exact, rough = (maps.to(kind).to(wide).requires_grad_() for wide in (torch.float32, kind))
    torch.autograd.backward(F.local_response_norm(exact, 5, 5e-4, 0.75, 2.0).square().sum())
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        torch.autograd.backward(LocalResponseNorm(9)(rough).square().sum())
    assert exact.grad is not None
    assert rough.grad is not None
    error = (rough.grad.double() - exact.grad).norm() / exact.grad.double().norm()
    assert float(error) < (0.02 if kind == torch.bfloat16 else 1e-6)


def test_it_keeps_type_and_layout_and_has_no_state(maps: torch.Tensor) -> None:
    layer = LocalResponseNorm(9)
    assert layer.state_dict() == {}
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(maps.bfloat16().contiguous(memory_format=torch.channels_last))
    assert rough.dtype == torch.bfloat16
    assert rough.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rough.float(), layer(maps), rtol=0.02, atol=0.01)


@pytest.fixture
def wide_maps() -> torch.Tensor:
    return 30 * torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("window", [3, 5])
def test_neighbors_are_those_of_the_same_map(wide_maps: torch.Tensor, window: int) -> None:
    reach, alpha = window // 2, 0.01
    squares = F.pad(wide_maps.square(), (reach,) * 4)
    formula = torch.empty_like(wide_maps)
    for row in range(6):
        for column in range(5):
            around = squares[:, :, row : row + window, column : column + window].sum((2, 3))
            formula[:, :, row, column] = wide_maps[:, :, row, column] / (1 + alpha / window**2 * around) ** 0.75
    torch.testing.assert_close(LocalResponseNormWithin(window, alpha)(wide_maps), formula)


def test_gradient_within_a_map_is_that_of_finite_differences(wide_maps: torch.Tensor) -> None:
    layer = LocalResponseNormWithin(3, alpha=0.01)
    assert torch.autograd.gradcheck(layer, wide_maps[:1, :2, :3, :3].double().requires_grad_())


def test_within_a_map_it_keeps_type_and_layout(wide_maps: torch.Tensor) -> None:
    layer = LocalResponseNormWithin()
    rough = layer(wide_maps.bfloat16().contiguous(memory_format=torch.channels_last))
    assert rough.dtype == torch.bfloat16
    assert rough.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rough.float(), layer(wide_maps), rtol=0.02, atol=0.01)
