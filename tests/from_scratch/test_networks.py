"""Networks: gradients against finite differences, and that they learn; dropout, initial weights, filters."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convolve.from_scratch import layers
from convolve.from_scratch.arrays import DType
from convolve.from_scratch.gradient_check import check_model, relative_error
from convolve.from_scratch.homework import ThreeLayerNet, TwoLayerNet
from convolve.from_scratch.initializers import Initializer, gaussian, he, xavier
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.losses import HINGE
from convolve.from_scratch.networks import Model, Network, lenet5, simple_convnet, small_vgg
from convolve.from_scratch.optimizers import Adam, Momentum, Optimizer
from convolve.from_scratch.training import LabeledData, accuracy, train
from convolve.from_scratch.windows import Sliding


def initialization(dtype: DType = np.float64, initializer: Initializer = he) -> Initialization:
    return Initialization(np.random.default_rng(0), dtype, initializer)


def digits() -> tuple[LabeledData, LabeledData]:
    bunch = load_digits()
    x, labels = (bunch.data / 16).astype(np.float32), bunch.target
    return LabeledData(x[:1400], labels[:1400]), LabeledData(x[1400:], labels[1400:])


def every_layer_network() -> Network:
    """(N, 2, 7, 7) to 3 scores through every deterministic layer."""
    init = initialization()
    return Network(
        [
            layers.convolution_layer(init, 2, 4, (3, 3), Sliding(1, 1)),
            layers.BatchNorm(4, np.float64),
            layers.activation_layer("elu"),
            layers.max_pool_layer(3, 2),
            layers.local_response_norm_layer(),
            layers.layer_norm_layer((4, 3, 3), np.float64),
            layers.average_pool_layer(2, 1),
            layers.flatten_layer(),
            layers.maxout_layer(init, 16, 5, 2),
            layers.activation_layer("sigmoid"),
            layers.affine_layer(init, 5, 3),
        ],
        HINGE,
    )


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (TwoLayerNet(initialization(), 6, 5, 3), (4, 6)),
        (ThreeLayerNet(initialization(), 6, (5, 4), 3), (4, 6)),
        (every_layer_network(), (4, 2, 7, 7)),
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
def test_convolutional_networks(build: Callable[[Initialization], Network], parameters: int) -> None:
    network = build(initialization(np.float32))
    assert sum(w.size for w in network.parameters.values()) == parameters
    scores = network.scores(np.ones((2, 1, 28, 28), np.float32))
    assert scores.shape == (2, 10)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert small_vgg(initialization(), channels=3, side=32, classes=7).scores(np.ones((1, 3, 32, 32))).shape == (1, 7)


def test_three_layers_learn_digits_the_same_way_twice() -> None:
    train_data, test_data = digits()
    scores = []
    for _ in range(2):
        net = ThreeLayerNet(initialization(np.float32), 64, (64, 32), 10)
        losses = list(train(net, train_data, Optimizer(Adam(0.005)), epochs=30, batch_size=50, seed=3))
        scores.append(net.scores(test_data.x))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert losses[-1] < 0.02
    assert accuracy(net, train_data) > 0.995
    assert accuracy(net, test_data) > 0.89


def test_two_layers_and_a_convolutional_net_learn_digits() -> None:
    train_data, test_data = digits()
    net = TwoLayerNet(initialization(np.float32, xavier), 64, 50, 10)
    list(train(net, train_data, Optimizer(Momentum(0.3)), epochs=20, batch_size=50))
    assert accuracy(net, test_data) > 0.9
    image_data = [LabeledData(part.x.reshape(-1, 1, 8, 8), part.labels) for part in (train_data, test_data)]
    init = initialization(np.float32)
    network = Network(
        [
            layers.convolution_layer(init, 1, 16, (3, 3), Sliding(padding=1)),
            layers.BatchNorm(16, np.float32),
            layers.activation_layer("relu"),
            layers.max_pool_layer(2, 2),
            layers.flatten_layer(),
            layers.Dropout(0.2, init.random),
            layers.affine_layer(init, 256, 10),
        ]
    )
    list(train(network, image_data[0], Optimizer(Adam(0.005)), epochs=10, batch_size=50))
    assert accuracy(network, image_data[1]) > 0.92


def test_an_epoch_sees_every_example_once_and_averages_the_loss() -> None:
    class Spy:
        def __init__(self) -> None:
            self.parameters = {"w": np.zeros(1)}
            self.batches: list[list[int]] = []

        def scores(self, x: np.ndarray) -> np.ndarray:
            return x

        def gradients(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
            self.batches.append(labels.tolist())
            return float(x.mean()), {"w": np.ones(1)}

    spy, examples = Spy(), LabeledData(np.arange(7.0), np.arange(7))
    assert list(train(spy, examples, Optimizer(Momentum()), epochs=2, batch_size=3)) == pytest.approx([3, 3])
    assert [len(batch) for batch in spy.batches] == [3, 3, 1] * 2
    for epoch in (spy.batches[:3], spy.batches[3:]):
        assert sorted(chain(*epoch)) == list(range(7))
    assert spy.batches[:3] != spy.batches[3:]
    list(train(spy, examples, Optimizer(Momentum()), epochs=1, batch_size=None))
    assert sorted(spy.batches[-1]) == list(range(7))


def test_dropout_keeps_the_mean_and_is_the_identity_at_inference() -> None:
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
    weights = initializer(np.random.default_rng(0), shape, np.float32)
    assert weights.shape == shape
    assert weights.std() == pytest.approx(deviation, rel=0.02)
    assert weights.mean() == pytest.approx(0, abs=0.02 * deviation * 3)


def test_he_keeps_the_power_of_relu_layers_and_xavier_that_of_linear_ones() -> None:
    for initializer, active in ((he, True), (xavier, False)):
        random = np.random.default_rng(0)
        x = random.standard_normal((500, 400))
        for _ in range(8):
            before = np.maximum(x, 0) if active else x
            x = before @ initializer(random, (400, 400), np.float64)
        assert x.std() == pytest.approx(1, rel=0.25)
