"""The networks of timm and torchvision under the contract of our own; that they compute the same stands in oracle/."""

from __future__ import annotations

import copy
import sys
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.models import Network, card, create, freeze, names
from convolve.models.foreign import library
from convolve.summary import summarize

pytest.importorskip("timm")
NETWORKS = ["timm/mobilenetv3_small_050", "timm/convnext_atto", "torchvision/squeezenet1_1", "torchvision/mnasnet0_5"]
STRIDES = {"timm/convnext_atto": [4, 8, 16, 32], "torchvision/squeezenet1_1": [2, 4, 8, 16]}


@cache
def _network(name: str) -> Network:
    return create(name, 7, size=(64, 64)).eval()


def _images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_stages_have_the_declared_channels_and_strides_and_keep_their_maps(name: str) -> None:
    network, passing = _network(name), _images()
    maps = network.features(passing)
    assert list(maps) == [f"stage{number}" for number in range(1, len(maps) + 1)]
    assert list(network.strides.values()) == STRIDES.get(name, [2, 4, 8, 16, 32])
    assert {stage: found.shape[1] for stage, found in maps.items()} == network.channels
    for stage, layers in network.stages.items():
        passing = layers(passing).clone()
        assert torch.equal(maps[stage], passing)
    assert torch.equal(network.head(passing), network(_images()))
    assert torch.equal(network.tail("stage2")(maps["stage2"]), network(_images()))


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_formats_copies_and_states(name: str) -> None:
    network, last = _network(name), _images().contiguous(memory_format=torch.channels_last)
    scores = network(_images())
    assert torch.equal(copy.deepcopy(network)(_images()), scores)
    other = create(name, 7, size=(64, 64), seed=1).eval()
    assert not torch.equal(other(_images()), scores)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(_images()), scores)
    maps = other.to(memory_format=torch.channels_last).features(last)
    assert all(found.is_contiguous(memory_format=torch.channels_last) for found in maps.values())
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(last).float()
    assert float((rough - scores).norm() / scores.norm()) < 0.03


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_reaches_every_parameter_that_is_not_frozen(name: str) -> None:
    network = copy.deepcopy(_network(name)).train()
    freeze(network, "stage2")
    torch.autograd.backward(F.cross_entropy(network(_images()), torch.arange(4)))
    moved = {key for key, value in network.named_parameters() if value.grad is not None and value.grad.any()}
    frozen = ("stages.stage1.", "stages.stage2.")
    assert moved == {key for key, _ in network.named_parameters() if not key.startswith(frozen)}


@pytest.mark.parametrize("name", NETWORKS)
def test_cards_agree_with_the_networks(name: str) -> None:
    found, network = card(name), _network(name)
    assert network.card == found
    with torch.device("meta"):
        whole = create(name)
        assert create(name, 3, 5)(torch.empty(2, 5, 64, 64)).shape == (2, 3)
    summary = summarize(whole, found.input)
    assert summary.parameters == found.parameters
    assert summary.layers[0].name.startswith("stages.stage1.")
    assert {row.name.partition(".")[0] for row in summary.layers} == {"stages", "head"}
    assert (found.top1_error is None) == (found.evaluation == "") == name.startswith("timm/")


def test_cards_say_what_the_library_says() -> None:
    found = card("torchvision/mnasnet0_5")
    assert (found.title, found.year) == ("MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2018)
    assert found.address == "https://arxiv.org/abs/1807.11626"
    assert (found.top1_error, found.top5_error, found.parameters) == (32.266, 12.51, 2_218_512)
    assert found.evaluation.startswith("torchvision's IMAGENET1K_V1: central 224 of 256 pixels (trained as https://")
    theirs, ours = card("torchvision/vgg11"), card("vgg11")
    assert theirs.title.lower() == ours.title.lower()
    assert (theirs.year, theirs.parameters, theirs.minimum) == (ours.year, ours.parameters, ours.minimum)
    assert card("timm/mobilenetv3_small_050").title == "PyTorch Image Models"
    tagged = library("timm").about("densenet121.tv_in1k")
    assert tagged.paper.title.lower() == card("densenet121").title.lower()


def test_only_our_own_are_listed() -> None:
    assert not any("/" in name for name in names())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("timm/resnet26e", "timm has no network named 'resnet26e'. Did you mean timm/resnet26"),
        ("torchvision/resnet_50", r"torchvision has no network named 'resnet_50'. Did you mean torchvision/resnet50"),
        ("timm/densenet121.in1k", r"timm has no weights 'in1k' of densenet121; it has ra_in1k, tv_in1k\."),
        ("torchvision/vit_b_16", r"torchvision/vit_b_16 cannot be cut into stages: .*; choose another network\."),
        ("keras/resnet50", "There is no network named 'keras/resnet50'"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        create(name)


def test_without_timm_one_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.delitem(sys.modules, "convolve.models.timm_networks", raising=False)
    monkeypatch.delattr("convolve.models.timm_networks", raising=False)
    with pytest.raises(NetworkError, match=r"^timm is not installed; run `pip install 'convolve\[timm\]'`\.$"):
        card("timm/resnet10t")


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(
        NetworkError, match=r"squeezenet1_1 cannot take images of 64x16: its smallest side is 17 pixels"
    ):
        create("torchvision/squeezenet1_1", size=(64, 16))
