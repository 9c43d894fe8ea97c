"""The pictures of the chapters on activations and optimizers; every curve in them is computed here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from plots import grid, histogram

from convolve.from_scratch.activations import ACTIVATIONS, Activation, tanh_forward
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.initializers import Initializer, gaussian, he, xavier
from convolve.from_scratch.layers import Initialization, activation_layer, affine_layer
from convolve.from_scratch.networks import Network
from convolve.from_scratch.optimizers import (
    AdaDelta,
    Adagrad,
    Adam,
    GradientDescent,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    Rule,
)
from convolve.layers.lecun import AMPLITUDE, SLOPE
from convolve.reports.colors import LINE, MUTED, RIGHT, WRONG
from convolve.training.recipe import Optimization, ScheduleName
from convolve.training.schedules import rate_at

DEPTH, WIDTH = 10, 500
RULES: tuple[tuple[str, Rule], ...] = (
    ("gradient descent, 0.95", GradientDescent(0.95)),
    ("SGD, 0.95", GradientDescent(0.95)),
    ("momentum, 0.1", Momentum(0.1)),
    ("Nesterov, 0.1", Nesterov(0.1)),
    ("Adagrad, 1.5", Adagrad(1.5)),
    ("RMSProp, 0.3", RMSProp(0.3, decay=0.9)),
    ("AdaDelta, 1.0, ε = 0.1", AdaDelta(1.0, epsilon=0.1)),
    ("Adam, 0.3", Adam(0.3)),
)
"""What the paths are drawn for, with their learning rates."""


def activations() -> Figure:
    """Every activation (blue) and its slope (orange), by the functions of `convolve.from_scratch`."""
    x = np.linspace(-4, 4, 401)
    ones = np.ones_like(x)
    stretched, _ = tanh_forward(SLOPE * x)
    curves: dict[str, tuple[Array, Array]] = {}
    for activation, (forward, backward) in ACTIVATIONS.items():
        y, cache = forward(x)
        curves[activation] = y, backward(ones, cache)
    curves["1.7159 tanh(2x/3)"] = AMPLITUDE * stretched, AMPLITUDE * SLOPE * (1 - stretched**2)
    figure, axes = grid(2, 3, (7.7, 4.4))
    for place, (name, (y, slope)) in zip(axes, curves.items(), strict=True):
        place.plot(x, slope, color=WRONG, linewidth=1.5)
        place.plot(x, y, color=RIGHT, linewidth=2)
        place.set(title=name, ylim=(-2.2, 2.2))
    axes[0].text(1.6, 1.2, "f(x)", color=RIGHT)
    axes[0].text(1.6, 0.3, "f '(x)", color=WRONG)
    return figure


def vanishing() -> Figure:
    """The size of the loss's slope at each of ten layers: it vanishes through sigmoids, and lives through ReLU."""
    figure, (place,) = grid(1, 1, (6, 3.2))
    layers = np.arange(1, DEPTH + 1)
    cases: tuple[tuple[Activation, Initializer, str], ...] = (
        ("sigmoid", xavier, WRONG),
        ("tanh", xavier, MUTED),
        ("relu", he, RIGHT),
    )
    for name, initializer, color in cases:
        random = np.random.default_rng(0)
        init = Initialization(random, np.float64, initializer)
        stack = [part for _ in range(DEPTH) for part in (affine_layer(init, 100, 100), activation_layer(name))]
        network = Network([*stack, affine_layer(init, 100, 10)])
        _, slopes = network.gradients(random.standard_normal((200, 100)), random.integers(10, size=200))
        sizes = [np.sqrt(np.square(slopes[f"{2 * number}.w"]).mean()) for number in range(DEPTH)]
        place.semilogy(layers, sizes, "o-", color=color, markersize=4, label=name)
    place.set(ylabel="√ mean (∂L/∂W)²", xticks=layers)
    place.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
    place.legend(frameon=False, loc="lower right")
    return figure


def initialization() -> Figure:
    """Histograms of what leaves each of ten layers of 500 units, with the deviation, under four initializations."""
    cases: tuple[tuple[str, Activation, Initializer], ...] = (
        ("Gaussian 0.01\ntanh", "tanh", gaussian),
        ("Xavier\ntanh", "tanh", xavier),
        ("Xavier\nReLU", "relu", xavier),
        ("He\nReLU", "relu", he),
    )
    figure = Figure(figsize=(8.2, 4.6), layout="constrained")
    for row, (title, name, initializer) in enumerate(cases):
        random = np.random.default_rng(0)
        x: Array = random.standard_normal((500, WIDTH))
        for layer in range(DEPTH):
            x, _ = ACTIVATIONS[name][0](x @ initializer(random, (WIDTH, WIDTH), np.float64))
            place = figure.add_subplot(len(cases), DEPTH, row * DEPTH + layer + 1)
            histogram(place, x, (-1, 1) if name == "tanh" else (0, 2))
            if row == 0:
                place.set_title(str(layer + 1), fontsize=9, color=MUTED)
            if layer == 0:
                place.set_ylabel(title, fontsize=9, rotation=0, ha="right", va="center")
    return figure


def bowl(w: Array) -> tuple[float, Array]:
    """``f = x²/20 + y²`` at (x, y), and its slope: twenty times as steep along y as along x."""
    return float(w[0] ** 2 / 20 + w[1] ** 2), w * np.array([0.1, 2.0])


def path(rule: Rule, steps: int, noise: float = 0.0) -> Array:
    """(steps + 1, 2) places of a rule on the bowl, from (-7, 2), with Gaussian noise on the slopes (a batch's)."""
    random = np.random.default_rng(1)
    parameters = {"w": np.array([-7.0, 2.0])}
    optimizer, places = Optimizer(rule), [parameters["w"].copy()]
    for _ in range(steps):
        slope = bowl(parameters["w"])[1] + noise * random.standard_normal(2)
        optimizer.step(parameters, {"w": slope})
        places.append(parameters["w"].copy())
    return np.array(places)


def optimizers() -> Figure:
    """Thirty steps of each of the eight rules on the bowl."""
    x, y = np.meshgrid(np.linspace(-9, 9, 61), np.linspace(-4, 4, 31))
    figure, axes = grid(4, 2, (7.7, 8))
    for place, (name, rule) in zip(axes, RULES, strict=True):
        places = path(rule, 30, 0.4 if name.startswith("SGD") else 0.0)
        place.contour(x, y, x**2 / 20 + y**2, levels=(0.1, 0.5, 1, 2, 4, 8, 12), colors=LINE, linewidths=0.8)
        place.plot(*places.T, "o-", color=RIGHT, markersize=3, linewidth=1)
        place.plot(0, 0, "+", color=WRONG, markersize=12, markeredgewidth=2)
        place.set(title=f"{name}:  f = {bowl(places[-1])[0]:.2g}", xlim=(-9, 9), ylim=(-4, 4))
    return figure


def schedules() -> Figure:
    """The learning rate over a training of 30 epochs, by `convolve.training.schedules`."""
    names: tuple[ScheduleName, ...] = ("constant", "step", "cosine", "one-cycle")
    figure, axes = grid(1, 4, (7.7, 2))
    for place, name in zip(axes, names, strict=True):
        settings = Optimization(rate=1.0, schedule=name, warmup=9.0 if name == "one-cycle" else 2.0)
        place.plot(np.arange(600) / 20, [rate_at(settings, step, 20, 30) for step in range(600)], color=RIGHT)
        place.set(title=name, ylim=(-0.05, 1.1), xticks=(0, 15, 30), yticks=(0, 1))
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "activations.svg": activations,
    "vanishing.svg": vanishing,
    "initialization.svg": initialization,
    "optimizers.svg": optimizers,
    "schedules.svg": schedules,
}
