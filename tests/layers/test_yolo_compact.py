"""The one-map head: its boxes, which positions learn which object, and its loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from convolve.layers.box_head import Candidates
from convolve.layers.overlaps import box_iou, distance_iou_loss
from convolve.layers.yolo_compact import POSITIVES, CompactLayers, CompactOutput, Positives
from convolve.models import create
from convolve.models.weights import load_weights, translate
from convolve.targets import BoxTensors

STRIDE, CLASSES = 8, 3
SIZE = (64, 96)
ROWS, COLUMNS = SIZE[0] // STRIDE, SIZE[1] // STRIDE


def _targets(boxes: list[list[float]], classes: list[int] | None = None, image: list[int] | None = None) -> BoxTensors:
    count = len(boxes)
    return BoxTensors(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(classes or [0] * count, dtype=torch.int64),
        torch.tensor(image or [0] * count, dtype=torch.int64),
    )


def _random_targets(images: int, each: int, seed: int = 0) -> BoxTensors:
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(images * each, 2, generator=random) * torch.tensor([70.0, 40.0])
    sides = 2 + torch.rand(images * each, 2, generator=random) * 22
    classes = torch.randint(CLASSES, (images * each,), generator=random)
    return BoxTensors(torch.cat([corners, corners + sides], 1), classes, torch.arange(images).repeat_interleave(each))


def _random_candidates(images: int, seed: int = 1) -> Candidates:
    """Near the positions and as large as objects are, so that all overlaps occur."""
    random = torch.Generator().manual_seed(seed)
    outputs = torch.randn(images, 4 + CLASSES, ROWS, COLUMNS, generator=random)
    outputs[:, :4] *= 0.5
    return CompactOutput(STRIDE).decode((outputs,), SIZE)


def _encoded(output: CompactOutput, boxes: Tensor) -> Tensor:
    """(4, ROWS, COLUMNS) what means these boxes (ROWS * COLUMNS, 4)."""
    index = torch.arange(ROWS * COLUMNS)
    positions = (torch.stack([index % COLUMNS, index // COLUMNS], 1) + 0.5) * STRIDE
    offsets = ((boxes[:, :2] + boxes[:, 2:]) / 2 - positions) / STRIDE
    sizes = ((boxes[:, 2:] - boxes[:, :2]) / output.reference_size).log()
    return torch.cat([offsets, sizes], 1).T.reshape(4, ROWS, COLUMNS)


def _expected(found: Candidates, targets: BoxTensors) -> dict[tuple[int, int], tuple[float, float]]:
    """The weights and scores by object and position, one pair after the other."""
    positions = [((row + 0.5) * STRIDE, (column + 0.5) * STRIDE) for row in range(ROWS) for column in range(COLUMNS)]
    pairs: dict[tuple[int, int], tuple[float, float]] = {}
    for index, ((left, top, right, bottom), kind, image) in enumerate(
        zip(targets.boxes.tolist(), targets.classes.tolist(), targets.image.tolist(), strict=True)
    ):
        aligned = []
        for position, (y, x) in enumerate(positions):
            across, down = max((right - left) / 2, STRIDE), max((bottom - top) / 2, STRIDE)
            if abs(x - (left + right) / 2) <= across and abs(y - (top + bottom) / 2) <= down:
                iou = float(box_iou(found.boxes[image, position], targets.boxes[index]))
                aligned.append((float(found.scores[image, position, kind]) * max(iou, 0.01) ** 6, iou, position))
        for alignment, iou, position in sorted(aligned, reverse=True)[:POSITIVES]:
            pairs[index, len(positions) * image + position] = alignment, iou
    best = {position: max(iou for (_, other), (_, iou) in pairs.items() if other == position) for _, position in pairs}
    pairs = {pair: values for pair, values in pairs.items() if values[1] >= best[pair[1]]}
    result = {}
    for (index, position), (alignment, _) in pairs.items():
        own = [values for (other, _), values in pairs.items() if other == index]
        weight = alignment / max(values[0] for values in own)
        result[index, position] = weight, weight * max(values[1] for values in own)
    return result


def _by_pair(found: Positives) -> dict[tuple[int, int], tuple[float, float]]:
    pairs = zip(found.objects.tolist(), found.positions.tolist(), strict=True)
    return dict(zip(pairs, zip(found.weights.tolist(), found.scores.tolist(), strict=True), strict=True))


def test_boxes_are_offsets_in_strides_and_logarithms_of_sides() -> None:
    output = CompactOutput(STRIDE)
    output.fit_anchors(torch.tensor([[20.0, 10.0]]), 0)
    values = torch.zeros(1, 4 + CLASSES, ROWS, COLUMNS)
    values[0, :4, 2, 5] = torch.tensor([0.5, -1.0, math.log(2), 0.0])
    values[0, 4:, 2, 5] = torch.tensor([0.0, math.log(3), -100.0])
    found = output.decode((values,), SIZE)
    position = 2 * COLUMNS + 5
    center = (5.5 + 0.5) * 8, (2.5 - 1.0) * 8
    expected = torch.tensor([center[0] - 20, center[1] - 5, center[0] + 20, center[1] + 5])
    torch.testing.assert_close(found.boxes[0, position], expected)
    torch.testing.assert_close(found.scores[0, position], torch.tensor([0.5, 0.75, 0.0]))
    torch.testing.assert_close(found.boxes[0, 0], torch.tensor([4.0 - 10, 4.0 - 5, 4.0 + 10, 4.0 + 5]))


@pytest.mark.parametrize("seed", range(3))
def test_decoding_is_the_inverse_of_encoding(seed: int) -> None:
    output = CompactOutput(STRIDE)
    boxes = _random_targets(1, ROWS * COLUMNS, seed).boxes
    values = torch.cat([_encoded(output, boxes), torch.zeros(CLASSES, ROWS, COLUMNS)])[None]
    torch.testing.assert_close(output.decode((values,), SIZE).boxes[0], boxes, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_positions_are_those_found_one_pair_after_the_other(seed: int) -> None:
    found, targets = _random_candidates(3, seed), _random_targets(3, 12, seed)
    expected, pairs = _expected(found, targets), _by_pair(CompactOutput(STRIDE).positives(found, targets, COLUMNS))
    assert pairs.keys() == expected.keys()
    for pair, values in expected.items():
        assert pairs[pair] == pytest.approx(values, rel=1e-4)


def test_weights_reach_1_and_scores_the_best_overlap() -> None:
    found, targets = _random_candidates(4), _random_targets(4, 3)
    positives = CompactOutput(STRIDE).positives(found, targets, COLUMNS)
    for index in set(positives.objects.tolist()):
        own = positives.objects == index
        image, position = targets.image[index], positives.positions[own] % (ROWS * COLUMNS)
        assert (positives.positions[own] // (ROWS * COLUMNS) == image).all()
        assert own.sum() <= POSITIVES
        assert positives.weights[own].max() == 1
        best = box_iou(found.boxes[image, position], targets.boxes[index]).max()
        torch.testing.assert_close(positives.scores[own].max(), best)


@pytest.mark.parametrize(
    "box",
    [
        [8.0, 8.0, 8.5, 8.5],  # smaller than a pixel, where four positions meet
        [0.0, 0.0, 1.0, 1.0],
        [95.0, 63.0, 96.0, 64.0],
        [0.0, 0.0, 96.0, 64.0],
        [40.0, 0.0, 41.0, 64.0],
    ],
)
def test_each_object_has_a_position(box: list[float]) -> None:
    far_away = torch.full((1, ROWS * COLUMNS, 4), 500.0) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    for boxes in (_random_candidates(1).boxes, far_away):
        found = Candidates(boxes, torch.full((1, ROWS * COLUMNS, CLASSES), 0.005))
        positives = CompactOutput(STRIDE).positives(found, _targets([box]), COLUMNS)
        assert len(positives.objects)
        assert positives.weights.max() == 1


def test_a_position_of_two_objects_learns_the_one_that_its_box_overlaps_most() -> None:
    output = CompactOutput(STRIDE)
    targets = _targets([[0, 0, 40, 40], [0, 0, 40, 32]], [0, 1])
    boxes = torch.tensor([[0.0, 0.0, 40.0, 33.0]]).expand(1, ROWS * COLUMNS, 4)
    scores = torch.tensor([0.9, 0.1, 0.1]).expand(1, ROWS * COLUMNS, 3)
    positives = output.positives(Candidates(boxes, scores), targets, COLUMNS)
    shared = positives.positions // COLUMNS < 4
    assert (positives.objects[shared] == 1).all()
    assert (positives.objects[~shared] == 0).all()
    assert shared.any()
    assert not shared.all()


def test_the_loss_of_perfect_outputs_is_almost_0_and_that_of_others_is_not() -> None:
    output = CompactOutput(STRIDE)
    targets = _targets([[0, 0, 32, 32], [48, 16, 80, 56], [0, 0, 96, 64]], [0, 2, 1], [0, 0, 1])
    values = torch.full((2, 4 + CLASSES, ROWS, COLUMNS), -20.0)
    index = torch.arange(ROWS * COLUMNS)
    x, y = (index % COLUMNS + 0.5) * STRIDE, (index // COLUMNS + 0.5) * STRIDE
    for image in range(2):
        wanted = torch.tensor([0.0, 0.0, 8.0, 8.0]).repeat(ROWS * COLUMNS, 1)
        for box, kind, own in zip(*targets[:3], strict=True):
            inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3]) & (own == image)
            wanted[inside] = box
            values[image, 4 + kind].view(-1)[inside.nonzero()[:POSITIVES]] = 20.0
        values[image, :4] = _encoded(output, wanted)
    perfect = output.loss((values,), targets, SIZE)
    assert float(perfect["loss"]) < 1e-3
    elsewhere = values.clone()
    elsewhere[:, 0] += 1.0
    assert float(output.loss((elsewhere,), targets, SIZE)["box"]) > 0.1
    other_class = values.roll(1, dims=1)
    other_class[:, :4] = values[:, :4]
    assert float(output.loss((other_class,), targets, SIZE)["scores"]) > 1


def test_the_loss_is_the_sum_over_the_pairs() -> None:
    output, targets = CompactOutput(STRIDE), _random_targets(1, 6)
    values = 0.5 * torch.randn(1, 4 + CLASSES, ROWS, COLUMNS, generator=torch.Generator().manual_seed(5))
    found = output.decode((values,), SIZE)
    wanted, box, weights = torch.zeros_like(found.scores[0]), 0.0, 0.0
    for (index, position), (weight, score) in _expected(found, targets).items():
        wanted[position, targets.classes[index]] = score
        error = distance_iou_loss(found.boxes[0, position][None], targets.boxes[index][None])
        box, weights = box + weight * float(error), weights + weight
    entropy = -(wanted * found.scores[0].log() + (1 - wanted) * (1 - found.scores[0]).log()).sum()
    losses = output.loss((values,), targets, SIZE)
    torch.testing.assert_close(losses["scores"], entropy / wanted.sum())
    assert float(losses["box"]) == pytest.approx(box / weights, rel=1e-4)
    torch.testing.assert_close(losses["loss"], losses["scores"] + 5 * losses["box"])


def test_the_loss_is_a_mean_over_the_images() -> None:
    output = CompactOutput(STRIDE)
    values = torch.randn(3, 4 + CLASSES, ROWS, COLUMNS, generator=torch.Generator().manual_seed(2))
    boxes, classes, image, _ = _random_targets(3, 5)
    each = []
    for index in range(3):
        own = image == index
        if index == 1:
            own &= False
        targets = BoxTensors(boxes[own], classes[own], torch.zeros_like(image[own]))
        each.append(output.loss((values[index : index + 1],), targets, SIZE))
    some = image != 1
    together = output.loss((values,), BoxTensors(boxes[some], classes[some], image[some]), SIZE)
    assert together.keys() == {"loss", "scores", "box"}
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([losses[name] for losses in each]).mean())


@pytest.mark.parametrize(
    "targets",
    [
        _targets([]),
        _targets([[0, 0, 0.01, 0.01], [95.99, 63.99, 96, 64]], [1, 2], [0, 1]),
        _targets([[0, 0, 96, 64], [0, 0, 96, 64]], [0, 1], [1, 1]),
        _targets([[0, 20, 3, 60], [90, 0, 96, 64], [30, 63, 60, 64]], [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
def test_gradients_are_finite(targets: BoxTensors, scale: float) -> None:
    values = torch.randn(2, 4 + CLASSES, ROWS, COLUMNS, generator=torch.Generator().manual_seed(3)) * scale
    values.requires_grad_()
    losses = CompactOutput(STRIDE).loss((values,), targets, SIZE)
    torch.autograd.backward(losses["loss"])
    assert torch.isfinite(losses["loss"])
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert scale > 1 or values.grad[:, 4:].abs().sum() > 0


def test_gradients_lead_to_the_loss_0_from_anywhere() -> None:
    output = CompactOutput(STRIDE)
    values = torch.zeros(2, 4 + CLASSES, ROWS, COLUMNS).requires_grad_()
    targets = _targets([[3, 4, 9, 12], [20, 10, 90, 60], [30, 20, 50, 44]], [0, 1, 2], [0, 0, 1])
    optimizer = torch.optim.Adam([values], 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        losses = output.loss((values,), targets, SIZE)
        torch.autograd.backward(losses["loss"])
        optimizer.step()
    found = output.decode((values.detach(),), SIZE)
    for box, kind, image in zip(*targets[:3], strict=True):
        best = found.scores[image, :, kind].argmax()
        assert box_iou(found.boxes[image, best], box) > 0.9
        assert found.scores[image, best, kind] > 0.8


def test_the_loss_is_that_of_float32_whatever_the_outputs_are() -> None:
    output, targets = CompactOutput(STRIDE), _random_targets(2, 4)
    values = torch.randn(2, 4 + CLASSES, ROWS, COLUMNS, generator=torch.Generator().manual_seed(4)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = output.loss((values,), targets, SIZE)["loss"]
    assert reduced.dtype == torch.float32
    assert torch.equal(reduced, output.loss((values.float(),), targets, SIZE)["loss"])


def test_boxes_are_relative_to_the_geometric_mean_of_the_data() -> None:
    output = CompactOutput(STRIDE)
    output.fit_anchors(torch.tensor([[10.0, 4.0], [40.0, 9.0]]), 0)
    torch.testing.assert_close(output.reference_size, torch.tensor([20.0, 6.0]))
    output.fit_anchors(torch.zeros(0, 2), 0)
    torch.testing.assert_close(output.reference_size, torch.tensor([20.0, 6.0]))
    assert output.state_dict().keys() == {"reference_size"}


def test_weights_of_earlier_versions_have_the_reference_size_by_its_former_name() -> None:
    output = CompactOutput(8)
    output.load_state_dict({"anchors": torch.tensor([[[20.0, 6.0]]])})
    torch.testing.assert_close(output.reference_size, torch.tensor([20.0, 6.0]))
    for name in ("yolo_compact", "yolo_compact_resnet18"):
        network = create(name, 2)
        state = dict(network.state_dict())
        state["head.output.anchors"] = torch.full((1, 1, 2), 7.0)
        del state["head.output.reference_size"]
        fresh = create(name, 2, seed=1)
        assert load_weights(fresh, translate(fresh, state, lambda _, same: same)) == []
        assert fresh.state_dict()["head.output.reference_size"].tolist() == [7, 7]


def test_the_distance_iou_loss_of_boxes_worked_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]])
    targets = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [4, 0, 6, 2]])
    expected = torch.tensor([0.0, 1 - 2 / 6 + 1 / (9 + 4), 1 + 16 / (36 + 4)])
    torch.testing.assert_close(distance_iou_loss(boxes, targets), expected)


def test_coarse_maps_reach_the_fine_one_and_scores_start_rare() -> None:
    torch.manual_seed(0)
    layers = CompactLayers([6, 8, 10], 16, CLASSES).eval()
    maps = [torch.randn(2, 6, 8, 12), torch.randn(2, 8, 4, 6), torch.randn(2, 10, 2, 3)]
    (map_,) = layers(maps)
    assert map_.shape == (2, 4 + CLASSES, 8, 12)
    assert 0.001 < map_[:, 4:].sigmoid().mean() < 0.02
    for index in range(3):
        changed = [each + (index == position) for position, each in enumerate(maps)]
        assert not torch.equal(layers(changed)[0], map_)
