from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convolve.explainers.feature_maps import stage_maps
from convolve.explainers.receptive_fields import EDGE, bounding_box, field_boxes, unit_field
from convolve.models import Network, create
from tests.explainers.small import images, network


def _linear(name: str, size: tuple[int, int]) -> Network:
    """Positive weights and nothing that bends: a unit's gradient is above 0 in all of its field."""
    made = create(name, 4, size=size)
    for module in made.modules():
        for key, layer in list(module.named_children()):
            if isinstance(layer, nn.ReLU | nn.Tanh | nn.BatchNorm2d | nn.Dropout):
                setattr(module, key, nn.Identity())
            elif isinstance(layer, nn.MaxPool2d):
                averaging = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
                setattr(module, key, averaging)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(1 / max(1, parameter[0].numel()))
    return made


@pytest.mark.parametrize(
    "name",
    [
        "lenet5_keras",
        "lenet",
        "resnet20_cifar",
        "vgg11",
        "googlenet",
        "googlenet_keras",
        "se_resnet20_cifar",
        "densenet121",
    ],
)
def test_the_theoretical_field_is_where_the_gradient_of_a_linear_network_is(name: str) -> None:
    size = (40, 48) if name in ("lenet5_keras", "lenet") else (64, 72)
    of = _linear(name, size)
    image = torch.ones(1, of.card.input[0], *size, requires_grad=True)
    for stage in of.stages:
        maps = stage_maps(of, image, stage)
        for position in ((0, 0), (maps.shape[2] // 2, maps.shape[3] - 1)):
            (gradients,) = torch.autograd.grad(maps[0, :, position[0], position[1]].sum(), image, retain_graph=True)
            found = field_boxes(of, (image.shape[1], *size), stage, np.array(position))
            inside = np.clip(found, 0, [size[1], size[0]] * 2)
            assert inside.tolist() == bounding_box((gradients[0] != 0).any(0).numpy()).tolist(), (stage, position)


def test_boxes_of_many_units_at_once() -> None:
    of = network("resnet20_cifar")
    positions = np.array([[[0, 0], [0, 1]], [[3, 2], [7, 7]]])
    found = field_boxes(of, (3, 32, 32), "stage2", positions)
    assert found.shape == (2, 2, 4)
    assert (found[0, 1] - found[0, 0]).tolist() == [2, 0, 2, 0]
    assert (found[1, 0] - found[0, 0]).tolist() == [4, 6, 4, 6]
    assert (found[..., 2:] - found[..., :2] == 37).all()


def test_the_effective_field_is_the_gradient_by_hand_and_smaller() -> None:
    of = network("resnet20_cifar")
    given = images(of, 3)
    found = unit_field(of, given, "stage3", (4, 3))
    inputs = given.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(of.features(inputs)["stage3"][:, :, 4, 3].sum(), inputs)
    by_hand = gradients.abs().sum(1).mean(0)
    assert np.allclose(found.gradients, by_hand / by_hand.max(), atol=1e-6)
    left, top, right, bottom = found.effective.tolist()
    inside = found.gradients >= EDGE
    assert inside[top:bottom, left:right].sum() == inside.sum()
    assert inside[top].any()
    assert inside[:, right - 1].any()
    assert (found.effective[2:] - found.effective[:2] < found.theoretical[2:] - found.theoretical[:2]).all()
    assert unit_field(of, given, "stage3").position == (4, 4)


def test_a_box_around_nothing_is_empty() -> None:
    assert bounding_box(np.zeros((4, 5), dtype=bool)).tolist() == [0, 0, 0, 0]
    found = np.zeros((4, 5), dtype=bool)
    found[1, 2] = found[2, 4] = True
    assert bounding_box(found).tolist() == [2, 1, 5, 3]
