"""Figure 2, sections 3 and 5 of the paper, and the table of the lectures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.lrn import LocalResponseNorm
from convolve.models import Network, card, create
from convolve.summary import summarize

LECTURES = [  # lecture 004: kernel, stride, padding, channels in, channels out, side of the input
    (11, 4, 2, 3, 96, 224), (5, 1, 2, 96, 256, 55), ("pool", 2), (3, 1, 1, 256, 384, 27), ("pool", 2),
    (3, 1, 1, 384, 384, 13), (3, 1, 1, 384, 256, 13), ("pool", 2), (9216, 4096), (4096, 4096), (4096, 1000),
]  # fmt: skip


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


def test_neurons_of_each_layer_are_those_that_the_paper_counts() -> None:
    rows = summarize(_skeleton("alexnet"), (3, 227, 227)).layers
    neurons = {row.name.rpartition(".")[2]: torch.Size(row.output).numel() for row in rows if row.type != "Dropout"}
    layers = ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    assert [neurons[layer] for layer in layers] == [186_624, 64_896, 64_896, 43_264, 4_096, 4_096, 1_000]


@pytest.mark.parametrize(("name", "groups"), [("alexnet", 2), ("caffenet", 2), ("alexnet_one_tower", 1)])
def test_towers_meet_in_the_third_layer_only(name: str, groups: int) -> None:
    found = [layer.groups for layer in _skeleton(name).modules() if isinstance(layer, nn.Conv2d)]
    assert found == [1, groups, 1, groups, groups]


def test_the_other_tower_is_not_seen() -> None:
    layer = create("alexnet", 10, size=(64, 64)).stages["stage4"].get_submodule("conv4")
    maps = torch.randn(1, 384, 3, 3)
    changed = torch.cat([maps[:, :192], torch.randn(1, 192, 3, 3)], 1)
    assert torch.equal(layer(maps)[:, :192], layer(changed)[:, :192])
    assert not torch.equal(layer(maps)[:, 192:], layer(changed)[:, 192:])


def test_the_paper_normalizes_before_it_pools_and_caffe_after() -> None:
    orders = {name: list(dict(_skeleton(name).stages["stage1"].named_children())) for name in ("alexnet", "caffenet")}
    assert orders == {
        "alexnet": ["conv1", "relu1", "norm1", "pool1"],
        "caffenet": ["conv1", "relu1", "pool1", "caffe_norm1"],
    }


@pytest.mark.parametrize(("name", "k", "alpha"), [("alexnet", 2.0, 1e-4), ("caffenet", 1.0, 2e-5)])
def test_constants_of_the_normalization(name: str, k: float, alpha: float) -> None:
    norms = [layer for layer in create(name, 2, size=(39, 39)).modules() if isinstance(layer, LocalResponseNorm)]
    assert [len(norm.constant) for norm in norms] == [96, 256]
    for norm in norms:
        assert float(norm.constant[0]) == k
        assert float(norm.band[0].sum()) == pytest.approx(3 * alpha)  # itself and two neighbors
        assert norm.beta == 0.75


@pytest.mark.parametrize(("name", "hidden"), [("alexnet", 0.01), ("caffenet", 0.005)])
def test_weights_and_biases_start_as_published(name: str, hidden: float) -> None:
    network = create(name, 10, size=(39, 39))
    layers = {path: layer for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    ones = {path.rpartition(".")[2] for path, layer in layers.items() if bool((_bias(layer) == 1).all())}
    zeros = {path.rpartition(".")[2] for path, layer in layers.items() if not bool(_bias(layer).any())}
    assert (ones, zeros) == ({"conv2", "conv4", "conv5", "fc6", "fc7"}, {"conv1", "conv3", "fc8"})
    for path, layer in layers.items():
        wanted = hidden if path in ("head.fc6", "head.fc7") else 0.01
        assert float(layer.weight.detach().std()) == pytest.approx(wanted, rel=0.03)


def _bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach()


def test_one_tower_is_the_lectures_table_row_by_row() -> None:
    found: list[tuple[int | str, ...]] = []
    for row in summarize(_skeleton("alexnet_one_tower"), (3, 224, 224)).layers:
        if row.type == "Conv2d":
            assert row.kernel
            assert row.stride
            assert row.padding
            found.append((row.kernel[0], row.stride[0], row.padding[0], row.input[0], row.output[0], row.input[1]))
        elif row.type == "MaxPool2d":
            assert row.stride
            found.append(("pool", row.stride[0]))
        elif row.type == "Linear":
            found.append((row.input[0], row.output[0]))
    assert found == LECTURES


@pytest.mark.parametrize("side", [39, 70, 71, 224, 227, 256])
def test_the_first_dense_layer_follows_the_image(side: int) -> None:
    with torch.device("meta"):
        assert create("alexnet", size=(side, 227))(torch.empty(1, 3, side, 227)).shape == (1, 1000)


def test_sixty_million_parameters() -> None:
    assert round((card("alexnet").parameters or 0) / 1e6) in (60, 61)
    assert sum(value.numel() for value in _skeleton("alexnet").parameters()) == 60_965_224
