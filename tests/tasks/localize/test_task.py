"""The loss and the prediction of a localization network, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.explainers.cam import averaging_head
from convolve.layers.overlaps import distance_iou_loss
from convolve.models import Network, Stage, create
from convolve.models.localization import LocalizationHead
from convolve.targets import BoxTensors
from convolve.tasks.localize.task import Localize
from tests.tasks.localize.small import NETWORK

OUTPUTS = torch.tensor(
    [[2.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, -1.0, 0.5, -2.0], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
)
TARGETS = BoxTensors(
    torch.tensor([[10.0, 10.0, 30.0, 20.0], [0.0, 0.0, 40.0, 20.0]]), torch.tensor([0, 1]), torch.tensor([0, 1])
)


class Fixed(nn.Module):
    """Scores or numbers that do not depend on the image."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, maps: Tensor) -> Tensor:
        return self.values[: len(maps)]


def task(**options: Any) -> Localize:
    """For images of 40x20 pixels, the last of which shows no object."""
    head = LocalizationHead(Fixed(OUTPUTS[:, :2]), Fixed(OUTPUTS[:, 2:]), (20, 40), (20, 40))
    network = Network(create(NETWORK, 2).card, {"stage1": Stage(nn.Identity(), 3, 1)}, head)
    return Localize(network, ("disc", "square"), **options)


def losses(found: Localize, random: torch.Generator | None = None) -> Mapping[str, Tensor]:
    return found.loss(torch.zeros(3, 3, 20, 40), TARGETS, random)


def test_the_box_is_in_pixels_of_the_input() -> None:
    found = task().predict(torch.zeros(3, 3, 20, 40))
    assert found[0].tolist() == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2)), 10, 5, 30, 15])
    x, y, width, height = (1 / (1 + math.exp(-value)) for value in (1.0, -1.0, 0.5, -2.0))
    edges = [40 * (x - width / 2), 20 * (y - height / 2), 40 * (x + width / 2), 20 * (y + height / 2)]
    assert found[1, 2:].tolist() == pytest.approx(edges, abs=1e-4)


def test_the_losses_worked_by_hand() -> None:
    found = losses(task())
    classes = F.cross_entropy(OUTPUTS[:2, :2], torch.tensor([0, 1]), reduction="sum") / 3
    assert float(found["class_loss"]) == pytest.approx(float(classes))
    # Center and sides of the first object are (0.5, 0.75, 0.5, 0.5), of the second one (0.5, 0.5, 1, 1).
    apart = [0.0, 0.25, 0.0, 0.0]
    apart += [
        abs(1 / (1 + math.exp(-value)) - true) for value, true in ((1.0, 0.5), (-1.0, 0.5), (0.5, 1.0), (-2.0, 1.0))
    ]
    box = sum(each**2 / 0.2 if each < 0.1 else each - 0.05 for each in apart) / 3
    assert float(found["box_loss"]) == pytest.approx(box, rel=1e-5)
    assert float(found["loss"]) == pytest.approx(float(classes) + 5 * box, rel=1e-5)


def test_the_other_loss_is_that_of_overlap_and_distance() -> None:
    chosen = task(box_loss="diou", box_weight=2.0)
    boxes = chosen.predict(torch.zeros(3, 3, 20, 40))[:2, 2:]
    found = losses(chosen)
    assert float(found["box_loss"]) == pytest.approx(float(distance_iou_loss(boxes, TARGETS.boxes).sum() / 3))
    assert float(found["loss"]) == pytest.approx(float(found["class_loss"] + 2 * found["box_loss"]))


def test_images_that_show_no_object_teach_nothing() -> None:
    empty = BoxTensors(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    found = task().loss(torch.zeros(3, 3, 20, 40), empty, None)
    assert {name: float(value) for name, value in found.items()} == {"loss": 0.0, "class_loss": 0.0, "box_loss": 0.0}


def test_auxiliary_heads_learn_the_class() -> None:
    network = create("localize_googlenet", 2, size=(64, 64)).train()
    found = Localize(network, ("disc", "square"))
    targets = BoxTensors(torch.tensor([[0.0, 0, 30, 30]] * 2), torch.tensor([0, 1]), torch.tensor([0, 1]))
    images = torch.randn(2, 3, 64, 64)
    network.eval()
    with torch.inference_mode():
        plain = found.loss(images, targets, None)["loss"]
        both = found.loss(images, targets, torch.Generator())["loss"]
        scores = network.scores_of_all_heads(images)[1:]
        more = 0.3 * sum(F.cross_entropy(each, targets.classes) for each in scores)
    assert float(both) == pytest.approx(float(plain + more), rel=1e-5)


@pytest.mark.parametrize(
    "change", [{"box_loss": "l2"}, {"box_weight": -1}, {"box_weight": math.nan}, {"classes": []}, {"box_weight": "x"}]
)
def test_a_damaged_state_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Localize.restore(task().network, {**task().state(), **change})


def test_a_class_activation_map_is_read_from_the_head_of_the_scores() -> None:
    network = create(NETWORK, 3)
    head = averaging_head(network)
    assert head is not None
    assert head.dense == (cast(LocalizationHead, network.head).scores.fc,)
