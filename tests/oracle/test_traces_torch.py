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


@pytest.mark.parametrize(
    ("filters", "stride", "padding", "dilation"), [(1, 1, 0, 1), (2, 2, 1, 1), (3, 3, 0, 2), (2, 1, 2, 2), (1, 2, 2, 1)]
)
def test_transposed_convolution(filters: int, stride: int, padding: int, dilation: int) -> None:
    x, w, b = random_array(2, 3, 4), random_array(filters, 2, 3, 2), random_array(filters)
    tensors = leaves(x=x, w=w, b=b)
    sliding = {"stride": stride, "padding": padding, "dilation": dilation}
    # torch's weights have the input's channels first
    weights = tensors["w"].transpose(0, 1)
    output = F.conv_transpose2d(tensors["x"][None], weights, tensors["b"], **sliding)[0]
    dy = random_array(*output.shape)
    numbers = {"kernel": as_text(w) if filters > 1 else as_text(w[0]), "bias": " ".join(map(str, b))}
    numbers["delta"] = as_text(dy)
    trace = trace_of("transposed-conv", input=as_text(x), backward=True, **sliding, **numbers)
    agrees(trace, output, tensors, dy)
    assert grids(trace, "O").ravel().tolist() == list(output.shape[1:])


def test_global_average_pooling() -> None:
    x = random_array(3, 4, 5)
    tensors = leaves(x=x)
    output = F.adaptive_avg_pool2d(tensors["x"][None], 1).reshape(1, 3)
    dy = random_array(1, 3)
    agrees(trace_of("gap", input=as_text(x), delta=as_text(dy), backward=True), output, tensors, dy)


def test_a_class_activation_map_is_a_1x1_convolution_whose_mean_is_the_score() -> None:
    x, w = random_array(4, 3, 5), random_array(3, 4)
    maps = F.conv2d(torch.from_numpy(x)[None], torch.from_numpy(w)[:, :, None, None])[0]
    scores = torch.from_numpy(w) @ torch.from_numpy(x).mean((1, 2))
    best = trace_of("cam", input=as_text(x), kernel=as_text(w))
    chosen = int(scores.argmax())
    np.testing.assert_allclose(grids(best, "M")[0], maps[chosen], atol=1e-12)
    for label in range(3):
        trace = trace_of("cam", input=as_text(x), kernel=as_text(w), target=str(label + 1))
        np.testing.assert_allclose(grids(trace, "M")[0], maps[label], atol=1e-12)
        np.testing.assert_allclose(grids(trace, "mean").item(), scores[label], atol=1e-12)
        scaled = (maps[label] - maps[label].min()) / (maps[label].max() - maps[label].min())
        np.testing.assert_allclose(grids(trace, "h")[0], scaled, atol=1e-12)


def test_batch_normalization_along_its_graph() -> None:
    x, gamma, beta, dy = random_array(5, 3), random_array(3), random_array(3), random_array(5, 3)
    tensors = leaves(x=x, γ=gamma, β=beta)
    output = F.batch_norm(tensors["x"], None, None, tensors["γ"], tensors["β"], training=True)
    numbers = {"kernel": " ".join(map(str, gamma)), "bias": " ".join(map(str, beta)), "delta": as_text(dy)}
    trace = trace_of("batchnorm", kind="graph", input=as_text(x), backward=True, **numbers)
    agrees(trace, output, tensors, dy)


def test_every_node_of_the_graph_gets_its_gradient() -> None:
    x, gamma, dy = random_array(5, 3), random_array(3), random_array(5, 3)
    mean = torch.from_numpy(x).mean(0, keepdim=True).requires_grad_()
    c = (torch.from_numpy(x) - mean.detach()).requires_grad_()
    q = (c.detach() ** 2).requires_grad_()
    variance = q.detach().mean(0, keepdim=True).requires_grad_()
    s = (variance.detach() + 1e-5).sqrt().requires_grad_()
    r = (1 / s.detach()).requires_grad_()
    delta, scale = torch.from_numpy(dy), torch.from_numpy(gamma)

    def loss(normalized: Tensor) -> Tensor:
        return (scale * normalized * delta).sum()

    expected = {"r": loss(c * r), "s": loss(c / s), "σ²": loss(c / (variance + 1e-5).sqrt())}
    expected["q"] = loss(c.detach() / (q.mean(0, keepdim=True) + 1e-5).sqrt())
    expected["c"] = loss(c / ((c**2).mean(0, keepdim=True) + 1e-5).sqrt())
    moved = torch.from_numpy(x) - mean
    expected["μ"] = loss(moved / ((moved**2).mean(0, keepdim=True) + 1e-5).sqrt())
    nodes = {"r": r, "s": s, "σ²": variance, "q": q, "c": c, "μ": mean}
    numbers = {"kernel": " ".join(map(str, gamma)), "delta": as_text(dy)}
    trace = trace_of("batchnorm", kind="graph", input=as_text(x), backward=True, **numbers)
    for name, value in expected.items():
        gradient = torch.autograd.grad(value, nodes[name])[0]
        np.testing.assert_allclose(grids(trace, f"d{name}")[0], gradient, atol=1e-9, err_msg=name)


OPTIMIZERS: dict[str, Callable[[list[Tensor], float], torch.optim.Optimizer]] = {
    "gradient descent": torch.optim.SGD,
    "momentum": lambda w, lr: torch.optim.SGD(w, lr, momentum=0.9),
    "nesterov": lambda w, lr: torch.optim.SGD(w, lr, momentum=0.9, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
}


@pytest.mark.parametrize("surface", ["bowl", "saddle"])
@pytest.mark.parametrize("name", [*OPTIMIZERS, "sgd"])
def test_optimizers(name: Any, surface: Any) -> None:
    a, b = (0.1, 2.0) if surface == "bowl" else (1.0, -1.0)
    w = torch.tensor([-3.0, 0.5], dtype=torch.float64, requires_grad=True)
    trace = trace_of("optimizer", input="-3 0.5", kind=surface, optimizer=name, learning_rate=0.07, steps=9)
    optimizer = OPTIMIZERS.get(name, OPTIMIZERS["gradient descent"])([w], 0.07)
    centers = [(1, 0.5), (-1, -0.5), (1, -0.5), (-1, 0.5)] if name == "sgd" else [(0, 0)]
    path = []
    for t in range(9):
        optimizer.zero_grad()
        x, y = (w - torch.tensor(centers[t % len(centers)])).unbind()
        ((a * x**2 + b * y**2) / 2).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        x, y = w.detach().tolist()
        path.append((x, y, (a * x**2 + b * y**2) / 2))
    np.testing.assert_allclose(grids(trace, name)[0], np.transpose(path), rtol=1e-6)
    np.testing.assert_allclose(grids(trace, "f").item(), path[-1][2], rtol=1e-6)


def _layer(word: str, channels: int) -> torch.nn.Module:
    """torch's layer of the words used below."""
    return {
        "3x3x8p1": torch.nn.Conv2d(channels, 8, 3, padding=1),
        "11x5x6s4p2": torch.nn.Conv2d(channels, 6, (11, 5), 4, 2),
        "pool3x3s2": torch.nn.MaxPool2d(3, 2),
        "pool2x2": torch.nn.MaxPool2d(2),
        "gap": torch.nn.AdaptiveAvgPool2d(1),
        "1x1x5": torch.nn.Conv2d(channels, 5, 1),
    }[word]


@pytest.mark.parametrize("words", [("3x3x8p1", "pool2x2", "1x1x5", "gap"), ("11x5x6s4p2", "pool3x3s2", "3x3x8p1")])
def test_layers_have_the_output_the_parameters_and_the_receptive_field_of_torch(words: tuple[str, ...]) -> None:
    channels, x, modules = 3, torch.zeros(1, 3, 61, 47, dtype=torch.float64), []
    trace = trace_of("layer", input="61 47 3", kernel=" ".join(words))
    x.requires_grad_()
    y = x
    for n, word in enumerate(words):
        module = _layer(word, channels).double()
        if isinstance(module, torch.nn.MaxPool2d):  # whose gradient would reach one value of the window alone
            module = torch.nn.AvgPool2d(module.kernel_size, module.stride)
        modules.append(module)
        for weight in module.parameters():
            torch.nn.init.ones_(weight)
        y = module(y)
        channels = y.shape[1]
        assert grids(trace, "O")[0][n].tolist() == [*y.shape[2:], channels]
        assert grids(trace, "P")[0][n, 2] == sum(weight.numel() for weight in module.parameters())
        middle = y[0, 0, y.shape[2] // 2, y.shape[3] // 2]
        seen = torch.autograd.grad(middle, x, retain_graph=True)[0][0, 0] != 0
        sides = [int(seen.any(1).sum()), int(seen.any(0).sum())]
        assert grids(trace, "R")[0][n].tolist() == sides
