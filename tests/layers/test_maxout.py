from __future__ import annotations

import pytest
import torch

from convolve.layers.maxout import Maxout


def _affine(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(4, 30), (2, 12, 3, 5)])
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_it_is_the_greatest_of_the_pieces(shape: tuple[int, ...], pieces: int) -> None:
    affine = _affine(*shape)
    greatest = torch.stack(affine.chunk(pieces, 1)).amax(0)
    torch.testing.assert_close(Maxout(pieces)(affine), greatest)


def test_the_gradient_goes_to_the_greatest_piece_alone() -> None:
    affine = _affine(8, 15).requires_grad_()
    torch.autograd.backward(Maxout(5)(affine).sum())
    assert affine.grad is not None
    pieces = affine.detach().view(8, 5, 3)
    assert torch.equal(affine.grad.view(8, 5, 3), (pieces == pieces.amax(1, keepdim=True)).float())
    assert torch.autograd.gradcheck(Maxout(3), _affine(2, 6, 2, 2).double().requires_grad_())


def test_two_pieces_make_a_rectifier_and_the_absolute_value() -> None:
    values = _affine(3, 7)
    assert torch.equal(Maxout()(torch.cat([values, torch.zeros_like(values)], 1)), values.relu())
    torch.testing.assert_close(Maxout()(torch.cat([values, -values], 1)), values.abs())


def test_it_keeps_type_and_layout() -> None:
    maps = _affine(2, 12, 4, 5).bfloat16().contiguous(memory_format=torch.channels_last)
    found = Maxout(3)(maps)
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
