"""Table 1 of the paper, and the auxiliary classifiers."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.lrn import LocalResponseNorm
from convolve.models import Network, card, create
from convolve.summary import summarize

OPERATIONS = {  # Table 1, in millions; its 34 for conv1 and 54 for 5a are not what the rows add up to
    "conv2": 360, "inception3a": 128, "inception3b": 304, "inception4a": 73, "inception4b": 88, "inception4c": 100,
    "inception4d": 119, "inception4e": 170, "inception5b": 71, "fc": 1,
}  # fmt: skip


def _skeleton(name: str, size: int = 224) -> Network:
    with torch.device("meta"):
        return create(name, size=(size, size))


def _count(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def test_operations_are_table_1s() -> None:
    found: dict[str, int] = defaultdict(int)
    for row in summarize(_skeleton("googlenet"), (3, 224, 224)).layers:
        found[row.name.removeprefix("stages.").split(".")[1].removesuffix("_reduce")] += row.macs
    for name, millions in OPERATIONS.items():
        assert found[name] / 1e6 == pytest.approx(millions, abs=0.7)
    assert found["conv1"] == 118_013_952
    assert found["inception5a"] == 51_079_168


def test_parameters_with_and_without_auxiliary_classifiers() -> None:
    network = _skeleton("googlenet")
    assert _count(network) == 13_378_280
    assert _count(network) - _count(network.auxiliary) == 6_998_552 == card("googlenet").parameters


@pytest.mark.parametrize("name", ["googlenet", "googlenet_keras"])
def test_auxiliary_classifiers_read_4a_and_4d(name: str) -> None:
    network = create(name, 10, size=(64, 80)).eval()
    images = torch.randn(2, network.card.input[0], 64, 80, generator=torch.Generator().manual_seed(0))
    scores, *others = network.scores_of_all_heads(images)
    assert torch.equal(scores, network(images))
    maps: dict[str, Tensor] = {}
    values = network.stages["stage3"](network.stages["stage2"](network.stages["stage1"](images)))
    for layer, module in network.stages["stage4"].named_children():
        values = maps[layer] = module(values)
    assert list(network.auxiliary) == ["inception4a", "inception4d"]
    for found, (layer, head) in zip(others, network.auxiliary.items(), strict=True):
        assert found.shape == (2, 10)
        assert torch.equal(found, head(maps[layer]))


def test_an_auxiliary_classifier_at_224_is_the_papers() -> None:
    network = _skeleton("googlenet")
    for layer, channels in (("inception4a", 512), ("inception4d", 528)):
        rows = [module for module in network.auxiliary[layer].children() if isinstance(module, nn.Conv2d | nn.Linear)]
        assert [tuple(row.weight.shape[:2]) for row in rows] == [(128, channels), (1024, 2048), (1000, 1024)]
        dropped = [module.p for module in network.auxiliary[layer].children() if isinstance(module, nn.Dropout)]
        assert dropped == [0.7]


def test_they_are_left_out_where_the_map_is_too_small() -> None:
    assert len(_skeleton("googlenet", 47).auxiliary) == 2
    small = _skeleton("googlenet", 46)
    assert len(small.auxiliary) == 0
    assert [scores.shape for scores in small.scores_of_all_heads(torch.empty(2, 3, 46, 46, device="meta"))] == [
        (2, 1000)
    ]


def test_normalization_stands_behind_pool1_and_before_pool2() -> None:
    names = list(dict(_skeleton("googlenet").stages["stage2"].named_children()))
    assert names == ["pool1", "lrn1", "conv2_reduce", "relu2_reduce", "conv2", "relu2", "lrn2"]


def test_the_listing_has_batch_normalization_instead_and_a_dense_layer_of_256() -> None:
    network = _skeleton("googlenet_keras")
    assert not [layer for layer in network.modules() if isinstance(layer, LocalResponseNorm)]
    assert [layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)] == [64, 192]
    assert [layer.out_features for layer in network.head.modules() if isinstance(layer, nn.Linear)] == [256, 10]


def test_the_listings_first_convolution_is_padded_as_keras_pads() -> None:
    first = create("googlenet_keras", channels=1, size=(64, 64)).stages["stage1"]
    image = torch.zeros(1, 1, 64, 64)
    image[0, 0, 0, 0] = 1.0
    weight = first.get_submodule("conv1").weight
    assert isinstance(weight, Tensor)
    assert torch.equal(first(image)[0, :, 0, 0], torch.relu(weight[:, 0, 2, 2]))
