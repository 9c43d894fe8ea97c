"""What goes in as float32 stays float32 everywhere; float64 stays float64; nothing is converted silently."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from convolve.from_scratch import layers, losses, networks, optimizers
from convolve.from_scratch.activations import ACTIVATIONS
from convolve.from_scratch.arrays import Array, Precision
from convolve.from_scratch.initializers import Initializer, gaussian, he, xavier
from convolve.from_scratch.layers import Draw, Layer
from convolve.from_scratch.linear import linear_svm, softmax_classifier
from convolve.from_scratch.losses import HINGE, SOFTMAX
from convolve.from_scratch.neighbors import distances_no_loop, distances_one_loop, distances_two_loops
from convolve.from_scratch.network import Network
from convolve.from_scratch.plain import conv1d_slopes, conv1d_sums, conv2d_slopes, conv2d_sums
from convolve.from_scratch.windows import Sliding

BOTH = pytest.mark.parametrize("precision", [np.float32, np.float64])


def image_layers(draw: Draw) -> Iterator[Layer]:
    """Layers from (N, 4, 6, 6) to anything."""
    yield layers.convolution_layer(draw, 4, 2, (3, 3), Sliding(2, 1))
    yield layers.convolution_layer(draw, 4, 2, (3, 3), Sliding(dilation=2), groups=2)
    yield layers.min_pool_layer(2, 2)
    yield layers.max_pool_layer(2, 2)
    yield layers.max_pool_layer(3, 2)
    yield layers.average_pool_layer(3, 2)
    yield layers.BatchNorm(4, draw.precision)
    yield layers.layer_norm_layer((4, 6, 6), draw.precision)
    yield layers.response_layer()
    yield layers.Dropout(0.3, draw.random)
    yield layers.flatten_layer()
    for name in ACTIVATIONS:
        yield layers.activation_layer(name)


def vector_layers(draw: Draw) -> Iterator[Layer]:
    """Layers from (N, 144) to anything."""
    yield layers.affine_layer(draw, 144, 3)
    yield layers.maxout_layer(draw, 144, 3, 2)
    yield layers.BatchNorm(144, draw.precision)


@BOTH
def test_layers(precision: Precision) -> None:
    draw = Draw(np.random.default_rng(0), precision)
    images: Array = draw.random.standard_normal((3, 4, 6, 6)).astype(precision)
    for x, made in ((images, image_layers(draw)), (images.reshape(3, -1), vector_layers(draw))):
        for layer in made:
            y, memory = layer.forward(x)
            dx, slopes = layer.backward(np.ones_like(y), memory)
            assert {a.dtype for a in (y, dx, layer.predict(x), *slopes.values())} == {np.dtype(precision)}
            assert dx.shape == x.shape
            assert {name: a.shape for name, a in slopes.items()} == {n: a.shape for n, a in layer.parameters.items()}


@BOTH
def test_statistics_that_run_along(precision: Precision) -> None:
    layer = layers.BatchNorm(2, precision)
    layer.forward(np.ones((1, 2), precision))  # one value has no variance to speak of
    assert {layer.mean.dtype, layer.variance.dtype} == {np.dtype(precision)}
    np.testing.assert_allclose(layer.mean, 0.1)
    np.testing.assert_allclose(layer.variance, 0.9)


@BOTH
def test_losses_and_sums(precision: Precision) -> None:
    x = gaussian(np.random.default_rng(0), (2, 3), precision)
    labels = np.array([0, 2])
    for loss in (SOFTMAX, HINGE):
        assert loss.backward(loss.forward(x, labels)[1]).dtype == precision
    for memory in (losses.l1_forward(x, x * 2)[1], losses.l2_forward(x, x * 2)[1]):
        assert losses.l1_backward(memory).dtype == losses.l2_backward(memory).dtype == precision
    y, memory = losses.softmax_forward(x)
    assert losses.softmax_backward(x, memory).dtype == y.dtype == precision
    for distances in (distances_two_loops, distances_one_loop, distances_no_loop):
        assert distances(x, x).dtype == precision
    line, image, kernels = x[0], x[None], x[None, None, :1, :2]
    assert {a.dtype for a in (conv1d_sums(line, line), *conv1d_slopes(line[:1], line, line))} == {np.dtype(precision)}
    found = conv2d_sums(image, kernels, line[:1]), *conv2d_slopes(image[:, :, :2], image, kernels)
    assert {a.dtype for a in found} == {np.dtype(precision)}


@BOTH
@pytest.mark.parametrize("initializer", [gaussian, xavier, he])
@pytest.mark.parametrize("rule", sorted(set(optimizers.RULES)))
def test_training_keeps_the_format(precision: Precision, initializer: Initializer, rule: str) -> None:
    draw = Draw(np.random.default_rng(0), precision, initializer)
    x, labels = np.ones((2, 3), precision), np.array([0, 1])
    optimizer = optimizers.Optimizer(optimizers.RULES[rule]())
    for model in (linear_svm(draw, 3, 2, 0.1), softmax_classifier(draw, 3, 2, 0.1)):
        for _ in range(2):
            _, gradients = model.gradients(x, labels)
            optimizer.step(model.parameters, gradients)
        arrays: list[Array] = [*model.parameters.values(), *gradients.values(), model.scores(x)]
        arrays += [kept for memory in optimizer.memories.values() for kept in memory.values()]
        assert {a.dtype for a in arrays} == {np.dtype(precision)}


@BOTH
def test_networks(precision: Precision) -> None:
    draw = Draw(np.random.default_rng(0), precision)
    x: Array = draw.random.random((2, 1, 28, 28)).astype(precision)
    for build in (networks.simple_convnet, networks.lenet5, networks.small_vgg):
        network = build(draw)
        _, gradients = network.gradients(x, np.array([1, 2]))
        assert list(gradients) == list(network.parameters)
        assert {a.dtype for a in (*gradients.values(), network.scores(x))} == {np.dtype(precision)}


@pytest.mark.parametrize("images", [np.zeros((1, 3)), np.zeros((1, 3), np.uint8)], ids=["float64", "uint8"])
def test_other_formats_are_refused(images: Array) -> None:
    network = Network([layers.affine_layer(Draw(np.random.default_rng(0)), 3, 2)])
    with pytest.raises(TypeError, match="computes in float32, the images are"):
        network.scores(images)
    with pytest.raises(TypeError, match="computes in float32, the images are"):
        network.gradients(images, np.zeros(1, np.int64))
