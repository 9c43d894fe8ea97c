"""Every walk through the sums against torch's own functions and autograd: each output, and each slope."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import convolve
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Walk


def drawn(*shape: int) -> Array:
    """Drawn with few digits, so that they can be typed."""
    return np.round(np.random.default_rng(sum(shape)).standard_normal(shape), 3)


def typed(values: Array) -> str:
    """As a person would write them: two axes, three or four."""
    if values.ndim == 2:
        return "; ".join(" ".join(map(str, row)) for row in values)
    return (" || " if values.ndim == 4 else " | ").join(map(typed, values))


def grids(walk: Walk, name: str) -> Array:
    return np.array([grid.values for grid in walk.grids if grid.name.rstrip("0123456789,") == name])


def agrees(walk: Walk, output: Tensor, slopes: dict[str, Tensor], dy: Array) -> None:
    """Output y and every slope, wherever it stands among the grids."""
    np.testing.assert_allclose(grids(walk, "y").ravel(), output.detach().ravel(), rtol=1e-9, atol=1e-9)
    expected = torch.autograd.grad(output, list(slopes.values()), torch.from_numpy(dy).reshape(output.shape))
    for name, slope in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(grids(walk, f"d{name}").ravel(), slope.ravel(), rtol=1e-9, atol=1e-9, err_msg=name)


def leaves(**values: Array) -> dict[str, Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation"), [(1, 1, 0, 1), (1, 2, 1, 2), (2, 1, 1, 1), (4, 2, 0, 2)]
)
def test_convolution(groups: int, stride: int, padding: int, dilation: int) -> None:
    way = {"groups": groups, "stride": stride, "padding": padding, "dilation": dilation}
    x, w, b = drawn(4, 6, 5), drawn(4, 4 // groups, 3, 2), drawn(4)
    given = leaves(x=x[None], w=w, b=b)
    y = F.conv2d(given["x"], given["w"], given["b"], stride, padding, dilation, groups)
    dy = drawn(*y.shape[1:])
    words = {"input": typed(x), "kernel": typed(w), "bias": typed(b[None]), "delta": typed(dy)}
    agrees(convolve.scratch("conv2d", **words, **way, backward=True).walk, y, given, dy)
    line = leaves(x=x[None, :, 0], w=w[:, :, 0], b=b)
    y = F.conv1d(line["x"], line["w"], line["b"], stride, padding, dilation, groups)
    words["kernel"] = " | ".join(map(typed, w[:, :, 0]))
    words |= {"input": typed(x[:, 0]), "delta": typed(dy := drawn(*y.shape[1:]))}
    agrees(convolve.scratch("conv1d", **words, **way, backward=True).walk, y, line, dy)


def test_pooling() -> None:
    x = drawn(2, 5, 5)
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "max": partial(F.max_pool2d, kernel_size=3, stride=2),
        "average": partial(F.avg_pool2d, kernel_size=3, stride=2),
        "min": lambda x: -F.max_pool2d(-x, 3, 2),
    }
    for kind, function in functions.items():
        given, dy = leaves(x=x[None]), drawn(2, 2, 2)
        words = {"input": typed(x), "kind": kind, "delta": typed(dy)}
        agrees(convolve.scratch("pool", **words, size=3, stride=2, backward=True).walk, function(given["x"]), given, dy)


def test_affine_and_maxout() -> None:
    x, w, b, dy = drawn(3, 2), drawn(2, 2, 4), drawn(2, 4), drawn(3, 4)
    words = {"input": typed(x), "delta": typed(dy)}
    given = leaves(x=x, w=w[0], b=b[0])
    walk = convolve.scratch("affine", **words, kernel=typed(w[0]), bias=typed(b[:1]), backward=True).walk
    agrees(walk, given["x"] @ given["w"] + given["b"], given, dy)
    given = leaves(x=x, w=w, b=b)
    y = (given["x"] @ given["w"] + given["b"][:, None]).amax(0)
    walk = convolve.scratch("maxout", **words, kernel=typed(w), bias=typed(b), backward=True).walk
    agrees(walk, y, given, dy)


def test_activations() -> None:
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": F.relu,
        "leaky relu": partial(F.leaky_relu, negative_slope=0.1),
        "elu": F.elu,
    }
    for kind, function in functions.items():
        given, dy = leaves(x=drawn(3, 4)), drawn(4, 3).T
        walk = convolve.scratch("activation", input=typed(drawn(3, 4)), kind=kind, delta=typed(dy), backward=True).walk
        agrees(walk, function(given["x"]), given, np.ascontiguousarray(dy))


def test_normalizations() -> None:
    x, gamma, beta, dy = drawn(4, 3), drawn(3), drawn(3) + 1, drawn(4, 3) + 1
    words = {"input": typed(x), "kernel": typed(gamma[None]), "bias": typed(beta[None]), "delta": typed(dy)}
    functions: dict[str, Callable[..., Tensor]] = {
        "batchnorm": lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True),
        "layernorm": lambda x, gamma, beta: F.layer_norm(x, (3,), gamma, beta),
    }
    for operation, function in functions.items():
        given = leaves(x=x, γ=gamma, β=beta)
        agrees(convolve.scratch(operation, **words, backward=True).walk, function(*given.values()), given, dy)


@pytest.mark.parametrize(("kind", "k", "alpha"), [("paper", 2, 5e-4), ("caffe", 1, 1e-4)])  # torch divides by n = 5
def test_local_response_normalization(kind: str, k: float, alpha: float) -> None:
    x, dy = 200 * drawn(2, 7), drawn(7, 2).T
    given = leaves(x=x)
    walk = convolve.scratch("lrn", input=typed(x), kind=kind, delta=typed(dy), backward=True).walk
    y = F.local_response_norm(given["x"][..., None], 5, alpha, 0.75, k)[..., 0]
    agrees(walk, y, given, np.ascontiguousarray(dy))


def test_dropout_by_its_mask() -> None:
    x, dy, mask = drawn(3, 4), drawn(4, 3).T, (drawn(3, 4) > 0).astype(float)
    given = leaves(x=x)
    words = {"input": typed(x), "kernel": typed(mask), "delta": typed(dy)}
    walk = convolve.scratch("dropout", **words, share=0.2, backward=True).walk
    agrees(walk, given["x"] * torch.from_numpy(mask) / 0.8, given, np.ascontiguousarray(dy))


def test_losses() -> None:
    x, target, labels = 3 * drawn(4, 3), drawn(3, 4).T, torch.tensor([2, 0, 1, 1])
    wanted: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
        "softmax": ("3 1 2 2", lambda x: F.cross_entropy(x, labels)),
        "hinge": ("3 1 2 2", lambda x: F.multi_margin_loss(x, labels) * 3),  # torch takes the classes' mean
        "l1": (typed(target), lambda x: F.l1_loss(x, torch.from_numpy(target))),
        "l2": (typed(target), lambda x: F.mse_loss(x, torch.from_numpy(target))),
    }
    for operation, (words, function) in wanted.items():
        leaf = torch.tensor(np.round(x, 3), requires_grad=True)
        walk = convolve.scratch(operation, input=typed(np.round(x, 3)), target=words, backward=True).walk
        loss = function(leaf)
        assert grids(walk, "L").item() == pytest.approx(loss.item(), rel=1e-12)
        np.testing.assert_allclose(grids(walk, "dx")[0], torch.autograd.grad(loss, leaf)[0], rtol=1e-9, atol=1e-12)
