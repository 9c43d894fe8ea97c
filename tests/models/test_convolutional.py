"""Networks with a border that is computed once, beside the same layers computed in full, as published."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convolve.layers.border import BorderOnce
from convolve.models import Network, alexnet, card, create, vgg
from convolve.models.convolutional import border_once
from convolve.models.fcn import Reading, fully_convolutional
from convolve.models.network import Stage
from convolve.summary import summarize

BORDER = 100
READINGS = {"vgg16": 8, "vgg11_lrn": 8, "vgg16_c": 16, "caffenet": 32, "alexnet": 32}
SIZES = [(1, 1), (2, 35), (64, 50), (101, 230)]


def _narrow_head(inputs: int, classes: int, *_: float) -> nn.Module:
    layers = OrderedDict[str, nn.Module](fc6=nn.Linear(inputs, 4), relu6=nn.ReLU(inplace=True))
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), **layers, fc7=nn.Linear(4, classes)))


def _random(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The papers' stages, VGG's with few channels, before narrow dense layers."""
    monkeypatch.setattr(vgg, "WIDTHS", (2, 3, 3, 4, 4))
    for paper in (vgg, alexnet):
        monkeypatch.setattr(paper, "_head", _narrow_head)


def _network(name: str) -> Network:
    network = fully_convolutional(card(name), create(name), 3, Reading(READINGS[name], BORDER))
    for place, value in enumerate(network.head.parameters()):
        value.data = 0.1 * _random(*value.shape, seed=place)
    return network


def _in_full(network: Network) -> Network:
    """The same layers and weights, the first convolution padded by hand."""
    plain = copy.deepcopy(network)
    for name, stage in list(plain.stages.items()):
        plain.stages[name] = nn.Sequential(OrderedDict(stage.named_children()))
    first = next(layer for layer in plain.modules() if isinstance(layer, nn.Conv2d))
    first.padding = (BORDER, BORDER)
    return plain


def _answers(network: Network, images: Tensor) -> dict[str, Tensor]:
    """Every stage's map, the scores, and their slopes by the image and by every parameter."""
    leaf = images.detach().clone().requires_grad_()
    found = network.features(leaf)
    scores = found["scores"] = network(leaf)
    sum(((maps * _random(*maps.shape).to(maps)).mean() for maps in found.values()), scores.sum()).backward()
    assert leaf.grad is not None
    found["image"] = leaf.grad
    return found | {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


def _assert_alike(network: Network, images: Tensor, tolerance: float) -> None:
    wanted, found = _answers(_in_full(network), images), _answers(network, images)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        limit = tolerance * max(float(value.detach().abs().max()), tolerance)
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=limit)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", READINGS)
def test_maps_scores_and_slopes_are_those_of_the_whole_computation(name: str, size: tuple[int, int]) -> None:
    network = _network(name).double()
    assert any(isinstance(stage, BorderOnce) for stage in network.stages.values())
    _assert_alike(network, _random(1, 3, *size).double(), 1e-10)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", ["vgg16", "caffenet"])
def test_in_single_precision_in_both_memory_formats(name: str, layout: torch.memory_format) -> None:
    network = _network(name).to(memory_format=layout)
    _assert_alike(network, _random(2, 3, 37, 50).contiguous(memory_format=layout), 1e-5)


def test_parameters_are_called_as_in_the_classifier() -> None:
    with torch.device("meta"):
        classifier, network = create("vgg16"), create("fcn8s_vgg16")
    theirs = [name for name, _ in classifier.stages.named_parameters()]
    assert [name for name, _ in network.stages.named_parameters()][: len(theirs)] == theirs
    assert set(network.state_dict()) == set(dict(network.named_parameters()))


def test_a_quarter_of_the_products_is_saved_where_tables_count_all() -> None:
    with torch.device("meta"):
        network = create("fcn8s_vgg16").eval()
    shape = (3, 320, 320)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *shape, device="meta"))
    summary = summarize(network, shape)
    assert counter.get_total_flops() < 0.78 * 2 * summary.macs
    row = summary.layers[0]
    assert (row.padding, row.output, row.receptive_field.offset) == ((BORDER, BORDER), (64, 518, 518), -BORDER)
    first = network.get_submodule("stages.stage1.conv1_1")
    assert isinstance(first, nn.Conv2d)
    assert first.padding == (8, 8)  # the network itself is not touched


def test_stages_behind_batch_normalization_stay_as_they_are() -> None:
    def stage(channels: int, *layers: nn.Module) -> Stage:
        return Stage(nn.Sequential(nn.Conv2d(channels, 2, 3, padding=1), *layers), 2, 1)

    stages = {"stage1": stage(3), "stage2": stage(2, nn.BatchNorm2d(2)), "stage3": stage(2)}
    first = stages["stage1"].layers.get_submodule("0")
    assert isinstance(first, nn.Conv2d)
    first.padding = (BORDER, BORDER)
    found = border_once(stages, BORDER)
    assert [isinstance(part.layers, BorderOnce) for part in found.values()] == [True, False, False]
    assert found["stage3"] is stages["stage3"]
