"""The pictures of the chapters on the perceptron and on backpropagation; every number in them is computed here."""

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
TRUTH = np.array([2])


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
    """Three scores, their powers, probabilities, the truth, and the slope y - t."""
    _, cache = cross_entropy_forward(SCORES, TRUTH)
    probabilities, _ = softmax_forward(SCORES)
    truth = np.eye(3)[TRUTH]
    columns = {
        "x": SCORES,
        "eˣ": np.exp(SCORES),
        "y": probabilities,
        "t": truth,
        "y − t": cross_entropy_backward(cache),
    }
    on = sheet(18, 4.6)
    for place, (name, values) in enumerate(columns.items()):
        left = 0.5 + 3.6 * place
        text(on, (left + 1.1, 0.7), name, MUTED, 11)
        for row, value in enumerate(values[0]):
            box(on, (left, 1.2 + row), (2.2, 1), RIGHT if row == TRUTH[0] else None)
            text(on, (left + 1.1, 1.7 + row), number(f"{value:.3f}" if place > 1 and place != 3 else value))
        if place:
            text(on, (left - 0.7, 2.7), ("→", "→", "−", "=")[place - 1], MUTED, 13)
    return on.figure


def templates() -> Figure:
    """What a softmax classifier has learned of each digit: blue speaks for it, orange against."""
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
    """A loss, its slope at a point, and the steps that follow the slope downwards."""
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
    """The affine layer's graph: x₁ and x₂ each meet two weights; orange goes back."""
    on = sheet(20, 10)
    inputs, products, sums = (
        [(1.5, 2.4), (1.5, 7.6)],
        [(8, y) for y in (1.2, 3.7, 6.2, 8.7)],
        [(13.5, 2.4), (13.5, 7.6)],
    )
    for column, start in enumerate(inputs):
        node(on, start, ("x₁", "x₂")[column])
        for row, end in enumerate(sums):
            place = products[2 * row + column]
            _both(on, start, place)
            _both(on, place, end)
            node(on, place, "×", 0.55)
            text(on, (place[0] - 0.1, place[1] - 0.95), f"w{'₁₂'[row]}{'₁₂'[column]}", RIGHT)
    for row, total in enumerate(sums):
        node(on, total, "+", 0.55)
        _both(on, total, (17.6, total[1]))
        text(on, (18.2, total[1] - 0.4), ("y₁", "y₂")[row], size=11)
        text(on, (18.6, total[1] + 0.5), ("∂L/∂y₁", "∂L/∂y₂")[row], WRONG)
    return on.figure


def _both(on: Sheet, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow forwards and, beside it, one backwards, between two circles."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.hypot(*(b - a))
    beside = np.array((-along[1], along[0])) * 0.13
    arrow(on, tuple(a + along * 0.85 - beside), tuple(b - along * 0.75 - beside))
    arrow(on, tuple(b - along * 0.75 + beside), tuple(a + along * 0.85 + beside), WRONG)


def chain() -> Figure:
    """The two-layer net as a chain: what goes forwards above, what comes back below."""
    names = ("x", "a₁", "z₁", "a₂", "y", "L")
    forwards = ("·W₁ + b₁", "σ", "·W₂ + b₂", "softmax", "−log")
    backwards = ("∂L/∂a₁", "∂L/∂z₁", "(y − t) / N")
    on = sheet(23.5, 4.4)
    for place, name in enumerate(names):
        x = 1.2 + 4.2 * place
        node(on, (x, 2.2), name)
        if place:
            arrow(on, (x - 3.35, 2.05), (x - 0.85, 2.05))
            text(on, (x - 2.1, 1.4), forwards[place - 1], RIGHT)
        if place > 1:
            arrow(on, (x - 0.85, 2.4), (x - 3.35, 2.4), WRONG)
    for place, name in enumerate(backwards):
        text(on, (1.2 + 4.2 * (place + 1), 3.55), name, WRONG)
    return on.figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "perceptron-neuron.svg": neuron,
    "perceptron-softmax.svg": softmax,
    "perceptron-templates.png": templates,
    "backpropagation-descent.svg": descent,
    "backpropagation-affine.svg": graph,
    "backpropagation-two-layer.svg": chain,
}
