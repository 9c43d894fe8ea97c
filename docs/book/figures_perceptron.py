"""The figures of the chapters on the perceptron and on backpropagation; every number in them is computed here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from drawing import Sheet, arrow, box, number, sheet, text
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from sklearn.datasets import load_digits

from convolve.from_scratch.classifiers import softmax_classifier
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.losses import cross_entropy_backward, cross_entropy_forward, softmax_forward
from convolve.from_scratch.optimizers import GradientDescent, Optimizer
from convolve.from_scratch.training import LabeledData, train
from convolve.reports.colors import CELL, MUTED, PAPER, RIGHT, WRONG, mix

SCORES = np.array([[3.0, 1.0, 2.0]])
TARGET = np.array([2])


def node(on: Sheet, at: tuple[float, float], words: str, radius: float = 0.75) -> None:
    """A circle with a sign in it."""
    on.axes.add_patch(Circle(at, radius, facecolor=CELL, edgecolor=MUTED, linewidth=0.9, zorder=3))
    text(on, at, words, size=11)


def neuron() -> Figure:
    """A perceptron: inputs, weights, the sum, the activation."""
    on = sheet(19, 7.5)
    for row, name in enumerate(("x₁", "x₂", "x₃")):
        y = 1.5 + 2.2 * row
        node(on, (1.5, y), name)
        arrow(on, (2.3, y), (7.6, 3.7 + 0.35 * (row - 1)))
        text(on, (4.6, y + 0.42 * (3.7 - y) - (0.45, 0.4, -0.75)[row]), name.replace("x", "w"), RIGHT)
    node(on, (8.6, 3.7), "Σ", 1)
    arrow(on, (8.6, 6.4), (8.6, 4.75))
    text(on, (8.6, 6.8), "b", RIGHT)
    arrow(on, (9.6, 3.7), (13.1, 3.7))
    text(on, (11.3, 3.1), "w·x + b", MUTED)
    node(on, (14.1, 3.7), "f", 1)
    arrow(on, (15.1, 3.7), (17.2, 3.7))
    text(on, (17.8, 3.7), "y", size=11)
    return on.figure


def softmax() -> Figure:
    """Three scores, their powers, probabilities, the target, and the gradient y - t."""
    _, cache = cross_entropy_forward(SCORES, TARGET)
    probabilities, _ = softmax_forward(SCORES)
    target = np.eye(3)[TARGET]
    columns = {
        "x": SCORES,
        "eˣ": np.exp(SCORES),
        "y": probabilities,
        "t": target,
        "y − t": cross_entropy_backward(cache),
    }
    on = sheet(18, 4.6)
    for index, (name, values) in enumerate(columns.items()):
        left = 0.5 + 3.6 * index
        text(on, (left + 1.1, 0.7), name, MUTED, 11)
        for row, value in enumerate(values[0]):
            box(on, (left, 1.2 + row), (2.2, 1), RIGHT if row == TARGET[0] else None)
            text(on, (left + 1.1, 1.7 + row), number(f"{value:.3f}" if index > 1 and index != 3 else value))
        if index:
            text(on, (left - 0.7, 2.7), ("→", "→", "−", "=")[index - 1], MUTED, 13)
    return on.figure


def templates() -> Figure:
    """The weights of a softmax classifier for each digit: blue is evidence for it, orange against."""
    digits = load_digits()
    known = LabeledData((digits.data[:1200] / 16).astype(np.float32), digits.target[:1200])
    model = softmax_classifier(Initialization(np.random.default_rng(0)), 64, 10)
    for _ in train(model, known, Optimizer(GradientDescent(0.5)), epochs=60):
        pass
    weights = model.parameters["w"].T.reshape(10, 8, 8)
    strength = np.abs(weights) / np.abs(weights).max()
    colors = np.where(weights[..., None] > 0, mix(PAPER, RIGHT, strength), mix(PAPER, WRONG, strength))
    figure = Figure(figsize=(6.2, 2.9), layout="constrained")
    for digit, template in enumerate(colors):
        axes = figure.add_subplot(2, 5, digit + 1)
        axes.imshow(template, interpolation="nearest")
        axes.set_title(str(digit), fontsize=9)
        axes.set_axis_off()
    return figure


def descent() -> Figure:
    """A loss, its gradient at a point, and the steps that follow the gradient downwards."""
    figure = Figure(figsize=(5, 2.7), layout="constrained")
    axes = figure.add_subplot()
    w = np.linspace(-1.2, 3.4, 200)
    axes.plot(w, (w - 1) ** 2 + 0.4, color=MUTED)
    steps = [3.0]
    for _ in range(5):
        steps.append(steps[-1] - 0.2 * 2 * (steps[-1] - 1))
    heights = [(step - 1) ** 2 + 0.4 for step in steps]
    tangent = np.array([2.4, 3.4])
    axes.plot(tangent, heights[0] + 4 * (tangent - 3), color=WRONG, linewidth=1.6)
    axes.plot(steps, heights, "o", color=RIGHT, markersize=5, zorder=3)
    for start, end in zip(zip(steps, heights, strict=True), zip(steps[1:], heights[1:], strict=True), strict=False):
        axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": RIGHT, "shrinkB": 3})
    axes.text(2.35, 4.6, "∂L/∂w", color=WRONG, ha="right")
    axes.set(xlabel="w", ylabel="L", xticks=[], yticks=[], ylim=(0, 6))
    return figure


def graph() -> Figure:
    """The affine layer's graph: x₁ and x₂ are each multiplied by two weights; the backward pass is orange."""
    on = sheet(20, 10)
    inputs, products, sums = (
        [(1.5, 2.4), (1.5, 7.6)],
        [(8, y) for y in (1.2, 3.7, 6.2, 8.7)],
        [(13.5, 2.4), (13.5, 7.6)],
    )
    for column, start in enumerate(inputs):
        node(on, start, ("x₁", "x₂")[column])
        for row, end in enumerate(sums):
            product = products[2 * row + column]
            _both(on, start, product)
            _both(on, product, end)
            node(on, product, "×", 0.55)
            text(on, (product[0] - 0.1, product[1] - 0.95), f"w{'₁₂'[row]}{'₁₂'[column]}", RIGHT)
    for row, total in enumerate(sums):
        node(on, total, "+", 0.55)
        _both(on, total, (17.6, total[1]))
        text(on, (18.2, total[1] - 0.4), ("y₁", "y₂")[row], size=11)
        text(on, (18.6, total[1] + 0.5), ("∂L/∂y₁", "∂L/∂y₂")[row], WRONG)
    return on.figure


def _both(on: Sheet, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A forward arrow and, next to it, a backward one, between two circles."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.hypot(*(b - a))
    aside = np.array((-along[1], along[0])) * 0.13
    arrow(on, tuple(a + along * 0.85 - aside), tuple(b - along * 0.75 - aside))
    arrow(on, tuple(b - along * 0.75 + aside), tuple(a + along * 0.85 + aside), WRONG)


def chain() -> Figure:
    """The two-layer network as a chain: the forward pass above, the backward pass below."""
    names = ("x", "a₁", "z₁", "a₂", "y", "L")
    forwards = ("·W₁ + b₁", "σ", "·W₂ + b₂", "softmax", "−log")
    backwards = ("∂L/∂a₁", "∂L/∂z₁", "(y − t) / N")
    on = sheet(23.5, 4.4)
    for index, name in enumerate(names):
        x = 1.2 + 4.2 * index
        node(on, (x, 2.2), name)
        if index:
            arrow(on, (x - 3.35, 2.05), (x - 0.85, 2.05))
            text(on, (x - 2.1, 1.4), forwards[index - 1], RIGHT)
        if index > 1:
            arrow(on, (x - 0.85, 2.4), (x - 3.35, 2.4), WRONG)
    for index, name in enumerate(backwards):
        text(on, (1.2 + 4.2 * (index + 1), 3.55), name, WRONG)
    return on.figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "perceptron-neuron.svg": neuron,
    "perceptron-softmax.svg": softmax,
    "perceptron-templates.png": templates,
    "backpropagation-descent.svg": descent,
    "backpropagation-affine.svg": graph,
    "backpropagation-two-layer.svg": chain,
}
