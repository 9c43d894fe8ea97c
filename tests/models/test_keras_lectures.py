"""The lectures print Keras' own tables; the numbers here are theirs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convolve.models import Network, create
from convolve.summary import summarize
from convolve.tracing import LayerRow

SIMPLE_CNN = [((8, 28, 28), 80), ((16, 12, 12), 1168), ((16, 4, 4), 2320), ((64,), 16448), ((10,), 650)]
LENET5 = [((6, 28, 28), 156), ((16, 10, 10), 2416), ((120,), 48120), ((84,), 10164), ((10,), 850)]


def _weighted(network: Network) -> list[LayerRow]:
    return [row for row in summarize(network, (1, 28, 28)).layers if row.parameters]


@pytest.mark.parametrize(("name", "printed"), [("simple_cnn", SIMPLE_CNN), ("lenet5_keras", LENET5)])
def test_layers_with_weights_are_those_of_the_printed_table(
    name: str, printed: list[tuple[tuple[int, ...], int]]
) -> None:
    assert [(row.output, row.parameters) for row in _weighted(create(name))] == printed


@pytest.mark.parametrize(("name", "total"), [("simple_cnn", 20_666), ("lenet5_keras", 61_706)])
def test_total_is_as_printed(name: str, total: int) -> None:
    assert sum(value.numel() for value in create(name).parameters()) == total


def test_the_dense_layer_follows_the_image() -> None:
    flat = {side: create("lenet5_keras", size=(side, side)).head.get_submodule("dense3") for side in (28, 29, 32)}
    assert {side: layer.in_features for side, layer in flat.items()} == {28: 16 * 25, 29: 16 * 25, 32: 16 * 36}


def test_weights_start_as_keras_starts_them() -> None:
    network = create("simple_cnn")
    for name, value in network.named_parameters():
        if name.endswith("bias"):
            assert not value.any()
        else:
            window = math.prod(value.shape[2:])
            limit = math.sqrt(6 / (window * (value.shape[0] + value.shape[1])))
            assert 0.95 * limit < float(value.detach().abs().max()) <= limit
            assert float(value.detach().std()) == pytest.approx(limit / math.sqrt(3), rel=0.15)


FLOWERS = [
    ((16, 180, 180), 448), ((16, 90, 90), 0), ((32, 90, 90), 4_640), ((32, 45, 45), 0), ((64, 45, 45), 18_496),
    ((64, 22, 22), 0), ((30_976,), 0), ((128,), 3_965_056), ((5,), 645),
]  # fmt: skip
BATCHNORM = [
    ((32, 27, 27), 160), ((32, 27, 27), 128), ((64, 26, 26), 8_256), ((64, 26, 26), 256), ((128, 13, 13), 32_896),
    ((128, 13, 13), 512), ((32, 12, 12), 16_416), ((32, 12, 12), 128), ((64, 11, 11), 8_256), ((64, 11, 11), 256),
    ((128, 5, 5), 32_896), ((128, 5, 5), 512), ((3_200,), 0), ((128,), 409_728), ((10,), 1_290),
]  # fmt: skip
TYPICAL = [
    ((64, 28, 28), 3_200), ((64, 14, 14), 0), ((128, 14, 14), 73_856), ((128, 14, 14), 147_584), ((128, 7, 7), 0),
    ((256, 7, 7), 295_168), ((256, 7, 7), 590_080), ((256, 3, 3), 0), ((2_304,), 0), ((128,), 295_040), ((128,), 0),
    ((64,), 8_256), ((64,), 0), ((10,), 650),
]  # fmt: skip
ACTIVATIONS = ("ReLU", "Sigmoid")  # Keras prints them with their layer


def _printed(name: str, size: tuple[int, int, int]) -> list[tuple[tuple[int, ...], int]]:
    """Rows as Keras prints them: running means and variances count."""
    with torch.device("meta"):
        network = create(name)
    rows = [row for row in summarize(network, size).layers if row.type not in ACTIVATIONS]
    return [(row.output, row.parameters * (2 if row.type == "BatchNorm2d" else 1)) for row in rows]


@pytest.mark.parametrize(
    ("name", "size", "table"),
    [
        ("flowers_cnn", (3, 180, 180), FLOWERS),
        ("flowers_cnn_dropout", (3, 180, 180), [*FLOWERS[:7], ((30_976,), 0), *FLOWERS[7:]]),
        ("batchnorm_cnn", (1, 28, 28), BATCHNORM),
        ("typical_cnn", (1, 28, 28), TYPICAL),
    ],
)
def test_layers_are_those_of_the_printed_table(
    name: str, size: tuple[int, int, int], table: list[tuple[tuple[int, ...], int]]
) -> None:
    assert _printed(name, size) == table


@pytest.mark.parametrize(
    ("name", "total", "trainable"),
    [
        ("flowers_cnn", 3_989_285, 3_989_285),
        ("batchnorm_cnn", 511_690, 510_794),
        ("batchnorm_cnn_plain", 509_898, 509_898),
        ("typical_cnn", 1_413_834, 1_413_834),
    ],
)
def test_totals_are_as_printed(name: str, total: int, trainable: int) -> None:
    with torch.device("meta"):
        network = create(name)
    running = sum(value.numel() for value in network.buffers() if value.dim())
    assert sum(value.numel() for value in network.parameters()) == trainable
    assert trainable + running == total


def test_normalization_has_keras_constants_and_follows_the_sigmoid() -> None:
    network = create("batchnorm_cnn")
    for stage in network.stages.values():
        kinds = [type(layer).__name__ for layer in stage.children()]
        assert kinds == ["Conv2d", "Sigmoid", "BatchNorm2d"] * 3
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_the_twins_start_from_the_same_weights_but_for_the_sigmoids_slope() -> None:
    with_it, without = create("batchnorm_cnn").state_dict(), create("batchnorm_cnn_plain").state_dict()
    for name, value in without.items():
        assert torch.equal(value, with_it[name] * (1 if "dense4" in name else 4))


def test_in_the_plain_twin_the_gradient_reaches_the_first_layer() -> None:
    network = create("batchnorm_cnn_plain")
    ours = _ratio_of_first_to_last_layer(network)
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.mul_(1 if "dense4" in name else 0.25)
    assert ours > 100 * _ratio_of_first_to_last_layer(network)


def _ratio_of_first_to_last_layer(network: Network) -> float:
    """The norm of the first layer's gradient over that of the last one's."""
    images = torch.randn(32, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ends = [network.get_parameter(name) for name in ("stages.stage1.conv1_1.weight", "head.dense4.weight")]
    first, last = torch.autograd.grad(F.cross_entropy(network(images), torch.arange(32) % 10), ends)
    return float(first.norm() / last.norm())
