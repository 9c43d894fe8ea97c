"""The lectures' sums on layers, from the layer table of real ones."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from torch import nn

from convolve.layers.inception import chain, conv_norm
from convolve.models import create
from convolve.summary import Summary, summarize


def _chain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict({f"layer{index}": layer for index, layer in enumerate(layers)}))


def _plain(channels: int, kernel: int, count: int) -> nn.Module:
    """Convolutions without bias that keep the map's size and its channels."""
    layers = [nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False) for _ in range(count)]
    return _chain(*layers)


def _millions(macs: int) -> float:
    return round(macs / 1e6, 1)


# lecture 002, "Inception module : 1x1 conv."; lecture 004, "Inception Module"
FIVE = chain(conv_norm(48, 5))(480)[0]
REDUCED = chain(conv_norm(16), conv_norm(48, 5))(480)[0]
FOURTH = chain(conv_norm(16), conv_norm(32, 5))(192)[0]


@pytest.mark.parametrize(
    ("module", "shape", "millions"),
    [
        (FIVE, (480, 14, 14), [112.9]),
        (REDUCED, (480, 14, 14), [1.5, 3.8]),
        (FOURTH, (192, 28, 28), [2.4, 10.0]),
    ],
)
def test_1x1_reductions(module: nn.Module, shape: tuple[int, int, int], millions: list[float]) -> None:
    summary = summarize(module, shape)
    assert [_millions(row.macs) for row in summary.layers if row.type == "Conv2d"] == millions
    assert _millions(summary.macs) == round(sum(millions), 1)


def test_ten_filters_of_5x5_on_three_channels() -> None:  # lecture 003
    row = summarize(nn.Conv2d(3, 10, 5, padding=2), (3, 32, 32)).layers[0]
    assert (row.parameters, row.output) == (760, (10, 32, 32))


@pytest.mark.parametrize(  # lecture 003, "작은 필터로 더 깊게"
    ("many", "one", "weights"),
    [((3, 2), (5, 1), (18, 25)), ((3, 3), (7, 1), (27, 49))],
)
def test_small_filters_see_as_far_with_fewer_weights(
    many: tuple[int, int], one: tuple[int, int], weights: tuple[int, int]
) -> None:
    summaries = [summarize(_plain(1, *design), (1, 28, 28)) for design in (many, one)]
    assert tuple(summary.parameters for summary in summaries) == weights
    assert _field(summaries[0]) == _field(summaries[1])
    wide = [summarize(_plain(64, *design), (64, 28, 28)).macs for design in (many, one)]
    assert wide[0] * weights[1] == wide[1] * weights[0]


def _field(summary: Summary) -> object:
    return summary.layers[-1].receptive_field


def test_global_average_pooling_has_no_weights() -> None:  # lecture 002
    dense = summarize(_chain(nn.Flatten(), nn.Linear(7 * 7 * 1024, 1024, bias=False)), (1024, 7, 7))
    pooled = summarize(_chain(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (1024, 7, 7))
    # 7 x 7 x 1024 x 1024 = 51,380,224: the lecture's 51.3M is cut, not rounded
    assert (dense.parameters, pooled.parameters) == (51_380_224, 0)
    assert dense.layers[-1].output == pooled.layers[-1].output == (1024,)


def test_googlenet_pools_where_a_dense_layer_would_stand() -> None:
    head = [row for row in summarize(create("googlenet"), (3, 224, 224)).layers if row.name.startswith("head.")]
    assert (head[0].input, head[0].parameters) == ((1024, 7, 7), 0)
