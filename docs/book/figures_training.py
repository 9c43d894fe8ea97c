"""The figures of the chapters on activations and optimizers; every curve in them is computed here."""

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
from convolve.reports.drawing import use_log_scale
from convolve.training.recipe import Optimization, ScheduleName
from convolve.training.schedules import learning_rate_at

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
    """Every activation (blue) and its derivative (orange), by the functions of `convolve.from_scratch`."""
    x = np.linspace(-4, 4, 401)
    ones = np.ones_like(x)
    stretched, _ = tanh_forward(SLOPE * x)
    curves: dict[str, tuple[Array, Array]] = {}
    for activation, (forward, backward) in ACTIVATIONS.items():
        y, cache = forward(x)
        curves[activation] = y, backward(ones, cache)
    curves["1.7159 tanh(2x/3)"] = AMPLITUDE * stretched, AMPLITUDE * SLOPE * (1 - stretched**2)
    figure, axes = grid(2, 3, (7.7, 4.4))
    for ax, (name, (y, gradient)) in zip(axes, curves.items(), strict=True):
        ax.plot(x, gradient, color=WRONG, linewidth=1.5)
        ax.plot(x, y, color=RIGHT, linewidth=2)
        ax.set(title=name, ylim=(-2.2, 2.2))
    axes[0].text(1.6, 1.2, "f(x)", color=RIGHT)
    axes[0].text(1.6, 0.3, "f '(x)", color=WRONG)
    return figure


def vanishing() -> Figure:
    """The size of the loss's gradient at each of ten layers: it vanishes with sigmoids, and does not with ReLU."""
    figure, (ax,) = grid(1, 1, (6, 3.2))
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
        _, gradients = network.gradients(random.standard_normal((200, 100)), random.integers(10, size=200))
        sizes = [np.sqrt(np.square(gradients[f"{2 * number}.w"]).mean()) for number in range(DEPTH)]
        ax.plot(layers, sizes, "o-", color=color, markersize=4, label=name)
    use_log_scale(ax, "y")
    ax.set(ylabel="√ mean (∂L/∂W)²", xticks=layers)
    ax.legend(frameon=False, loc="lower right")
    return figure


def initialization() -> Figure:
    """Histograms of the outputs of ten layers of 500 units, with their deviation, under four initializations."""
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
            ax = figure.add_subplot(len(cases), DEPTH, row * DEPTH + layer + 1)
            histogram(ax, x, (-1, 1) if name == "tanh" else (0, 2))
            if row == 0:
                ax.set_title(str(layer + 1), fontsize=9, color=MUTED)
            if layer == 0:
                ax.set_ylabel(title, fontsize=9, rotation=0, ha="right", va="center")
    return figure


def bowl(w: Array) -> tuple[float, Array]:
    """``f = x²/20 + y²`` at (x, y), and its gradient: twenty times as steep along y as along x."""
    return float(w[0] ** 2 / 20 + w[1] ** 2), w * np.array([0.1, 2.0])


def path(rule: Rule, steps: int, noise: float = 0.0) -> Array:
    """(steps + 1, 2) positions of a rule on the bowl, from (-7, 2), with Gaussian noise on the gradients."""
    random = np.random.default_rng(1)
    parameters = {"w": np.array([-7.0, 2.0])}
    optimizer, positions = Optimizer(rule), [parameters["w"].copy()]
    for _ in range(steps):
        gradient = bowl(parameters["w"])[1] + noise * random.standard_normal(2)
        optimizer.step(parameters, {"w": gradient})
        positions.append(parameters["w"].copy())
    return np.array(positions)


def optimizers() -> Figure:
    """Thirty steps of each of the eight rules on the bowl."""
    x, y = np.meshgrid(np.linspace(-9, 9, 61), np.linspace(-4, 4, 31))
    figure, axes = grid(4, 2, (7.7, 8))
    for ax, (name, rule) in zip(axes, RULES, strict=True):
        positions = path(rule, 30, 0.4 if name.startswith("SGD") else 0.0)
        ax.contour(x, y, x**2 / 20 + y**2, levels=(0.1, 0.5, 1, 2, 4, 8, 12), colors=LINE, linewidths=0.8)
        ax.plot(*positions.T, "o-", color=RIGHT, markersize=3, linewidth=1)
        ax.plot(0, 0, "+", color=WRONG, markersize=12, markeredgewidth=2)
        ax.set(title=f"{name}:  f = {bowl(positions[-1])[0]:.2g}", xlim=(-9, 9), ylim=(-4, 4))
    return figure


def schedules() -> Figure:
    """The learning rate over a training of 30 epochs, by `convolve.training.schedules`."""
    names: tuple[ScheduleName, ...] = ("constant", "step", "cosine", "one-cycle")
    figure, axes = grid(1, 4, (7.7, 2))
    for ax, name in zip(axes, names, strict=True):
        settings = Optimization(learning_rate=1.0, schedule=name, warmup=9.0 if name == "one-cycle" else 2.0)
        ax.plot(np.arange(600) / 20, [learning_rate_at(settings, step, 20, 30) for step in range(600)], color=RIGHT)
        ax.set(title=name, ylim=(-0.05, 1.1), xticks=(0, 15, 30), yticks=(0, 1))
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "activations.svg": activations,
    "vanishing.svg": vanishing,
    "initialization.svg": initialization,
    "optimizers.svg": optimizers,
    "schedules.svg": schedules,
}
