"""The figures of the chapter on regularization; every weight, loss and pixel in them is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from plots import grid
from sklearn.datasets import load_digits, load_sample_image

from convolve.datasets import augment
from convolve.datasets.augment import principal_axes
from convolve.datasets.augmentation import Augmentation
from convolve.from_scratch.classifiers import softmax_classifier
from convolve.from_scratch.dropout import dropout_forward
from convolve.from_scratch.layers import Initialization, activation_layer, affine_layer
from convolve.from_scratch.losses import SOFTMAX
from convolve.from_scratch.networks import Network
from convolve.from_scratch.optimizers import Adam, GradientDescent, Optimizer
from convolve.from_scratch.training import LabeledData, train
from convolve.reports.colors import CELL, LINE, MUTED, RIGHT, WRONG
from convolve.reports.drawing import use_log_scale
from convolve.values import Pixels, Preprocessing


def decay() -> Figure:
    """The weights of a softmax classifier of digits, trained without a penalty, with L2 and with L1."""
    digits = load_digits()
    examples = LabeledData(digits.data / 16, digits.target)
    figure, axes = grid(1, 3, (7.7, 2.3))
    cases = {"λ = 0": (0.0, 0.0), "L2, λ = 0.003": (0.003, 0.0), "L1, λ = 0.001": (0.0, 0.001)}
    for ax, (name, (l2, l1)) in zip(axes, cases.items(), strict=True):
        model = softmax_classifier(Initialization(np.random.default_rng(0), np.float64), 64, 10, penalty=l2)
        weights = model.parameters["w"]
        for _ in train(model, examples, Optimizer(GradientDescent(0.5)), epochs=150):
            weights -= np.clip(weights, -9 * l1, 9 * l1)  # 18 steps of 0.5 · l1 · sign(w), never past 0
        zeros = float((weights == 0).mean())
        ax.hist(weights.ravel(), bins=61, range=(-4, 4), color=RIGHT)
        ax.set(title=f"{name}:  {zeros:.0%} w = 0", xlabel="w")
        use_log_scale(ax, "y")
    return figure


def dropout() -> Figure:
    """The lecture's figure: a standard network, and one with units removed by dropout."""
    random = np.random.default_rng(1)
    columns = (5, 5, 5, 1)
    alive = [dropout_forward(np.ones(count), 0.5, random)[1] > 0 for count in columns]
    alive[-1][:] = True
    whole = [np.ones(count, bool) for count in columns]
    figure, axes = grid(1, 2, (7, 3))
    for ax, active in zip(axes, (whole, alive), strict=True):
        _net(ax, active)
    return figure


def early_stopping() -> Figure:
    """Loss on 60 training digits and on the other 1,737, of a net of 100 hidden units."""
    digits = load_digits()
    x, labels = digits.data / 16, digits.target
    init = Initialization(np.random.default_rng(0), np.float64)
    network = Network([affine_layer(init, 64, 100), activation_layer("relu"), affine_layer(init, 100, 10)])
    known: list[float] = []
    unknown: list[float] = []
    for loss in train(network, LabeledData(x[:60], labels[:60]), Optimizer(Adam(0.01)), epochs=60, batch_size=20):
        known.append(loss)
        unknown.append(SOFTMAX.forward(network.scores(x[60:]), labels[60:])[0])
    best = int(np.argmin(unknown))
    figure, (ax,) = grid(1, 1, (6, 3.2))
    epochs = np.arange(1, len(known) + 1)
    ax.plot(epochs, known, color=MUTED)
    ax.plot(epochs, unknown, color=RIGHT, linewidth=2)
    ax.axvline(best + 1, color=WRONG, linestyle="--")
    ax.set(xlabel="epochs", ylabel="loss", ylim=(0, 2.4))
    ax.text(52, known[-1] + 0.06, "train", color=MUTED)
    ax.text(49, unknown[-1] + 0.1, "validation", color=RIGHT)
    ax.text(best + 1.5, 2.15, f"{best + 1}", color=WRONG)
    return figure


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "--flip": Augmentation(flip=True),
    "--crop 0.35": Augmentation(crop=0.35),
    "--rotate 20": Augmentation(rotate=20),
    "--scale 0.3": Augmentation(scale=0.3),
    "--translate 0.2": Augmentation(translate=0.2),
    "--noise 0.1": Augmentation(noise=0.1),
    "--brightness 0.4": Augmentation(brightness=0.4),
    "--contrast 0.5": Augmentation(contrast=0.5),
    "--saturation 0.9": Augmentation(saturation=0.9),
    "--pca 1": Augmentation(pca=1.0),
}


def augmentation() -> Figure:
    """A photograph under each augmentation, made by the code that training uses; the leftmost is the original."""
    photograph: Pixels = load_sample_image("china.jpg")
    mean = (photograph / 255).mean((0, 1))
    preprocessing = Preprocessing(96, 96, 3, "crop", tuple(mean.tolist()), (1.0,) * 3)
    figure, axes = grid(5, 2, (10, 6.2))
    for ax, (name, settings) in zip(axes, AUGMENTATIONS.items(), strict=True):
        rows = [
            _augment(photograph, Augmentation(), preprocessing, 1),
            _augment(photograph, settings, preprocessing, 4),
        ]
        ax.imshow(np.concatenate([image for row in rows for image in row], axis=1), interpolation="none")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, family="monospace", fontsize=9)
        ax.spines[:].set_visible(False)
    return figure


def _augment(photograph: Pixels, augmentation: Augmentation, preprocessing: Preprocessing, count: int) -> Pixels:
    """(count, height, width, 3): the photograph, augmented; in 32 shades of each color, which keeps the file small."""
    random = np.random.default_rng(1)
    sizes = np.array([photograph.shape[:2]] * count)
    drawn = augment.draw_transforms(augmentation, sizes, preprocessing, principal_axes([photograph]), random)
    noise = augment.noise_table(augmentation.noise, preprocessing, random) if augmentation.noise else None
    values = augment.apply_transforms(drawn, [photograph] * count, preprocessing, noise)
    shades = ((values + preprocessing.mean).clip(0, 1) * 255).round().astype(np.uint8)
    return np.asarray(shades & 0xF8, np.uint8)


def _net(ax: Axes, active: Sequence[npt.NDArray[np.bool_]]) -> None:
    """Layers of units from left to right; lines between those that are active, crosses through the others."""
    spots = [
        [(column, unit - (len(units) - 1) / 2) for unit in range(len(units))] for column, units in enumerate(active)
    ]
    for column in range(len(active) - 1):
        for start, here in zip(spots[column], active[column], strict=True):
            for end, there in zip(spots[column + 1], active[column + 1], strict=True):
                if here and there:
                    ax.plot(*zip(start, end, strict=True), color=LINE, linewidth=0.8, zorder=1)
    for (x, y), here in zip(chain.from_iterable(spots), np.concatenate(active), strict=True):
        ax.add_patch(Circle((x, y), 0.17, facecolor=CELL, edgecolor=RIGHT if here else WRONG, zorder=2))
        if not here:
            ax.plot(x, y, "x", color=WRONG, markersize=12, zorder=3)
    ax.set(xlim=(-0.4, 3.4), ylim=(-2.5, 2.5), aspect="equal")
    ax.axis("off")


FIGURES: dict[str, Callable[[], Figure]] = {
    "decay.svg": decay,
    "dropout.svg": dropout,
    "early_stopping.svg": early_stopping,
    "augmentation.png": augmentation,
}
