"""Figure 4(e), Table 4 and the appendix of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convolve.models import Network, create
from convolve.models.preact_resnet import Sum

MILLIONS = {110: 1.7, 164: 1.7, 1001: 10.2}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("depth", MILLIONS)
def test_parameters_are_the_papers(depth: int) -> None:
    """Of 1001 layers only without those of normalization."""
    network = _skeleton(f"preact_resnet{depth}_cifar")
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    parameters = sum(value.numel() for layer in layers for value in layer.parameters())
    assert round(parameters / 1e6, 1) == MILLIONS[depth]
    assert (parameters == 10_178_490) == (depth == 1001)


@pytest.mark.parametrize("depth", [110, 164])
def test_depth_is_in_the_name(depth: int) -> None:
    weighted = [
        path
        for path, layer in _skeleton(f"preact_resnet{depth}_cifar").named_modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and not path.endswith("shortcut"))
    ]
    assert len(weighted) == depth


def test_nothing_stands_on_the_path_of_a_unit_that_keeps_the_shape() -> None:
    network = create("preact_resnet164_cifar", size=(8, 8)).eval()
    unit = network.get_submodule("stages.stage1.unit1_2")
    assert isinstance(unit, Sum)
    assert isinstance(unit.shortcut, nn.Identity)
    maps = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    before = maps.clone()
    torch.testing.assert_close(unit(maps), before + unit.branch(before))
    assert torch.equal(maps, before)


def test_the_branch_is_activated_before_each_convolution() -> None:
    branch = _skeleton("preact_resnet110_cifar").get_submodule("stages.stage1.unit1_2.branch")
    kinds = [type(layer) for layer in branch.children()]
    assert kinds == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d] * 2


@pytest.mark.parametrize("name", ["preact_resnet110_cifar", "preact_resnet164_cifar"])
def test_the_first_unit_activates_both_paths(name: str) -> None:
    unit = create(name, size=(8, 8)).eval().get_submodule("stages.stage1.unit1_1")
    assert isinstance(unit, nn.Sequential)
    norm, relu, total = unit
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(total, Sum)
    maps = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    active: Tensor = relu(norm(maps))
    torch.testing.assert_close(unit(maps), total.branch(active) + total.shortcut(active))


def test_the_last_sum_is_activated() -> None:
    assert list(dict(_skeleton("preact_resnet164_cifar").stages["stage3"].named_children()))[-2:] == ["norm", "relu"]
