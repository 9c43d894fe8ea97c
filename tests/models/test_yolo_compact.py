"""The whole network: what it costs, which sizes it takes, and that it learns."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from convolve.errors import NetworkError
from convolve.layers.box_head import BoxHead
from convolve.layers.overlaps import box_iou
from convolve.models import Network, card, create
from convolve.summary import count_costs
from convolve.targets import BoxTensors

SIDE = 64


def _squares(count: int, seed: int) -> tuple[Tensor, BoxTensors]:
    """Images with two squares each, of which the bright ones are class 0 and the dark ones class 1."""
    random = torch.Generator().manual_seed(seed)
    images = 0.2 * torch.randn(count, 3, SIDE, SIDE, generator=random)
    boxes, classes = torch.zeros(2 * count, 4), torch.randint(2, (2 * count,), generator=random)
    for index in range(2 * count):
        side = int(torch.randint(10, 25, (), generator=random))
        left = 32 * (index % 2) + int(torch.randint(32 - side, (), generator=random))
        top = int(torch.randint(SIDE - side, (), generator=random))
        images[index // 2, :, top : top + side, left : left + side] += 2.0 - 4.0 * classes[index]
        boxes[index] = torch.tensor([left, top, left + side, top + side])
    return images, BoxTensors(boxes, classes, torch.arange(count).repeat_interleave(2))


def _trained(steps: int) -> Network:
    network = create("yolo_compact", classes=2, size=(SIDE, SIDE)).train()
    head = cast(BoxHead, network.head)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    for step in range(steps):
        images, targets = _squares(16, step)
        losses = head.loss(network(images), targets, (SIDE, SIDE))
        optimizer.zero_grad()
        torch.autograd.backward(losses["loss"])
        optimizer.step()
    return network.eval()


def test_it_costs_what_its_card_says() -> None:
    with torch.device("meta"):
        network = create("yolo_compact")
        assert sum(count_costs(network, torch.empty(1, 3, 320, 320)).macs) == card("yolo_compact").macs
    assert sum(each.numel() for each in network.parameters()) == card("yolo_compact").parameters


@pytest.mark.parametrize("name", ["yolo_compact", "yolo_compact_resnet18", "yolo_compact_squeezenet"])
@pytest.mark.parametrize("size", [(32, 32), (64, 160), (96, 32)])
def test_sides_are_any_multiples_of_the_coarsest_stride(name: str, size: tuple[int, int]) -> None:
    network = create(name, classes=5).eval()
    (map_,) = network(torch.zeros(2, 3, *size))
    assert map_.shape == (2, 9, size[0] // 8, size[1] // 8)
    boxes, scores = cast(BoxHead, network.head).decode((map_,), size)
    assert boxes.shape == (2, size[0] * size[1] // 64, 4)
    assert scores.shape == (2, size[0] * size[1] // 64, 5)


def test_other_sides_are_refused() -> None:
    with pytest.raises(NetworkError, match="multiples of 32"):
        create("yolo_compact", size=(100, 64))
    with pytest.raises(NetworkError, match="multiples of 32"):
        create("yolo_compact")(torch.zeros(1, 3, 100, 64))


def test_a_classifier_without_a_map_of_stride_8_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"lenet5_keras has no map of stride 8; choose yolo_v2_lenet5_keras"):
        create("yolo_compact_lenet5_keras")
    with pytest.raises(NetworkError, match="linear is not a convolutional classifier"):
        create("yolo_compact_linear")


def test_a_classifier_gives_its_own_weights() -> None:
    network, classifier = create("yolo_compact_resnet18", classes=2), create("resnet18")
    assert set(network.stages.state_dict()) == set(classifier.stages.state_dict())
    assert network.head_inputs == ("stage3", "stage4", "stage5")
    assert card("yolo_compact_resnet18").classifier == "resnet18"


def test_it_learns_to_find_squares_in_seconds() -> None:
    network = _trained(40)
    images, targets = _squares(20, 1000)
    with torch.inference_mode():
        boxes, scores = cast(BoxHead, network.head).decode(network(images), (SIDE, SIDE))
    found = 0
    for box, kind, image in zip(*targets[:3], strict=True):
        own = box_iou(boxes[image], box) > 0.5
        others = scores[image][own][:, 1 - kind]
        found += bool(own.any()) and bool(scores[image][own][:, kind].max() > max(0.3, float(others.max())))
    assert found >= 30
    empty = torch.zeros(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        assert cast(BoxHead, network.head).decode(network(empty), (SIDE, SIDE)).scores.max() < 0.3
