"""The same weights in torchvision's networks give the same scores and maps; torchvision's own networks, cut into
stages, give what they gave, to the last bit.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from convolve.interop.torchvision import TWINS, key_map, rename
from convolve.layers.initializers import he_normal
from convolve.models import create
from convolve.models.weights import load_weights
from tests.oracle.untouched import check_cut_network

RESNETS = [name for name in TWINS if name.startswith("resnet")]
VGGS = [name for name in TWINS if name.startswith("vgg")]


def _images(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(5))


def _lived_in(network: nn.Module) -> nn.Module:
    """Normalization as after a training, so that a mistake in its order shows."""
    random = torch.Generator().manual_seed(11)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for value, low, high in ((layer.weight, 0.2, 0.6), (layer.bias, -0.2, 0.2)):
                nn.init.uniform_(value, low, high, generator=random)
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.uniform_(-0.2, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 1.5, generator=random)
    return network.eval()


def _close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", RESNETS)
@torch.no_grad()
def test_resnet(name: str) -> None:
    twin = _lived_in(models.get_model(TWINS[name], num_classes=7))
    network = create(name, 7, size=(64, 64)).eval()
    assert load_weights(network, rename(network, twin.state_dict())) == []
    _close(network(_images(64)), twin(_images(64)))


@torch.no_grad()
def test_the_papers_resnet50_with_torchvisions_strides_moved() -> None:
    twin = _lived_in(models.resnet50(num_classes=7))
    for stage in (twin.get_submodule("layer2"), twin.get_submodule("layer3"), twin.get_submodule("layer4")):
        for name, stride in (("0.conv1", 2), ("0.conv2", 1)):
            convolution = stage.get_submodule(name)
            assert isinstance(convolution, nn.Conv2d)
            convolution.stride = (stride, stride)
    network = create("resnet50", 7, size=(64, 64)).eval()
    names = key_map(network)
    assert load_weights(network, {names[name]: value for name, value in twin.state_dict().items()}) == []
    _close(network(_images(64)), twin(_images(64)))


@pytest.mark.parametrize("name", VGGS)
@torch.no_grad()
def test_vgg_stages(name: str) -> None:
    with torch.device("meta"):
        twin = models.get_model(TWINS[name])
    features = twin.features.to_empty(device="cpu").apply(he_normal)
    network = create(name, 1, size=(32, 32)).eval()
    names = key_map(network)
    load_weights(network, {names[f"features.{key}"]: value for key, value in features.state_dict().items()})
    _close(network.features(_images(64))["stage5"], features(_images(64)))


@torch.no_grad()
def test_vgg_scores_at_224() -> None:
    with torch.device("meta"):
        twin, network = models.vgg11(num_classes=7).eval(), create("vgg11", 7).eval()
    random = torch.Generator().manual_seed(3)
    for value in twin.to_empty(device="cpu").parameters():
        value.uniform_(-0.03, 0.03, generator=random)
    network.to_empty(device="cpu")
    assert load_weights(network, rename(network, twin.state_dict())) == []
    _close(network(_images(224)[:1]), twin(_images(224)[:1]))


@pytest.mark.parametrize("name", TWINS)
def test_every_name_and_shape_has_its_counterpart(name: str) -> None:
    with torch.device("meta"):
        twin, network = models.get_model(TWINS[name]), create(name)
    names, own = key_map(network), network.state_dict()
    assert {names[key]: value.shape for key, value in twin.state_dict().items()} == {
        key: value.shape for key, value in own.items()
    }


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5"])
def test_a_network_of_torchvision_stays_what_it_was(name: str) -> None:
    check_cut_network(f"torchvision/{name}", lambda: models.get_model(name, num_classes=7))


def test_googlenet_of_torchvision_stays_what_it_was_but_for_its_helpers() -> None:
    check_cut_network(
        "torchvision/googlenet", lambda: models.googlenet(num_classes=7, aux_logits=False, init_weights=True)
    )
