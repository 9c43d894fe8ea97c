"""The lectures print Keras' own tables; the figures here are theirs."""

from __future__ import annotations

import math

import pytest

from convolve.models import Network, create
from convolve.summary import LayerRow, summarize

SIMPLE_CNN = [((8, 28, 28), 80), ((16, 12, 12), 1168), ((16, 4, 4), 2320), ((64,), 16448), ((10,), 650)]
LENET5 = [((6, 28, 28), 156), ((16, 10, 10), 2416), ((120,), 48120), ((84,), 10164), ((10,), 850)]


def _weighted(network: Network) -> list[LayerRow]:
    return [row for row in summarize(network, (1, 28, 28)).layers if row.parameters]


@pytest.mark.parametrize(("name", "printed"), [("simple_cnn", SIMPLE_CNN), ("lenet5_keras", LENET5)])
def test_layers_are_those_of_the_printed_table(name: str, printed: list[tuple[tuple[int, ...], int]]) -> None:
    assert [(row.output, row.parameters) for row in _weighted(create(name))] == printed


@pytest.mark.parametrize(("name", "total"), [("simple_cnn", 20_666), ("lenet5_keras", 61_706)])
def test_totals_are_as_printed(name: str, total: int) -> None:
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
