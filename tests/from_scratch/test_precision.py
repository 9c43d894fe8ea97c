"""What goes in as float32 stays float32 everywhere; float64 stays float64; nothing is converted silently."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from convolve.from_scratch import layers, losses, networks, optimizers
from convolve.from_scratch.activations import ACTIVATIONS
from convolve.from_scratch.arrays import Array, DType
from convolve.from_scratch.classifiers import (
    distances_no_loop,
    distances_one_loop,
    distances_two_loops,
    linear_svm,
    softmax_classifier,
)
from convolve.from_scratch.convolution import (
    conv1d_backward_naive,
    conv1d_forward_naive,
    conv2d_backward_naive,
    conv2d_forward_naive,
)
from convolve.from_scratch.initializers import Initializer, gaussian, he, xavier
from convolve.from_scratch.layers import Initialization, Layer
from convolve.from_scratch.losses import HINGE, SOFTMAX
from convolve.from_scratch.networks import Network
from convolve.from_scratch.windows import Sliding

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def image_layers(init: Initialization) -> Iterator[Layer]:
    """Layers from (N, 4, 6, 6) to anything."""
    yield layers.convolution_layer(init, 4, 2, (3, 3), Sliding(2, 1))
    yield layers.convolution_layer(init, 4, 2, (3, 3), Sliding(dilation=2), groups=2)
    yield layers.min_pool_layer(2, 2)
    yield layers.max_pool_layer(2, 2)
    yield layers.max_pool_layer(3, 2)
    yield layers.average_pool_layer(3, 2)
    yield layers.BatchNorm(4, init.dtype)
    yield layers.layer_norm_layer((4, 6, 6), init.dtype)
    yield layers.local_response_norm_layer()
    yield layers.Dropout(0.3, init.random)
    yield layers.flatten_layer()
    for name in ACTIVATIONS:
        yield layers.activation_layer(name)


def vector_layers(init: Initialization) -> Iterator[Layer]:
    """Layers from (N, 144) to anything."""
    yield layers.affine_layer(init, 144, 3)
    yield layers.maxout_layer(init, 144, 3, 2)
    yield layers.BatchNorm(144, init.dtype)


@BOTH
def test_layers(dtype: DType) -> None:
    init = Initialization(np.random.default_rng(0), dtype)
    images: Array = init.random.standard_normal((3, 4, 6, 6)).astype(dtype)
    for x, layers_of_shape in ((images, image_layers(init)), (images.reshape(3, -1), vector_layers(init))):
        for layer in layers_of_shape:
            y, cache = layer.forward(x)
            dx, gradients = layer.backward(np.ones_like(y), cache)
            assert {a.dtype for a in (y, dx, layer.predict(x), *gradients.values())} == {np.dtype(dtype)}
            assert dx.shape == x.shape
            assert {name: a.shape for name, a in gradients.items()} == {n: a.shape for n, a in layer.parameters.items()}


@BOTH
def test_running_statistics(dtype: DType) -> None:
    layer = layers.BatchNorm(2, dtype)
    layer.forward(np.ones((1, 2), dtype))  # one value has no variance to speak of
    assert {layer.mean.dtype, layer.variance.dtype} == {np.dtype(dtype)}
    np.testing.assert_allclose(layer.mean, 0.1)
    np.testing.assert_allclose(layer.variance, 0.9)


@BOTH
def test_losses_distances_and_naive_convolutions(dtype: DType) -> None:
    x = gaussian(np.random.default_rng(0), (2, 3), dtype)
    labels = np.array([0, 2])
    for loss in (SOFTMAX, HINGE):
        assert loss.backward(loss.forward(x, labels)[1]).dtype == dtype
    for cache in (losses.l1_forward(x, x * 2)[1], losses.l2_forward(x, x * 2)[1]):
        assert losses.l1_backward(cache).dtype == losses.l2_backward(cache).dtype == dtype
    y, cache = losses.softmax_forward(x)
    assert losses.softmax_backward(x, cache).dtype == y.dtype == dtype
    for distances in (distances_two_loops, distances_one_loop, distances_no_loop):
        assert distances(x, x).dtype == dtype
    line, image, kernels = x[0], x[None], x[None, None, :1, :2]
    assert {a.dtype for a in (conv1d_forward_naive(line, line), *conv1d_backward_naive(line[:1], line, line))} == {
        np.dtype(dtype)
    }
    actual = conv2d_forward_naive(image, kernels, line[:1]), *conv2d_backward_naive(image[:, :, :2], image, kernels)
    assert {a.dtype for a in actual} == {np.dtype(dtype)}


@BOTH
@pytest.mark.parametrize("initializer", [gaussian, xavier, he])
@pytest.mark.parametrize("rule", sorted(set(optimizers.RULES)))
def test_training_keeps_the_format(dtype: DType, initializer: Initializer, rule: str) -> None:
    init = Initialization(np.random.default_rng(0), dtype, initializer)
    x, labels = np.ones((2, 3), dtype), np.array([0, 1])
    optimizer = optimizers.Optimizer(optimizers.RULES[rule]())
    for model in (linear_svm(init, 3, 2, 0.1), softmax_classifier(init, 3, 2, 0.1)):
        for _ in range(2):
            _, gradients = model.gradients(x, labels)
            optimizer.step(model.parameters, gradients)
        arrays: list[Array] = [*model.parameters.values(), *gradients.values(), model.scores(x)]
        arrays += [array for state in optimizer.states.values() for array in state.values()]
        assert {a.dtype for a in arrays} == {np.dtype(dtype)}


@BOTH
def test_networks(dtype: DType) -> None:
    init = Initialization(np.random.default_rng(0), dtype)
    x: Array = init.random.random((2, 1, 28, 28)).astype(dtype)
    for build in (networks.simple_convnet, networks.lenet5, networks.small_vgg):
        network = build(init)
        _, gradients = network.gradients(x, np.array([1, 2]))
        assert list(gradients) == list(network.parameters)
        assert {a.dtype for a in (*gradients.values(), network.scores(x))} == {np.dtype(dtype)}


@pytest.mark.parametrize("images", [np.zeros((1, 3)), np.zeros((1, 3), np.uint8)], ids=["float64", "uint8"])
def test_other_formats_are_refused(images: Array) -> None:
    network = Network([layers.affine_layer(Initialization(np.random.default_rng(0)), 3, 2)])
    with pytest.raises(TypeError, match="computes in float32, but the images are"):
        network.scores(images)
    with pytest.raises(TypeError, match="computes in float32, but the images are"):
        network.gradients(images, np.zeros(1, np.int64))
