"""Networks with a border that is computed once, against the same layers computed in full, as published."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convolve.errors import NetworkError
from convolve.layers.border import BorderOnce
from convolve.layers.lecun import Subsampling
from convolve.models import Network, alexnet, card, create, vgg
from convolve.models.convolutional import as_convolution, compute_border_once, dilate, pad_same
from convolve.models.fcn import Conversion, fully_convolutional_network
from convolve.models.network import Stage
from convolve.summary import summarize

BORDER = 100
STRIDES = {"vgg16": 8, "vgg11_lrn": 8, "vgg16_c": 16, "caffenet": 32, "alexnet": 32}
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
    network = fully_convolutional_network(card(name), create(name), 3, Conversion(STRIDES[name], BORDER))
    for index, value in enumerate(network.head.parameters()):
        value.data = 0.1 * _random(*value.shape, seed=index)
    return network


def _in_full(network: Network) -> Network:
    """The same layers and weights, the first convolution padded by hand."""
    plain = copy.deepcopy(network)
    for name, stage in list(plain.stages.items()):
        plain.stages[name] = nn.Sequential(OrderedDict(stage.named_children()))
    first = next(layer for layer in plain.modules() if isinstance(layer, nn.Conv2d))
    first.padding = (BORDER, BORDER)
    return plain


def _results(network: Network, images: Tensor) -> dict[str, Tensor]:
    """Every stage's map, the scores, and their gradients by the image and by every parameter."""
    leaf = images.detach().clone().requires_grad_()
    found = network.features(leaf)
    scores = found["scores"] = network(leaf)
    sum(((maps * _random(*maps.shape).to(maps)).mean() for maps in found.values()), scores.sum()).backward()
    assert leaf.grad is not None
    found["image"] = leaf.grad
    return found | {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


def _assert_alike(network: Network, images: Tensor, tolerance: float) -> None:
    wanted, found = _results(_in_full(network), images), _results(network, images)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        limit = tolerance * max(float(value.detach().abs().max()), tolerance)
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=limit)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", STRIDES)
def test_maps_scores_and_gradients_are_those_of_the_full_computation(name: str, size: tuple[int, int]) -> None:
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


def test_stages_after_batch_normalization_stay_as_they_are() -> None:
    def stage(channels: int, *layers: nn.Module) -> Stage:
        return Stage(nn.Sequential(nn.Conv2d(channels, 2, 3, padding=1), *layers), 2, 1)

    stages = {"stage1": stage(3), "stage2": stage(2, nn.BatchNorm2d(2)), "stage3": stage(2)}
    first = stages["stage1"].layers.get_submodule("0")
    assert isinstance(first, nn.Conv2d)
    first.padding = (BORDER, BORDER)
    found = compute_border_once(stages, BORDER)
    assert [isinstance(part.layers, BorderOnce) for part in found.values()] == [True, False, False]
    assert found["stage3"] is stages["stage3"]


@torch.no_grad()
def test_a_dense_layer_slides_with_the_same_weights() -> None:
    dense = nn.Linear(5 * 4 * 4, 7)
    convolution = as_convolution(dense, 5)
    maps = torch.rand(2, 5, 6, 5, generator=torch.Generator().manual_seed(0))
    found = convolution(maps)
    assert found.shape == (2, 7, 3, 2)
    torch.testing.assert_close(found[:, :, 2, 1], dense(maps[:, :, 2:6, 1:5].flatten(1)))


@given(
    side=st.integers(1, 40),
    kernel=st.sampled_from([1, 3, 5, 7, 11]),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 2),
)
def test_convolutions_leave_sides_by_stride_rounded_up(side: int, kernel: int, stride: int, dilation: int) -> None:
    with torch.device("meta"):
        layer = nn.Conv2d(1, 1, kernel, stride, dilation=dilation)
        pad_same(layer)
        assert layer(torch.empty(1, 1, side, side)).shape[2] == -(-side // stride)


@given(side=st.integers(1, 40), kernel=st.sampled_from([2, 3]), padding=st.integers(0, 1))
def test_poolings_too(side: int, kernel: int, padding: int) -> None:
    for pooling in (nn.MaxPool2d(kernel, 2, padding), nn.AvgPool2d(kernel, 2, padding)):
        pad_same(pooling)
        assert pooling(torch.zeros(1, 1, side, side)).shape[2] == -(-side // 2)


@pytest.mark.parametrize("layer", [Subsampling(1), nn.Conv2d(1, 1, 2, 2)])
def test_what_cannot_be_padded_is_refused(layer: nn.Module) -> None:
    with pytest.raises(NetworkError, match="cannot be padded to keep the size of its map; choose another classifier"):
        pad_same(layer)


@torch.no_grad()
def test_dilated_layers_compute_the_units_that_were_and_those_between() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 3, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 5, padding=2))
    maps = torch.rand(1, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    wanted = layers(maps)
    assert dilate(layers, 1) == 2
    found = layers(maps)
    assert found.shape[2:] == (12, 16)
    torch.testing.assert_close(found[:, :, ::2, ::2], wanted)


def test_poolings_that_stride_cannot_be_dilated() -> None:
    with pytest.raises(NetworkError, match="a pooling of this classifier has a stride"):
        dilate([nn.MaxPool2d(2)], 1)
