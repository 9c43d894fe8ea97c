"""The head over proposed regions: its loss by the paper's formulas in plain loops, and what it gives out."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.region_head import RegionHead
from convolve.layers.region_readers import RegionPooling
from convolve.layers.region_sampling import SamplingRule
from convolve.targets import BoxTensors

CLASSES, SIZE = 3, (96, 128)
SAMPLING = SamplingRule()


def head(*, svms: bool = False, sampling: SamplingRule = SAMPLING) -> RegionHead:
    torch.manual_seed(4)
    layers = nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc6=nn.Linear(4 * 9, 8), relu6=nn.ReLU()))
    made = RegionHead(RegionPooling(3, 16), layers, 8, CLASSES, sampling, svms=svms)
    for layer in (made.scores, made.deltas):
        if layer is not None:
            nn.init.normal_(layer.weight, std=0.5)
    return made.eval()


def inputs() -> tuple[Tensor, Tensor, BoxTensors]:
    random = torch.Generator().manual_seed(1)
    corners = torch.rand(2, 30, 2, generator=random) * torch.tensor([60.0, 45])
    regions = torch.cat([corners, corners + 20 + 30 * torch.rand(2, 30, 2, generator=random)], -1)
    regions[0, 25:] = 0
    boxes = torch.cat([regions[0, :2] + 4, regions[1, :1] - 3])
    targets = BoxTensors(boxes, torch.tensor([2, 0, 1]), torch.tensor([0, 0, 1]), regions)
    return torch.randn(2, 4, 6, 8, generator=random), regions, targets


def test_the_loss_is_that_of_the_paper() -> None:
    """Log loss over all regions, and smooth L1 of the true class's box over those of objects, by the number of all."""
    made, (map_, regions, targets) = head(), inputs()
    drawn = made.sampling.sample(regions, targets, torch.Generator().manual_seed(0))
    found = made.score_regions(map_, drawn.regions, drawn.image)
    assert found.deltas is not None
    classes = box = 0.0
    for row, label in enumerate(drawn.labels.tolist()):
        classes -= float(found.scores[row].detach().log_softmax(0)[label])
        if label:
            (left, top, right, bottom), own = drawn.regions[row].tolist(), drawn.boxes[row].tolist()
            width, height = right - left, bottom - top
            wanted = [
                ((own[0] + own[2]) / 2 - (left + right) / 2) / width / 0.1,
                ((own[1] + own[3]) / 2 - (top + bottom) / 2) / height / 0.1,
                math.log((own[2] - own[0]) / width) / 0.2,
                math.log((own[3] - own[1]) / height) / 0.2,
            ]
            for goal, given in zip(wanted, found.deltas[row, label].tolist(), strict=True):
                box += 0.5 * (goal - given) ** 2 if abs(goal - given) < 1 else abs(goal - given) - 0.5
    assert 3 < int((drawn.labels > 0).sum()) < len(drawn.labels)
    losses = {name: float(value.detach()) for name, value in made.loss((map_, regions), targets, SIZE).items()}
    count = len(drawn.labels)
    assert losses == pytest.approx({"loss": (classes + box) / count, "classes": classes / count, "box": box / count})


def test_only_the_true_class_learns_its_box() -> None:
    made, (map_, regions, targets) = head(), inputs()
    made.loss((map_, regions), targets._replace(classes=torch.full((3,), 1)), SIZE)["box"].backward()  # type: ignore[no-untyped-call]
    assert made.deltas is not None
    assert made.deltas.weight.grad is not None
    assert made.deltas.weight.grad.reshape(CLASSES + 1, 4, -1).abs().sum((1, 2)).nonzero().flatten().tolist() == [2]


def test_without_a_generator_the_same_regions_are_drawn_and_with_one_others() -> None:
    made, (map_, regions, targets) = head(sampling=SamplingRule(8)), inputs()
    losses = {float(made.loss((map_, regions), targets, SIZE)["loss"].detach()) for _ in range(5)}
    assert len(losses) == 1
    random = torch.Generator().manual_seed(9)
    losses = {float(made.loss((map_, regions), targets, SIZE, random)["loss"].detach()) for _ in range(5)}
    assert len(losses) > 1


def test_without_regions_there_is_no_loss_and_no_box() -> None:
    made, (map_, _, _) = head(), inputs()
    none = BoxTensors(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).long())
    map_.requires_grad_()
    loss = made.loss((map_, torch.zeros(2, 0, 4)), none, SIZE)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    found = made.decode((map_, torch.zeros(2, 0, 4)), SIZE)
    assert (found.boxes.shape, found.scores.shape) == ((2, 0, CLASSES, 4), (2, 0, CLASSES))


def test_boxes_are_those_of_each_class_and_scores_a_softmax_with_background() -> None:
    made, (map_, regions, _) = head(), inputs()
    with torch.no_grad():
        found = made.decode((map_, regions), SIZE)
        assert (found.boxes.shape, found.scores.shape) == ((2, 30, CLASSES, 4), (2, 30, CLASSES))
        for image, row in ((0, 0), (0, 24), (1, 29)):
            values = made.score_regions(map_, regions[image, row : row + 1], torch.tensor([image]))
            assert values.deltas is not None
            torch.testing.assert_close(found.scores[image, row], values.scores[0].softmax(0)[1:])
            left, top, right, bottom = regions[image, row].tolist()
            for kind in range(CLASSES):
                x, y, w, h = (values.deltas[0, 1 + kind] * torch.tensor([0.1, 0.1, 0.2, 0.2])).tolist()
                width, height = right - left, bottom - top
                cx, cy = (left + right) / 2 + x * width, (top + bottom) / 2 + y * height
                width, height = width * math.exp(w), height * math.exp(h)
                edges = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
                limits = (SIZE[1], SIZE[0]) * 2
                edges = [min(max(edge, 0.0), limit) for edge, limit in zip(edges, limits, strict=True)]
                assert found.boxes[image, row, kind].tolist() == pytest.approx(edges, abs=1e-4)
        assert not found.scores[0, 25:].any()  # they are no regions


def test_regions_of_which_the_same_is_read_go_through_the_layers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, (map_, regions, _) = head(), inputs()
    image = torch.arange(2).repeat_interleave(25)
    every, image = torch.cat([regions[:, :25].flatten(0, 1)] * 3), image.repeat(3)
    with torch.no_grad():
        whole = made.score_regions(map_, every, image)
        counts: list[int] = []
        score = made.score_regions

        def counted(map_: Tensor, some: Tensor, own: Tensor) -> object:
            counts.append(len(some))
            return score(map_, some, own)

        monkeypatch.setattr(made, "score_regions", counted)
        found = made.features(map_, every, image)
    assert sum(counts) <= 50
    torch.testing.assert_close(tuple(found), tuple(whole))


def test_fitted_machines_score_and_move_regions() -> None:
    made, (map_, regions, _) = head(svms=True), inputs()
    assert made.deltas is None
    assert made.svms is not None
    with torch.no_grad():
        before = made.decode((map_, regions), SIZE)
        assert torch.equal(before.boxes, regions[:, :, None].expand_as(before.boxes))
        made.svms.weight.normal_()
        made.svms.bias.fill_(-0.5)
        made.svms.scale.fill_(2.0)
        made.svms.moves[:, 0, -1] = 0.5  # to the right by half of the width
        made.svms.fitted.fill_(1)
        found = made.decode((map_, regions[:, :1]), SIZE)
        features = made.score_regions(map_, regions[:, 0], torch.arange(2)).features
        margins = 2 * features @ made.svms.weight.T - 0.5
    torch.testing.assert_close(found.scores[:, 0], margins.sigmoid())
    width = regions[0, 0, 2] - regions[0, 0, 0]
    moved = regions[0, 0] + torch.tensor([0.5, 0, 0.5, 0]) * width
    assert found.boxes[0, 0, 1].tolist() == pytest.approx(moved.tolist())


def test_machines_are_part_of_the_state() -> None:
    first, second = head(svms=True), head(svms=True)
    assert first.svms is not None
    first.svms.fitted.fill_(1)
    second.load_state_dict(first.state_dict())
    assert second.svms is not None
    assert bool(second.svms.fitted)
