"""Guided backpropagation and the deconvnet, against passes written by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import ExplainError
from convolve.explainers.gradients import image_gradients
from convolve.explainers.rectifiers import guided_gradients, project, rectifier_rule
from convolve.explainers.score_targets import ClassScore
from convolve.models import Network, Stage, card
from tests.explainers.small import images, network

TARGET = ClassScore(torch.tensor([1, 4]))


def _zeiler(of: Network, image: Tensor, stages: int, channel: int) -> tuple[Tensor, tuple[int, int]]:
    """Section 2.1 for VGG: unpool by the switches, rectify, filter with the transposed filters."""
    convolutions, switches, sizes, maps = [], [], [], image
    for number in range(1, stages + 1):
        layers = list(of.stages[f"stage{number}"].children())
        conv = layers[0]
        assert isinstance(conv, nn.Conv2d)
        assert len(layers) == 3
        maps = F.conv2d(maps, conv.weight, conv.bias, padding=1).clamp(min=0)
        convolutions.append(conv)
        sizes.append(maps.shape[2:])
        maps, places = F.max_pool2d(maps, 2, return_indices=True)
        switches.append(places)
    place = int(maps[0, channel].argmax())
    signal = torch.zeros_like(maps)
    signal[0, channel].view(-1)[place] = maps[0, channel].max()
    for conv, places, size in zip(reversed(convolutions), reversed(switches), reversed(sizes), strict=True):
        signal = F.max_unpool2d(signal, places, [2, 2], output_size=list(size)).clamp(min=0)
        signal = F.conv_transpose2d(signal, conv.weight, padding=1)
    return signal, divmod(place, maps.shape[3])


@pytest.mark.parametrize(("stages", "channel"), [(1, 0), (1, 7), (2, 3), (2, 100)])
def test_projection_is_zeilers_deconvnet(stages: int, channel: int) -> None:
    of = network("vgg11")
    given = images(of)
    found = project(of, given, f"stage{stages}", channel)
    for place, image in enumerate(given):
        with torch.no_grad():
            pattern, unit = _zeiler(of, image[None], stages, channel)
        torch.testing.assert_close(found.patterns[place], pattern[0], rtol=1e-4, atol=1e-6)
        assert tuple(found.positions[place].tolist()) == unit


def test_zfnet_projects_every_stage_and_a_unit_far_from_a_corner_leaves_it_blank() -> None:
    of = network("zfnet")
    given = images(of, 1, larger=3)
    for stage in of.stages:
        found = project(of, given, stage, 1)
        assert found.patterns.isfinite().all()
        assert found.patterns.abs().max() > 0
    first = project(of, given, "stage1", 1)
    row, column = (4 * int(place) for place in first.positions[0])
    seen = first.patterns[0].abs().sum(0).nonzero()
    assert (seen - torch.tensor([row, column])).abs().max() <= 7 + 4 * 2


def test_projection_names_what_is_missing() -> None:
    of = network("lenet5_keras")
    with pytest.raises(ExplainError, match="stage1 has no channel 6: its channels are 0 to 5"):
        project(of, images(of), "stage1", 6)
    with pytest.raises(ExplainError, match="has no stage 'stage9'"):
        project(of, images(of), "stage9", 0)


def _functional(values: Tensor) -> Tensor:
    return F.relu(values)


def _in_place_function(values: Tensor) -> Tensor:
    return torch.relu_(values * 1)


def _ignoring_what_comes_back(values: Tensor) -> Tensor:
    copy = values * 1
    F.relu(copy, inplace=True)
    return copy


@pytest.mark.parametrize(
    "rectifier",
    [nn.ReLU(), nn.ReLU(inplace=True), _functional, torch.relu, Tensor.relu, _in_place_function,
     _ignoring_what_comes_back],
)  # fmt: skip
def test_rectifiers_are_found_however_they_are_called(rectifier: Callable[[Tensor], Tensor]) -> None:
    values = torch.tensor([-2.0, 1.0, 3.0, 4.0], requires_grad=True)
    with rectifier_rule(nn.Module(), lambda gradient, output: 10 * gradient + (output > 0)):
        out = rectifier(values * 1)
    assert torch.equal(out, torch.tensor([0.0, 1.0, 3.0, 4.0]))
    torch.autograd.backward((out * torch.tensor([1.0, -1.0, 2.0, 0.0])).sum())
    assert values.grad is not None
    assert values.grad.tolist() == [10.0, -9.0, 21.0, 1.0]


def test_maxout_keeps_its_own_gradient_and_tanh_networks_the_plain_one() -> None:
    for name in ("maxout", "lenet5"):
        of = network(name)
        given = images(of)
        torch.testing.assert_close(guided_gradients(of, given, TARGET), image_gradients(of, given, TARGET))


def test_guided_gradients_of_a_net_written_by_hand() -> None:
    """relu(3 a - b) - relu(a + b): only the first way is positive down to the pixels."""
    layer, scores = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -1.0], [1.0, 1.0]]))
        scores.weight.copy_(torch.tensor([[1.0, -1.0]]))
    head = nn.Sequential(nn.Flatten(), layer, nn.ReLU(), scores)
    of = Network(card("linear"), {"stage1": Stage(nn.Identity(), 1, 1)}, head)
    given = torch.tensor([[[[2.0, 1.0]]]])
    assert guided_gradients(of, given, ClassScore(torch.tensor([0]))).tolist() == [[[[3.0, -1.0]]]]
    assert image_gradients(of, given, ClassScore(torch.tensor([0]))).tolist() == [[[[2.0, -2.0]]]]
