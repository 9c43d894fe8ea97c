"""The lectures' worked numbers, from the lectures' own text."""

import numpy as np
import pytest

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.convolution import (
    conv1d_backward_naive,
    conv1d_forward_naive,
    conv2d_backward_naive,
    conv2d_forward_naive,
    convolution_backward,
    convolution_forward,
)
from convolve.from_scratch.homework import TwoLayerNet
from convolve.from_scratch.layers import Initialization, Layer, affine_layer, convolution_layer
from convolve.from_scratch.networks import Network, lenet5
from convolve.from_scratch.pooling import (
    average_pool_backward,
    average_pool_forward,
    extreme_pool_backward,
    max_pool_forward,
    min_pool_forward,
)
from convolve.from_scratch.windows import Sliding, output_size


def grid(rows: str) -> Array:
    return np.array([[float(value) for value in row.split()] for row in rows.strip().split("/")])


def convolve(x: Array, w: Array, sliding: Sliding | None = None, bias: float = 0) -> Array:
    """As a matrix product and as nested loops, which must agree: x (C, H, W) or (H, W), w alike."""
    x, w = x.reshape(-1, *x.shape[-2:]), w.reshape(-1, *w.shape[-2:])
    sliding = sliding or Sliding()
    y, _ = convolution_forward(x[None], w[None], np.array([bias]), sliding)
    np.testing.assert_allclose(conv2d_forward_naive(x, w[None], np.array([bias]), sliding), y[0])
    result: Array = y[0, 0]
    return result


FIVE = grid("1 1 1 0 0 / 0 1 1 1 0 / 0 0 1 1 1 / 0 0 1 1 0 / 0 1 1 0 0")
CROSS = grid("1 0 1 / 0 1 0 / 1 0 1")
CYCLIC = grid(
    "1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1 / 2 3 0 1 2 3 0 / 1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1"
)
KERNEL = grid("2 0 1 / 0 1 2 / 1 0 2")
POOLED = grid("1 1 2 4 / 5 6 7 8 / 3 2 1 0 / 1 2 3 4")


def test_the_5x5_image_under_the_3x3_mask_starts_with_4() -> None:
    np.testing.assert_array_equal(convolve(FIVE, CROSS), grid("4 3 4 / 2 4 3 / 2 3 4"))


def test_4x4_with_padding_1() -> None:
    y = convolve(CYCLIC[:4, :4], KERNEL, Sliding(padding=1))
    np.testing.assert_array_equal(y, grid("7 12 10 2 / 4 15 16 10 / 10 6 15 6 / 8 10 4 3"))


def test_7x7_with_stride_2_starts_with_15_17() -> None:
    y = convolve(CYCLIC, KERNEL, Sliding(stride=2))
    assert y.shape == (3, 3)
    np.testing.assert_array_equal(y[0, :2], [15, 17])


def test_three_channels_and_a_bias_add_up_to_minus_25() -> None:
    channels = np.stack(
        [
            grid("0 0 0 / 0 156 155 / 0 153 154"),
            grid("0 0 0 / 0 167 166 / 0 164 165"),
            grid("0 0 0 / 0 163 162 / 0 160 161"),
        ]
    )
    kernels = np.stack(
        [grid("-1 -1 1 / 0 1 -1 / 0 1 1"), grid("1 0 0 / 1 -1 -1 / 1 0 -1"), grid("0 1 1 / 0 1 0 / 1 -1 1")]
    )
    each = [convolve(channel, kernel).item() for channel, kernel in zip(channels, kernels, strict=True)]
    assert each == [308, -498, 164]
    assert convolve(channels, kernels, bias=1).item() == 308 - 498 + 164 + 1 == -25


def test_the_vertical_edge_filter_gives_0_300_300_0() -> None:
    image = np.repeat([[0.0, 0, 0, 100, 100, 100]], 5, 0)
    y = convolve(image, grid("-1 0 1 / -1 0 1 / -1 0 1"))
    np.testing.assert_array_equal(y, [[0, 300, 300, 0]] * 3)


@pytest.mark.parametrize(
    ("size", "kernel", "sliding", "expected"),
    [
        (7, 3, Sliding(1), 5),
        (7, 3, Sliding(2), 3),
        (7, 3, Sliding(3), 2),  # the slide's "cannot": frameworks round down
        (7, 3, Sliding(1, 1), 7),
        (4, 3, Sliding(1, 1), 4),
        (28, 5, Sliding(3, 2), 10),
        (31, 5, Sliding(3, 2), 11),
        (32, 5, Sliding(1, 2), 32),
    ],
)
def test_output_sizes(size: int, kernel: int, sliding: Sliding, expected: int) -> None:
    assert output_size(size, kernel, sliding) == expected
    y, _ = convolution_forward(np.ones((1, 1, size)), np.ones((1, 1, kernel)), np.zeros(1), sliding)
    assert y.shape == (1, 1, expected)


def test_a_window_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 3 with dilation 2 does not fit into 2 with padding 1"):
        output_size(2, 3, Sliding(padding=1, dilation=2))


def test_2x2_pooling() -> None:
    x = POOLED[None, None]
    np.testing.assert_array_equal(max_pool_forward(x, 2, 2)[0][0, 0], grid("6 8 / 3 4"))
    np.testing.assert_array_equal(min_pool_forward(x, 2, 2)[0][0, 0], grid("1 2 / 1 0"))
    np.testing.assert_array_equal(average_pool_forward(x, 2, 2)[0][0, 0], grid("3.25 5.25 / 2 2"))


def test_pooling_backward() -> None:
    x, dy = POOLED[None, None], grid("10 20 / 30 40")[None, None]
    _, cache = max_pool_forward(x, 2, 2)
    np.testing.assert_array_equal(
        extreme_pool_backward(dy, cache)[0, 0], grid("0 0 0 0 / 0 10 0 20 / 30 0 0 0 / 0 0 0 40")
    )
    _, average_cache = average_pool_forward(x, 2, 2)
    spread = average_pool_backward(dy, average_cache)[0, 0]
    np.testing.assert_array_equal(spread, np.kron(dy[0, 0], np.full((2, 2), 1 / 4)))  # δ/m, m = 4


def test_overlapping_windows_add_up() -> None:
    """3x3 windows with stride 2 over 5x5: the largest value, in the middle, is selected by all four."""
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 2] = 1
    y, cache = max_pool_forward(x, 3, 2)
    np.testing.assert_array_equal(y, np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(extreme_pool_backward(np.ones_like(y), cache), 4 * x)


def test_the_gradient_of_a_1d_convolution() -> None:
    """Oᵢ = Σ wⱼ x₍ᵢ₊ⱼ₋₁₎ for 5 values and 3 weights; ∂L/∂wᵢ = Σ δⱼ x₍ᵢ₊ⱼ₋₁₎; x gets w·δ."""
    x, w, delta = np.array([1.0, 2, 4, 7, 11]), np.array([3.0, 5, 13]), np.array([1.0, 10, 100])
    np.testing.assert_array_equal(conv1d_forward_naive(x, w), [3 + 10 + 52, 6 + 20 + 91, 12 + 35 + 143])
    dx, dw = conv1d_backward_naive(delta, x, w)
    np.testing.assert_array_equal(dw, [1 + 20 + 400, 2 + 40 + 700, 4 + 70 + 1100])
    np.testing.assert_array_equal(dx, [3, 5 + 30, 13 + 50 + 300, 130 + 500, 1300])
    y, cache = convolution_forward(x[None, None], w[None, None], np.zeros(1))
    fast = convolution_backward(delta[None, None], cache)
    np.testing.assert_array_equal(y[0, 0], conv1d_forward_naive(x, w))
    np.testing.assert_array_equal(fast[0][0, 0], dx)
    np.testing.assert_array_equal(fast[1][0, 0], dw)
    np.testing.assert_array_equal(fast[2], [111])


@pytest.mark.parametrize("sliding", [Sliding(), Sliding(2, 1), Sliding(1, 2, 2), Sliding(3, 0, 2)])
def test_nested_loops_and_matrix_product_agree(sliding: Sliding) -> None:
    random = np.random.default_rng(0)
    x, w, b = random.standard_normal((2, 7, 6)), random.standard_normal((3, 2, 3, 2)), random.standard_normal(3)
    y, cache = convolution_forward(x[None], w, b, sliding)
    np.testing.assert_allclose(conv2d_forward_naive(x, w, b, sliding), y[0], rtol=1e-12, atol=1e-12)
    dy = random.standard_normal(y.shape)
    dx, dw, db = convolution_backward(dy, cache)
    for naive, fast in zip(conv2d_backward_naive(dy[0], x, w, sliding), (dx[0], dw, db), strict=True):
        np.testing.assert_allclose(naive, fast, rtol=1e-12, atol=1e-12)
    line, taps = x[0, 0], w[0, 0, 0]
    np.testing.assert_allclose(
        conv1d_forward_naive(line, taps, sliding),
        convolution_forward(line[None, None], taps[None, None], b[:1] * 0, sliding)[0][0, 0],
    )


def test_counts_of_parameters() -> None:
    """Slides "Problems on ANN", "LabeledData time", "Simple CNN example with Keras", "LeNet의 구조"."""
    init = Initialization(np.random.default_rng(0))

    def count(model: Layer | Network | TwoLayerNet) -> int:
        return sum(map(np.size, model.parameters.values()))

    assert [count(affine_layer(init, pixels, 10)) for pixels in (28 * 28, 640 * 480)] == [7_850, 3_072_010]
    assert count(convolution_layer(init, 3, 10, (5, 5))) == 760
    simple = [convolution_layer(init, *sides, (3, 3)) for sides in ((1, 8), (8, 16), (16, 16))]
    dense = [affine_layer(init, *sides) for sides in ((256, 64), (64, 10))]
    assert [count(layer) for layer in (*simple, *dense)] == [80, 1168, 2320, 16448, 650]
    assert count(lenet5(init)) == 61706
    assert count(TwoLayerNet(init, 784, 50, 10)) == 785 * 50 + 510
