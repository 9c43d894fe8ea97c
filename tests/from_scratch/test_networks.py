"""Whole nets: gradients against finite differences, and that they learn; dropout, first weights, filters."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import Literal

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convolve.from_scratch import layers
from convolve.from_scratch.arrays import Precision
from convolve.from_scratch.checking import check_model, relative_error
from convolve.from_scratch.filters import FILTERS, filtered, pooled, shown
from convolve.from_scratch.homework import ThreeLayerNet, TwoLayerNet
from convolve.from_scratch.initializers import Initializer, gaussian, he, xavier
from convolve.from_scratch.layers import Draw
from convolve.from_scratch.losses import HINGE
from convolve.from_scratch.network import Model, Network
from convolve.from_scratch.networks import lenet5, simple_convnet, small_vgg
from convolve.from_scratch.optimizers import Adam, Momentum, Optimizer
from convolve.from_scratch.trainer import Examples, Plan, accuracy, train
from convolve.from_scratch.windows import Sliding


def draw(precision: Precision = np.float64, initializer: Initializer = he) -> Draw:
    return Draw(np.random.default_rng(0), precision, initializer)


def digits() -> tuple[Examples, Examples]:
    bunch = load_digits()
    x, labels = (bunch.data / 16).astype(np.float32), bunch.target
    return Examples(x[:1400], labels[:1400]), Examples(x[1400:], labels[1400:])


def little_of_everything() -> Network:
    """(N, 2, 7, 7) to 3 scores through every layer without chance in it."""
    made = draw()
    return Network(
        [
            layers.convolution_layer(made, 2, 4, (3, 3), Sliding(1, 1)),
            layers.BatchNorm(4, np.float64),
            layers.activation_layer("elu"),
            layers.max_pool_layer(3, 2),
            layers.response_layer(),
            layers.layer_norm_layer((4, 3, 3), np.float64),
            layers.average_pool_layer(2, 1),
            layers.flatten_layer(),
            layers.maxout_layer(made, 16, 5, 2),
            layers.activation_layer("sigmoid"),
            layers.affine_layer(made, 5, 3),
        ],
        HINGE,
    )


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (TwoLayerNet(draw(), 6, 5, 3), (4, 6)),
        (ThreeLayerNet(draw(), 6, (5, 4), 3), (4, 6)),
        (little_of_everything(), (4, 2, 7, 7)),
    ],
    ids=["two layers", "three layers", "every layer"],
)
def test_gradients(model: Model, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).standard_normal(shape)
    errors = check_model(model, x, np.array([0, 2, 1, 1]))
    assert errors.keys() == model.parameters.keys()
    assert max(errors.values()) < 1e-5, errors


def test_a_wrong_gradient_is_found() -> None:
    assert relative_error(np.array([1.0, 2]), np.array([1.0, 2.5])) == 0.2
    assert relative_error(np.zeros(2), np.array([0, 1e-12])) < 1e-7


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (simple_convnet, 30 * 26 + (4320 + 1) * 100 + 1010),
        (lenet5, 61706),
        (small_vgg, 288 + 32 + 9248 + 18496 + 36928 + 73856 + 147584 + (128 * 9 + 1) * 256 + 2570),
    ],
)
def test_convolutional_networks(build: Callable[[Draw], Network], parameters: int) -> None:
    network = build(draw(np.float32))
    assert sum(w.size for w in network.parameters.values()) == parameters
    scores = network.scores(np.ones((2, 1, 28, 28), np.float32))
    assert scores.shape == (2, 10)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert small_vgg(draw(), channels=3, side=32, classes=7).scores(np.ones((1, 3, 32, 32))).shape == (1, 7)


def test_three_layers_learn_digits_the_same_way_twice() -> None:
    known, asked = digits()
    twice = []
    for _ in range(2):
        net = ThreeLayerNet(draw(np.float32), 64, (64, 32), 10)
        losses = list(train(net, known, Optimizer(Adam(0.005)), Plan(30, 50, seed=3)))
        twice.append(net.scores(asked.x))
    np.testing.assert_array_equal(twice[0], twice[1])
    assert losses[-1] < 0.02
    assert accuracy(net, known) > 0.995
    assert accuracy(net, asked) > 0.89


def test_two_layers_and_a_convolutional_net_learn_digits() -> None:
    known, asked = digits()
    net = TwoLayerNet(draw(np.float32, xavier), 64, 50, 10)
    list(train(net, known, Optimizer(Momentum(0.3)), Plan(20, 50)))
    assert accuracy(net, asked) > 0.9
    pictures = [Examples(part.x.reshape(-1, 1, 8, 8), part.labels) for part in (known, asked)]
    made = draw(np.float32)
    network = Network(
        [
            layers.convolution_layer(made, 1, 16, (3, 3), Sliding(padding=1)),
            layers.BatchNorm(16, np.float32),
            layers.activation_layer("relu"),
            layers.max_pool_layer(2, 2),
            layers.flatten_layer(),
            layers.Dropout(0.2, made.random),
            layers.affine_layer(made, 256, 10),
        ]
    )
    list(train(network, pictures[0], Optimizer(Adam(0.005)), Plan(10, 50)))
    assert accuracy(network, pictures[1]) > 0.92


def test_an_epoch_sees_every_example_once_and_averages_the_loss() -> None:
    class Spy:
        def __init__(self) -> None:
            self.parameters = {"w": np.zeros(1)}
            self.seen: list[list[int]] = []

        def scores(self, x: np.ndarray) -> np.ndarray:
            return x

        def gradients(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
            self.seen.append(labels.tolist())
            return float(x.mean()), {"w": np.ones(1)}

    spy, examples = Spy(), Examples(np.arange(7.0), np.arange(7))
    assert list(train(spy, examples, Optimizer(Momentum()), Plan(2, 3))) == pytest.approx([3, 3])
    assert [len(batch) for batch in spy.seen] == [3, 3, 1] * 2
    for epoch in (spy.seen[:3], spy.seen[3:]):
        assert sorted(chain(*epoch)) == list(range(7))
    assert spy.seen[:3] != spy.seen[3:]
    list(train(spy, examples, Optimizer(Momentum()), Plan(1, None)))
    assert sorted(spy.seen[-1]) == list(range(7))


def test_dropout_keeps_the_mean_and_does_nothing_in_use() -> None:
    layer = layers.Dropout(0.25, np.random.default_rng(0))
    x = np.ones((200, 200), np.float32)
    y, _ = layer.forward(x)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert (layer.forward(x)[0] != y).any()
    np.testing.assert_array_equal(layer.predict(x), x)


@pytest.mark.parametrize(
    ("initializer", "shape", "deviation"),
    [
        (gaussian, (300, 200), 0.01),
        (xavier, (300, 200), 1 / math.sqrt(300)),
        (he, (300, 200), math.sqrt(2 / 300)),
        (he, (100, 8, 5, 5), math.sqrt(2 / 200)),
        (xavier, (100, 40, 5), 1 / math.sqrt(200)),
    ],
)
def test_initializers(initializer: Initializer, shape: tuple[int, ...], deviation: float) -> None:
    drawn = initializer(np.random.default_rng(0), shape, np.float32)
    assert drawn.shape == shape
    assert drawn.std() == pytest.approx(deviation, rel=0.02)
    assert drawn.mean() == pytest.approx(0, abs=0.02 * deviation * 3)


def test_he_keeps_the_power_of_relu_layers_and_xavier_that_of_linear_ones() -> None:
    for initializer, active in ((he, True), (xavier, False)):
        random = np.random.default_rng(0)
        x = random.standard_normal((500, 400))
        for _ in range(8):
            before = np.maximum(x, 0) if active else x
            x = before @ initializer(random, (400, 400), np.float64)
        assert x.std() == pytest.approx(1, rel=0.25)


def test_filters_on_a_picture() -> None:
    picture = np.zeros((6, 8, 3), np.uint8)
    picture[:, 4:] = (100, 50, 10)
    edges = filtered(picture, FILTERS["vertical edges"])
    np.testing.assert_array_equal(edges[2, :, 0], [0, 0, 0, 300, 300, 0, 0, 0])
    np.testing.assert_array_equal(edges[0, 3], [300, 150, 30])  # the border continues the picture
    np.testing.assert_array_equal(filtered(picture, FILTERS["horizontal edges"]), np.zeros_like(picture))
    np.testing.assert_array_equal(filtered(picture.swapaxes(0, 1), FILTERS["horizontal edges"]), edges.swapaxes(0, 1))
    np.testing.assert_array_equal(filtered(picture, FILTERS["sharpen"])[2, :, 1], [0, 0, 0, -50, 100, 50, 50, 50])
    np.testing.assert_array_equal(filtered(np.full((4, 4, 1), 7, np.uint8), FILTERS["emboss"]), np.full((4, 4, 1), 7))
    np.testing.assert_array_equal(shown(np.array([-3.0, 0.6, 300])), np.array([0, 1, 255], np.uint8))


@pytest.mark.parametrize(("kind", "expected"), [("min", 1), ("max", 7), ("average", 4)])
def test_poolings_of_a_picture(kind: Literal["min", "max", "average"], expected: int) -> None:
    picture = np.array([[1, 3], [5, 7]], np.uint8)[:, :, None].repeat(3, 2)
    np.testing.assert_array_equal(pooled(picture, kind, 2), np.full((1, 1, 3), expected))
