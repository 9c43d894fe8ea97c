"""Every trace of `convolve scratch` against torch's own functions and autograd: each output, and each gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import convolve
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import Trace
from convolve.verbs.scratch import WorkedCalculation


def random_array(*shape: int) -> Array:
    """Random, with few digits, so that they can be written as options."""
    return np.round(np.random.default_rng(sum(shape)).standard_normal(shape), 3)


def as_text(values: Array) -> str:
    """As one would type them: two, three or four axes."""
    if values.ndim == 2:
        return "; ".join(" ".join(map(str, row)) for row in values)
    return (" || " if values.ndim == 4 else " | ").join(map(as_text, values))


def trace_of(operation: Any, **options: Any) -> Trace:
    """The trace of `convolve.scratch`."""
    result = convolve.scratch(operation, **options, progress=False)
    assert isinstance(result, WorkedCalculation)
    return result.trace


def grids(trace: Trace, name: str) -> Array:
    return np.array([grid.values for grid in trace.grids if grid.name.rstrip("0123456789,") == name])


def agrees(trace: Trace, output: Tensor, gradients: dict[str, Tensor], dy: Array) -> None:
    """Output y and every gradient, by the names of the grids."""
    np.testing.assert_allclose(grids(trace, "y").ravel(), output.detach().ravel(), rtol=1e-9, atol=1e-9)
    expected = torch.autograd.grad(output, list(gradients.values()), torch.from_numpy(dy).reshape(output.shape))
    for name, gradient in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(
            grids(trace, f"d{name}").ravel(), gradient.ravel(), rtol=1e-9, atol=1e-9, err_msg=name
        )


def leaves(**values: Array) -> dict[str, Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation"), [(1, 1, 0, 1), (1, 2, 1, 2), (2, 1, 1, 1), (4, 2, 0, 2)]
)
def test_convolution(groups: int, stride: int, padding: int, dilation: int) -> None:
    window = {"groups": groups, "stride": stride, "padding": padding, "dilation": dilation}
    x, w, b = random_array(4, 6, 5), random_array(4, 4 // groups, 3, 2), random_array(4)
    given = leaves(x=x[None], w=w, b=b)
    y = F.conv2d(given["x"], given["w"], given["b"], stride, padding, dilation, groups)
    dy = random_array(*y.shape[1:])
    words = {"input": as_text(x), "kernel": as_text(w), "bias": as_text(b[None]), "delta": as_text(dy)}
    agrees(trace_of("conv2d", **words, **window, backward=True), y, given, dy)
    line = leaves(x=x[None, :, 0], w=w[:, :, 0], b=b)
    y = F.conv1d(line["x"], line["w"], line["b"], stride, padding, dilation, groups)
    words["kernel"] = " | ".join(map(as_text, w[:, :, 0]))
    words |= {"input": as_text(x[:, 0]), "delta": as_text(dy := random_array(*y.shape[1:]))}
    agrees(trace_of("conv1d", **words, **window, backward=True), y, line, dy)


def test_pooling() -> None:
    x = random_array(2, 5, 5)
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "max": partial(F.max_pool2d, kernel_size=3, stride=2),
        "average": partial(F.avg_pool2d, kernel_size=3, stride=2),
        "min": lambda x: -F.max_pool2d(-x, 3, 2),
    }
    for kind, function in functions.items():
        given, dy = leaves(x=x[None]), random_array(2, 2, 2)
        words = {"input": as_text(x), "kind": kind, "delta": as_text(dy)}
        agrees(trace_of("pool", **words, size=3, stride=2, backward=True), function(given["x"]), given, dy)


def test_affine_and_maxout() -> None:
    x, w, b, dy = random_array(3, 2), random_array(2, 2, 4), random_array(2, 4), random_array(3, 4)
    words = {"input": as_text(x), "delta": as_text(dy)}
    given = leaves(x=x, w=w[0], b=b[0])
    trace = trace_of("affine", **words, kernel=as_text(w[0]), bias=as_text(b[:1]), backward=True)
    agrees(trace, given["x"] @ given["w"] + given["b"], given, dy)
    given = leaves(x=x, w=w, b=b)
    y = (given["x"] @ given["w"] + given["b"][:, None]).amax(0)
    trace = trace_of("maxout", **words, kernel=as_text(w), bias=as_text(b), backward=True)
    agrees(trace, y, given, dy)


def test_activations() -> None:
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": F.relu,
        "leaky relu": partial(F.leaky_relu, negative_slope=0.1),
        "elu": F.elu,
    }
    for kind, function in functions.items():
        given, dy = leaves(x=random_array(3, 4)), random_array(4, 3).T
        trace = trace_of("activation", input=as_text(random_array(3, 4)), kind=kind, delta=as_text(dy), backward=True)
        agrees(trace, function(given["x"]), given, np.ascontiguousarray(dy))


def test_normalizations() -> None:
    x, gamma, beta, dy = random_array(4, 3), random_array(3), random_array(3) + 1, random_array(4, 3) + 1
    words = {"input": as_text(x), "kernel": as_text(gamma[None]), "bias": as_text(beta[None]), "delta": as_text(dy)}
    functions: dict[str, Callable[..., Tensor]] = {
        "batchnorm": lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True),
        "layernorm": lambda x, gamma, beta: F.layer_norm(x, (3,), gamma, beta),
    }
    for operation, function in functions.items():
        given = leaves(x=x, γ=gamma, β=beta)
        agrees(trace_of(operation, **words, backward=True), function(*given.values()), given, dy)


@pytest.mark.parametrize(("kind", "k", "alpha"), [("paper", 2, 5e-4), ("caffe", 1, 1e-4)])  # torch divides by n = 5
def test_local_response_normalization(kind: str, k: float, alpha: float) -> None:
    x, dy = 200 * random_array(2, 7), random_array(7, 2).T
    given = leaves(x=x)
    trace = trace_of("lrn", input=as_text(x), kind=kind, delta=as_text(dy), backward=True)
    y = F.local_response_norm(given["x"][..., None], 5, alpha, 0.75, k)[..., 0]
    agrees(trace, y, given, np.ascontiguousarray(dy))


def test_dropout_by_its_mask() -> None:
    x, dy, mask = random_array(3, 4), random_array(4, 3).T, (random_array(3, 4) > 0).astype(float)
    given = leaves(x=x)
    words = {"input": as_text(x), "kernel": as_text(mask), "delta": as_text(dy)}
    trace = trace_of("dropout", **words, probability=0.2, backward=True)
    agrees(trace, given["x"] * torch.from_numpy(mask) / 0.8, given, np.ascontiguousarray(dy))


def test_losses() -> None:
    x, target, labels = 3 * random_array(4, 3), random_array(3, 4).T, torch.tensor([2, 0, 1, 1])
    losses: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
        "softmax": ("3 1 2 2", lambda x: F.cross_entropy(x, labels)),
        "hinge": ("3 1 2 2", lambda x: F.multi_margin_loss(x, labels) * 3),  # torch takes the classes' mean
        "l1": (as_text(target), lambda x: F.l1_loss(x, torch.from_numpy(target))),
        "l2": (as_text(target), lambda x: F.mse_loss(x, torch.from_numpy(target))),
    }
    for operation, (words, function) in losses.items():
        leaf = torch.tensor(np.round(x, 3), requires_grad=True)
        trace = trace_of(operation, input=as_text(np.round(x, 3)), target=words, backward=True)
        loss = function(leaf)
        assert grids(trace, "L").item() == pytest.approx(loss.item(), rel=1e-12)
        np.testing.assert_allclose(grids(trace, "dx")[0], torch.autograd.grad(loss, leaf)[0], rtol=1e-9, atol=1e-12)
