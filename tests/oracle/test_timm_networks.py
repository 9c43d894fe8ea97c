"""The same weights in timm's and torchvision's networks give the same scores; timm's own networks, cut into stages,
give what they gave, to the last bit.

Not compared: torchvision's GoogLeNet, which has batch normalization and a 3x3 convolution in place of the 5x5, and
BN-Inception, which timm 1.0 does not have.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from convolve.errors import WeightsError
from convolve.interop.timm import TWINS, key_map, rename
from convolve.models import create
from convolve.models.cutting import cut, find_cuts
from convolve.models.weights import load_weights
from tests.oracle.untouched import check_cut_network, seeded

timm = pytest.importorskip("timm")
SMALL = [
    "densenet121",
    "resnext50",
    "se_resnet50",
    "se_resnext50",
    "senet154",
    "inception_v4",
    "inception_resnet_v2_slim",
]
TORCHVISION = {"densenet121": "densenet121", "resnext50": "resnext50_32x4d"}


def _images(side: int) -> Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def _lived_in(network: Any) -> nn.Module:
    """Normalization as after a training, so that a mistake in its order shows."""
    random = torch.Generator().manual_seed(11)
    assert isinstance(network, nn.Module)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.weight.uniform_(0.2, 0.6, generator=random)
            layer.bias.uniform_(-0.2, 0.2, generator=random)
            layer.running_mean.uniform_(-0.2, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 1.5, generator=random)
    return network.eval()


def _compare(name: str, twin: nn.Module) -> None:
    side = 76 if "inception" in name else 64
    network = create(name, 7, size=(side, side)).eval()
    assert load_weights(network, rename(network, twin.state_dict())) == []
    wanted = twin(_images(side))
    assert float(wanted.std()) > 1e-3
    torch.testing.assert_close(network(_images(side)), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_scores_are_timms(name: str) -> None:
    _compare(name, _lived_in(timm.create_model(TWINS[name], num_classes=7)))


@pytest.mark.parametrize("name", TORCHVISION)
@torch.no_grad()
def test_scores_are_torchvisions(name: str) -> None:
    _compare(name, _lived_in(models.get_model(TORCHVISION[name], num_classes=7)))


@pytest.mark.parametrize("name", TWINS)
def test_every_name_and_shape_has_its_counterpart(name: str) -> None:
    with torch.device("meta"):
        twin, network = timm.create_model(TWINS[name]), create(name)
    names, own = key_map(network), network.state_dict()
    assert {names[key]: value.shape for key, value in twin.state_dict().items()} == {
        key: value.shape for key, value in own.items()
    }


def test_networks_without_a_twin_and_weights_of_others_are_refused() -> None:
    with torch.device("meta"):
        with pytest.raises(
            WeightsError, match=r"^timm has no weights that fit bn_inception; choose one of densenet121, "
        ):
            key_map(create("bn_inception"))
        with pytest.raises(WeightsError, match=r"hold 'conv1.weight', which timm's legacy_senet154 does not have"):
            rename(create("senet154"), {"conv1.weight": torch.empty(1)})


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "convnext_atto"])
def test_a_network_of_timm_stays_what_it_was(name: str) -> None:
    check_cut_network(f"timm/{name}", lambda: timm.create_model(name, num_classes=7))


def test_drop_path_of_timm_goes_on_working() -> None:
    twin = timm.create_model("regnetx_002", num_classes=7, drop_path_rate=0.4, zero_init_last=False)
    assert any(type(layer).__name__ == "DropPath" for layer in twin.modules())
    with torch.device("meta"):
        cuts = find_cuts(timm.create_model("regnetx_002", num_classes=1009, drop_path_rate=0.4), (3, 224, 224), 1009)
    stages, head = cut(twin, cuts)
    parts = nn.Sequential(*(stage.layers for stage in stages.values()), head)
    for training in (True, False):
        first, second, other = (
            seeded(part.train(training), seed) for part, seed in ((parts, 1), (twin, 1), (parts, 2))
        )
        assert torch.equal(first, second)
        assert torch.equal(first, other) == (not training)
