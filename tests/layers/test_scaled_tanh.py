"""Appendix A of the paper says what the constants are for."""

from __future__ import annotations

import pytest
import torch

from convolve.layers.scaled_tanh import ScaledTanh


def test_one_stays_one_and_minus_one_minus_one() -> None:
    assert ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0])).tolist() == pytest.approx([-1, 0, 1], abs=1e-4)


def test_second_derivative_is_greatest_at_one() -> None:
    sums = torch.linspace(-3, 3, 601, dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(ScaledTanh()(sums).sum(), sums, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), sums)[0]
    assert float(sums.detach()[second.abs().argmax()].abs()) == pytest.approx(1, abs=0.02)
    assert torch.autograd.gradcheck(ScaledTanh(), sums[::60].detach().requires_grad_())
