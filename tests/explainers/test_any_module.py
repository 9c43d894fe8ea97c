"""Attributions of a module that is no network of ours: torchvision's ResNet-18, against pytorch-grad-cam."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import pytest
import pytorch_grad_cam as peers
import torch
import torchvision
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from convolve.errors import ExplainError
from convolve.explainers import METHODS, ClassScore, attributions
from convolve.explainers.preservation import Layer

CLASSES = [1, 4]
TARGET = ClassScore(torch.tensor(CLASSES))
LAYERS = ("layer4", "layer3.0", "layer4.1.bn2")


@functools.cache
def resnet18() -> nn.Module:
    """With random weights, and scores so large that the constants which the peer adds to denominators do not count."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.resnet18(num_classes=6).eval()
    with torch.no_grad():
        network.get_parameter("fc.weight").mul_(1e4)
    return network


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", LAYERS[:2])
@pytest.mark.parametrize(
    ("method", "peer"),
    [("grad-cam", peers.GradCAM), ("grad-cam++", peers.GradCAMPlusPlus), ("layer-cam", peers.LayerCAM)],
)
def test_it_is_the_map_of_pytorch_grad_cam(method: str, peer: type[peers.GradCAM], layer: str, images: Tensor) -> None:
    network, twin = resnet18(), copy.deepcopy(resnet18())  # the peer leaves gradients
    with peer(twin, [twin.get_submodule(layer)]) as theirs:
        expected = theirs(images.clone(), [ClassifierOutputTarget(kind) for kind in CLASSES])
    ours = scale_cam_image(attributions(network, method, images, TARGET, layer).numpy())
    torch.testing.assert_close(torch.from_numpy(ours), torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", LAYERS)
def test_maps_and_gradients_are_those_of_autograd_though_later_layers_work_in_place(layer: str, images: Tensor) -> None:
    network, outputs = resnet18(), list[Tensor]()

    def store(_layer: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        output.retain_grad()
        outputs.append(output)
        return output.clone()

    handle = network.get_submodule(layer).register_forward_hook(store)
    scores = network(images)[[0, 1], CLASSES]
    handle.remove()
    (gradients,) = torch.autograd.grad(scores.sum(), outputs)
    expected = (outputs[0].detach() * gradients.mean((2, 3), keepdim=True)).sum(1).relu()
    found = METHODS["grad-cam"].attribute(network, images, TARGET, layer)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_a_layer_is_its_name_or_itself(images: Tensor) -> None:
    network = resnet18()
    maps = attributions(network, "grad-cam", images, TARGET, layer="layer4")
    assert maps.shape == (2, 96, 96)
    assert torch.equal(maps, attributions(network, "grad-cam", images, TARGET, layer=network.get_submodule("layer4")))


@dataclass(frozen=True)
class Spread:
    """A target of somebody's own: the difference between the largest and the smallest score."""

    count: int
    classes: None = None
    regions: None = None

    def __len__(self) -> int:
        return self.count

    def __call__(self, outputs: Tensor) -> Tensor:
        return outputs.amax(1) - outputs.amin(1)

    def take(self, indices: Tensor) -> Spread:
        return Spread(len(indices))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("cam", "score-cam")])
def test_every_method_explains_somebodys_own_number(method: str, images: Tensor) -> None:
    layer = "layer3" if METHODS[method].layered else None
    small = images[..., :40, :40]
    maps = attributions(resnet18(), method, small, Spread(2), layer)
    assert maps.shape == (2, 40, 40)
    assert maps.flatten(1).std(1).min() > 0
    if method == "saliency":
        leaf = small.clone().requires_grad_()
        (gradients,) = torch.autograd.grad(Spread(2)(resnet18()(leaf)).sum(), leaf)
        torch.testing.assert_close(maps, gradients.abs().amax(1))


def test_the_module_stays_as_it_is(images: Tensor) -> None:
    network = resnet18()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    try:
        with torch.inference_mode():
            attributions(network, "grad-cam", images, TARGET, "layer4")
            attributions(network, "eigen-cam", images, TARGET, "layer4")
        assert all(module.training and not module._forward_hooks for module in network.modules())
    finally:
        network.eval()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.requires_grad and value.grad is None for value in network.parameters())


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (None, "ResNet does not say which maps its head reads; name the layer"),
        ("stage4", r"ResNet has no layer 'stage4'; its layers are conv1, bn1, .*layer4, avgpool, fc and those inside"),
        (nn.ReLU(), "ResNet has no layer that ReLU"),
        ("fc", r"The layer 'fc' of ResNet gives no maps \(N, channels, h, w\)"),
        ("layer1.0.relu", r"The layer 'layer1.0.relu' of ResNet runs 2 times in a pass"),
    ],
)
@pytest.mark.parametrize("method", ["grad-cam", "eigen-cam"])
def test_layers_that_do_not_serve_are_named(method: str, layer: Layer, sentence: str, images: Tensor) -> None:
    with pytest.raises(ExplainError, match=sentence):
        attributions(resnet18(), method, images, TARGET, layer)
