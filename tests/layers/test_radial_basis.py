from __future__ import annotations

import torch
from torch.nn import functional as F

from convolve.layers.radial_basis import RadialBasis


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_scores_are_minus_the_squared_distances() -> None:
    units, codes = _draw(5, 84), _draw(10, 84, seed=1).sign()
    torch.testing.assert_close(RadialBasis(codes)(units), -torch.cdist(units, codes).square(), rtol=1e-5, atol=1e-4)


def test_cross_entropy_is_equation_9_without_its_constant() -> None:
    units, codes, truth = 0.3 * _draw(6, 20), _draw(4, 20, seed=1), torch.tensor([0, 1, 2, 3, 0, 1])
    penalties = torch.stack([(units - code).square().sum(1) for code in codes], 1)
    wanted = penalties.gather(1, truth[:, None]).squeeze(1) + (-penalties).exp().sum(1).log()
    torch.testing.assert_close(F.cross_entropy(RadialBasis(codes)(units), truth), wanted.mean())


def test_gradient_pulls_towards_the_code() -> None:
    units, codes = _draw(5, 84).requires_grad_(), _draw(3, 84, seed=1)
    torch.autograd.backward(RadialBasis(codes)(units)[:, 2].sum())
    assert units.grad is not None
    torch.testing.assert_close(units.grad, 2 * (codes[2] - units.detach()))


def test_codes_are_saved_but_not_trained() -> None:
    layer = RadialBasis(_draw(3, 4))
    assert list(layer.parameters()) == []
    assert list(layer.state_dict()) == ["weight"]


def test_distances_are_exact_under_bfloat16() -> None:
    units, layer = _draw(5, 84).bfloat16(), RadialBasis(_draw(10, 84, seed=1).sign())
    with torch.autocast("cpu", torch.bfloat16):
        scores = layer(units)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, layer(units.float()))
