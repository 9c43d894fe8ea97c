"""What the outputs of all three YOLO do where the original program's cases end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from convolve.layers.box_head import Maps
from convolve.layers.yolo_v1 import DetectionOutput
from convolve.layers.yolo_v2 import RegionOptions, RegionOutput
from convolve.layers.yolo_v3 import YoloOutput
from convolve.targets import BoxTensors

SIZE = (96, 160)
CLASSES = 4
SIZES = [(8.0, 11.0), (14.0, 9.0), (17.0, 24.0), (31.0, 20.0), (60.0, 70.0), (110.0, 90.0)]
Output = DetectionOutput | RegionOutput | YoloOutput


def _v1() -> Output:
    return DetectionOutput((3, 5), 2)


def _v2() -> Output:
    return RegionOutput(SIZES[2:])


def _v3() -> Output:
    return YoloOutput(SIZES, [[3, 4, 5], [0, 1, 2]])


MAKERS = pytest.mark.parametrize("make", [_v1, _v2, _v3])


def _maps(output: Output, images: int = 3, scale: float = 1.0) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    shapes: list[tuple[int, ...]] = [(3 * 5 * (CLASSES + 10),)]
    if isinstance(output, RegionOutput):
        shapes = [(4 * (5 + CLASSES), 3, 5)]
    if isinstance(output, YoloOutput):
        shapes = [(3 * (5 + CLASSES), 3, 5), (3 * (5 + CLASSES), 6, 10)]
    return tuple((scale * torch.randn(images, *shape, generator=random)).requires_grad_() for shape in shapes)


def _targets(boxes: list[list[float]], images: list[int]) -> BoxTensors:
    classes = torch.arange(len(boxes)) % CLASSES
    return BoxTensors(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), classes, torch.tensor(images, dtype=torch.int64)
    )


SEVERAL = _targets([[0, 0, 20, 30], [15, 10, 90, 80], [100, 40, 160, 96], [3, 5, 9, 12]], [0, 0, 2, 2])


def _gradients(output: Output, maps: Maps, targets: BoxTensors) -> list[Tensor]:
    return list(torch.autograd.grad(output.loss(maps, targets, SIZE)["loss"], maps))


@MAKERS
def test_images_without_boxes_are_learned_from(make: Callable[[], Output]) -> None:
    output = make().train()
    maps = _maps(output)
    losses = output.loss(maps, _targets([], []), SIZE)
    assert float(losses["objectness"].detach()) > 0
    assert float(losses["classes"].detach()) == 0
    assert all(gradient.isfinite().all() and gradient.any() for gradient in _gradients(output, maps, _targets([], [])))


@MAKERS
@pytest.mark.parametrize(
    "box",
    [[150, 90, 160, 96], [160, 96, 160, 96], [0, 0, 0, 0], [80, 40, 80.0001, 41], [-50, -50, -10, -20], [0, 0, 160, 96],
     [155, 20, 170, 40], [300, 300, 400, 350]],
)  # fmt: skip
def test_boxes_at_and_beyond_the_border_and_thin_ones_have_finite_losses(
    make: Callable[[], Output], box: list[float]
) -> None:
    output = make().eval()
    maps = _maps(output)
    targets = _targets([box], [1])
    losses = output.loss(maps, targets, SIZE)
    assert all(value.isfinite() for value in losses.values())
    assert float(losses["box"].detach()) > 0
    assert all(gradient.isfinite().all() for gradient in _gradients(output, maps, targets))


@MAKERS
def test_logits_of_any_size_have_finite_losses(make: Callable[[], Output]) -> None:
    output = make().eval()
    for scale in (1e-6, 30.0, 1000.0):
        maps = _maps(output, scale=scale)
        assert output.loss(maps, SEVERAL, SIZE)["loss"].isfinite()
        assert all(gradient.isfinite().all() for gradient in _gradients(output, maps, SEVERAL))


@MAKERS
def test_a_loss_is_a_mean_over_images_and_knows_which_box_is_whose(make: Callable[[], Output]) -> None:
    output = make().eval()
    maps = _maps(output)
    parts = []
    for image in range(3):
        own = SEVERAL.image == image
        targets = BoxTensors(SEVERAL.boxes[own], SEVERAL.classes[own], SEVERAL.image[own] * 0)
        parts.append(output.loss(tuple(map_[image : image + 1] for map_ in maps), targets, SIZE)["loss"])
    torch.testing.assert_close(output.loss(maps, SEVERAL, SIZE)["loss"], torch.stack(parts).mean())


@MAKERS
def test_half_precision_is_left_before_the_arithmetic(make: Callable[[], Output]) -> None:
    output = make().eval()
    maps = tuple(map_.detach().bfloat16() for map_ in _maps(output))
    with torch.autocast("cpu", torch.bfloat16):
        rough = output.loss(maps, SEVERAL, SIZE)
        found = output.decode(maps, SIZE)
    exact = output.loss(tuple(map_.float() for map_ in maps), SEVERAL, SIZE)
    assert {value.dtype for value in [*rough.values(), *found]} == {torch.float32}
    torch.testing.assert_close(rough, exact)


@MAKERS
def test_learned_boxes_are_the_targets(make: Callable[[], Output]) -> None:
    """Gradient descent on the outputs alone ends where the best boxes are the targets, with the right classes."""
    output = make().eval()
    maps = _maps(output, scale=0.1)
    optimizer = torch.optim.Adam(maps, 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        torch.autograd.backward(output.loss(maps, SEVERAL, SIZE)["loss"])
        optimizer.step()
    with torch.no_grad():
        found = output.decode(maps, SIZE)
    best, label = found.scores.max(2)
    for image in range(3):
        own = SEVERAL.image == image
        kept = best[image] > 0.5
        assert int(kept.sum()) == int(own.sum())
        order = SEVERAL.boxes[own][:, 0].argsort()
        ranked = found.boxes[image][kept][:, 0].argsort()
        torch.testing.assert_close(found.boxes[image][kept][ranked], SEVERAL.boxes[own][order], rtol=0, atol=1.5)
        assert torch.equal(label[image][kept][ranked], SEVERAL.classes[own][order])


def test_the_warm_up_ends_and_is_for_training_only() -> None:
    output = RegionOutput(SIZES[2:], RegionOptions(warm_up=7))
    maps, none = _maps(output), _targets([], [])
    assert float(output.eval().loss(maps, none, SIZE)["box"].detach()) == 0
    assert int(output.images_seen) == 0
    found = [float(output.train().loss(maps, none, SIZE)["box"].detach()) > 0 for _ in range(3)]
    assert found == [True, True, False]  # 3, 6 and 9 images
    assert int(output.images_seen) == 9
    assert int(output.state_dict()["images_seen"]) == 9


def test_only_the_map_that_has_the_best_anchor_learns_a_box() -> None:
    output = _v3().eval()
    small, large = _targets([[10, 10, 19, 22]], [0]), _targets([[10, 5, 110, 90]], [0])
    for targets, learning in ((small, 1), (large, 0)):
        gradients = _gradients(output, _maps(output), targets)
        grids = [torch.unflatten(gradient, 1, (3, 5 + CLASSES))[:, :, :4] for gradient in gradients]
        assert [bool(grid.any()) for grid in grids] == [learning == index for index in range(2)]


def test_anchors_of_nobody_take_part() -> None:
    """The box is most like anchor 5, which no map has, so that none learns it; anchors outside of all maps are kept."""
    output = YoloOutput(SIZES, [[4, 3, 2], [0, 1, 2]]).eval()
    assert torch.equal(output.sizes(), torch.tensor(SIZES))
    maps = _maps(output)
    assert float(output.loss(maps, _targets([[10, 5, 120, 95]], [0]), SIZE)["box"].detach()) == 0
    assert float(output.loss(maps, _targets([[10, 5, 70, 75]], [0]), SIZE)["box"].detach()) > 0


def test_fitted_anchors_are_saved_and_the_largest_go_to_the_coarse_map() -> None:
    sides = torch.rand(200, 2, generator=torch.Generator().manual_seed(1)) * 90 + 3
    for output in (_v2(), _v3()):
        assert not isinstance(output, DetectionOutput)
        before = output.anchors.clone()
        for nothing in (torch.zeros(0, 2), torch.tensor([[0.0, 5.0], [7.0, 0.0]])):
            output.fit_anchors(nothing, 0)
            assert torch.equal(output.anchors, before)
        output.fit_anchors(sides, 0)
        areas = output.anchors.prod(2)
        assert (areas.diff(dim=1) > 0).all()
        assert output.anchors.shape == before.shape
        assert torch.equal(output.state_dict()["anchors"], output.anchors)
    assert areas[0].min() > areas[1].max()
    _v1().fit_anchors(sides, 0)
