"""Networks of torchvision and segmentation_models_pytorch with the same weights, where the structure is the same.

Where it is not: torchvision's FCN puts a 3x3 convolution of 512 with batch normalization before the scores and enlarges
them by interpolation, here are the paper's 1x1 scores and transposed convolutions; segmentation_models_pytorch's U-Net
repeats values and leaves the channels to the next convolution, here are the paper's up-convolutions, and its first
encoder map lies at half the image's size.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from convolve.interop.torchvision import key_map
from convolve.layers.initializers import he_normal
from convolve.models import create, unet
from convolve.models.unet import Expanding
from convolve.models.weights import load_weights


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def _lived_in(network: nn.Module) -> nn.Module:
    random = torch.Generator().manual_seed(11)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            for value, low, high in (
                (layer.weight, 0.2, 0.6),
                (layer.bias, -0.2, 0.2),
                (layer.running_mean, -0.2, 0.2),
                (layer.running_var, 0.5, 1.5),
            ):
                value.uniform_(low, high, generator=random)
    return network.eval()


def _close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@torch.no_grad()
def test_dilated_resnet50_is_the_trunk_of_torchvisions_fcn() -> None:
    twin = _lived_in(models.segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=7))
    network = create("fcn8s_resnet50_v1_5_dilated", 7).eval()
    with torch.device("meta"):
        names = key_map(create("resnet50_v1_5"))
    state = twin.get_submodule("backbone").state_dict()
    load_weights(network, {names[name]: value for name, value in state.items()})
    images = _random(1, 3, 65, 96)
    last = network.features(images)["stage5"]
    _close(last, twin.get_submodule("backbone")(images)["out"])
    scores = F.interpolate(twin.get_submodule("classifier")(last), images.shape[2:], mode="bilinear")
    _close(scores, twin(images)["out"])


@pytest.mark.parametrize("name", ["segnet", "deconvnet"])
@torch.no_grad()
def test_encoders_are_torchvisions_vgg16_with_batch_normalization(name: str) -> None:
    with torch.device("meta"):
        twin, network = models.vgg16_bn().features, create(name)
    _lived_in(twin.to_empty(device="cpu").apply(he_normal))
    stages = nn.Sequential(*list(network.stages.values())[:5]).to_empty(device="cpu").eval()
    modules = [layer for layer in stages.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    theirs = [layer for layer in twin.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    for ours, other in zip(modules, theirs, strict=True):
        ours.load_state_dict(other.state_dict())
    images = _random(1, 3, 64, 96)
    _close(F.max_pool2d(stages(images), 2), twin(images))


@torch.no_grad()
def test_u_nets_expanding_path_where_up_convolutions_repeat_values(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoders = pytest.importorskip("segmentation_models_pytorch.decoders.unet.decoder")
    widths = (8, 16, 32, 64, 128)
    monkeypatch.setattr(unet, "WIDTHS", widths)
    network = create("unet_same", 3, 3).eval()
    head = network.head
    assert isinstance(head, Expanding)
    twin = decoders.UnetDecoder((3, *widths), widths[-2::-1], n_blocks=4, use_norm=False).eval()
    for up, layers, block in zip(head.up.values(), head.convolutions.values(), twin.blocks, strict=True):
        assert isinstance(up, nn.ConvTranspose2d)
        up.weight.copy_(up.weight[:, :, :1, :1].expand_as(up.weight))  # the same four times: values repeated
        first, second = layers.get_submodule("conv1"), layers.get_submodule("conv2")
        assert isinstance(first, nn.Conv2d)
        skip, large = first.weight[:, : up.out_channels], first.weight[:, up.out_channels :]
        through = torch.einsum("ohyx,ih->oiyx", large, up.weight[:, :, 0, 0])
        block.conv1[0].load_state_dict({"weight": torch.cat([through, skip], 1), "bias": first.bias})
        block.conv2[0].load_state_dict(second.state_dict())
    images = _random(2, 3, 64, 32)
    maps = list(network.features(images).values())
    _close(network(images), head.scores(twin([images, *maps])))
