from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.explainers.statistics import Moments, layer_statistics
from tests.explainers.small import images, network


def _loss(network: nn.Module, given: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(network(given), targets)


def test_gradients_are_those_of_autograd_whatever_the_batches() -> None:
    of = network("resnet20_cifar")
    given, targets = images(of, 8), torch.arange(8) % 6
    found = {one.name: one for one in layer_statistics(of, [(given[:3], targets[:3]), (given[3:], targets[3:])], _loss)}
    for layer in of.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # so that torch allows backward hooks of modules
    recorded: dict[str, Tensor] = {}
    for name in (
        "stages.stage1.relu1",
        "stages.stage2.block2_1.branch.conv1",
        "stages.stage3.block3_3.relu",
        "head.fc",
    ):
        of.get_submodule(name).register_full_backward_hook(_Recorder(name, recorded))
    torch.autograd.grad(F.cross_entropy(of(given.requires_grad_()), targets) * 8, given)
    assert next(iter(found)) == "stages.stage1.conv1"
    assert list(found)[-1] == "head.fc"
    assert len(recorded) == 4
    for name, gradients in recorded.items():
        assert _list(found[name].gradients) == _moments(gradients)


class _Recorder:
    """A backward hook that records the gradients by what left the layer."""

    def __init__(self, name: str, recorded: dict[str, Tensor]) -> None:
        self.name, self.recorded = name, recorded

    def __call__(self, layer: nn.Module, back: object, gradients: tuple[Tensor, ...]) -> None:
        self.recorded[self.name] = gradients[0].clone()


def _moments(values: Tensor) -> object:
    exact = values.detach().double()
    found = [float(exact.mean()), float(exact.std(correction=0)), float((exact == 0).double().mean())]
    return pytest.approx(found, rel=1e-3, abs=1e-6)


def _list(moments: Moments) -> list[float]:
    return [moments.mean, moments.deviation, moments.zeros]


def test_activations_are_those_that_the_layers_give() -> None:
    of = network("resnet20_cifar")
    given, targets = images(of, 8), torch.arange(8) % 6
    found = {one.name: one for one in layer_statistics(of, [(given[:3], targets[:3]), (given[3:], targets[3:])], _loss)}
    with torch.no_grad():
        maps = of.features(given)
        scores = of(given)
    assert _list(found["stages.stage1.block1_3.relu"].activations) == _moments(maps["stage1"])
    assert _list(found["stages.stage3.block3_3.relu"].activations) == _moments(maps["stage3"])
    assert _list(found["head.fc"].activations) == _moments(scores)


def test_activations_are_counted_before_a_later_layer_overwrites_them() -> None:
    of = network("resnet20_cifar")
    found = {one.name: one for one in layer_statistics(of, [(images(of), torch.tensor([0, 1]))], _loss)}
    assert found["stages.stage1.norm1"].activations.zeros < 0.01
    assert found["stages.stage1.relu1"].activations.zeros > 0.2


def test_a_dead_layer_has_zeros_alone() -> None:
    of = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    nn.init.constant_(of[0].bias, -100)  # type: ignore[arg-type]
    found = layer_statistics(of, [(torch.randn(5, 4), torch.zeros(5, dtype=torch.int64))], _loss)
    assert [one.type for one in found] == ["Linear", "ReLU", "Linear"]
    assert found[1].activations.zeros == 1.0
    assert found[0].gradients.zeros == 1.0
    assert found[0].gradients.deviation == 0.0
