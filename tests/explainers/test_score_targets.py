"""Scores of classes and regions: against closed forms of a head that is a matrix, and loops over images."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from convolve.errors import ExplainError, NetworkError
from convolve.explainers.class_images import Ascent, class_images
from convolve.explainers.contributions import contributions
from convolve.explainers.feature_maps import batch_size
from convolve.explainers.methods import METHODS, attributions
from convolve.explainers.occlusion import squares
from convolve.explainers.sanity import randomized_copies
from convolve.explainers.score_targets import ClassScore, RegionScore, SpatialMean, check_image_output
from convolve.models import Network
from tests.explainers.dense_prediction import NAMES, linear, region_score, segmentation_network
from tests.explainers.small import images, network

WEIGHT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 0.25], [-1.0, 0.0, 2.0], [0.5, 0.5, -0.5]])


@dataclass(frozen=True)
class Case:
    """Images, what is explained of each, the weights (N, 3, 1, 1) of its class, each pixel's fraction (N, 1, H, W)."""

    images: Tensor
    target: RegionScore
    weight: Tensor
    fractions: Tensor

    def attributions(self, method: str) -> Tensor:
        return attributions(linear(WEIGHT), method, self.images, self.target)


@pytest.fixture
def case() -> Case:
    given = torch.randn(3, 3, 14, 21, generator=torch.Generator().manual_seed(1))
    target = region_score(given)
    fractions = target.regions[:, None] / target.regions.sum((1, 2))[:, None, None, None]
    return Case(given, target, WEIGHT[target.classes][:, :, None, None], fractions)


def test_a_region_score_is_the_mean_over_its_pixels(case: Case) -> None:
    outputs = linear(WEIGHT)(case.images)
    torch.testing.assert_close(case.target(outputs), (case.weight * case.images * case.fractions).sum((1, 2, 3)))
    nowhere = RegionScore(torch.tensor([2]), torch.zeros(1, 14, 21, dtype=torch.bool))
    assert torch.equal(nowhere(outputs[:1]), torch.zeros(1))


def test_a_class_score_and_a_spatial_mean() -> None:
    outputs = torch.randn(2, 4, 3, 5)
    classes = torch.tensor([3, 1])
    means = torch.stack([outputs[0, 3].mean(), outputs[1, 1].mean()])
    torch.testing.assert_close(SpatialMean(classes)(outputs), means)
    assert torch.equal(SpatialMean(classes)(outputs[..., 0, 0]), ClassScore(classes)(outputs[..., 0, 0]))
    assert ClassScore(classes)(outputs[..., 0, 0].to(torch.bfloat16)).dtype == torch.float32
    assert ClassScore(classes)(outputs[..., 1, 1]).tolist() == [outputs[0, 3, 1, 1], outputs[1, 1, 1, 1]]


def test_images_are_taken_in_any_order_and_several_times(case: Case) -> None:
    rows = torch.tensor([2, 0, 0])
    outputs = linear(WEIGHT)(case.images)
    for target, scores in (
        (case.target, outputs),
        (SpatialMean(case.target.classes), outputs),
        (ClassScore(case.target.classes), outputs[..., 3, 3]),
    ):
        taken = target.take(rows)
        assert (len(target), len(taken)) == (3, 3)
        torch.testing.assert_close(taken(scores[rows]), target(scores)[rows])
    assert torch.equal(case.target.take(rows).regions, case.target.regions[rows])


def test_outputs_that_do_not_fit_are_named() -> None:
    classes = torch.tensor([0])
    with pytest.raises(
        ExplainError, match=r"shape \(1, 4, 8, 8\): a score for each position.*RegionScore.*SpatialMean"
    ):
        ClassScore(classes)(torch.zeros(1, 4, 8, 8))
    with pytest.raises(
        ExplainError, match=r"Regions of \(8, 8\) pixels do not fit outputs of the shape \(1, 4, 4, 4\)"
    ):
        RegionScore(classes, torch.ones(1, 8, 8, dtype=torch.bool))(torch.zeros(1, 4, 4, 4))
    for target in (RegionScore(classes + 4, torch.ones(1, 8, 8, dtype=torch.bool)), SpatialMean(classes + 4)):
        with pytest.raises(ExplainError, match="no class 4: the network's 4 classes are 0 to 3"):
            target(torch.zeros(1, 4, 8, 8))


def test_gradients_of_a_linear_head_are_its_weights_in_the_region(case: Case) -> None:
    gradients = case.weight * case.fractions
    for method in ("saliency", "smooth-grad", "guided-backpropagation"):
        torch.testing.assert_close(case.attributions(method), gradients.abs().amax(1))
    torch.testing.assert_close(case.attributions("integrated-gradients"), (gradients * case.images).sum(1))


def test_maps_of_a_linear_head(case: Case) -> None:
    products = case.weight * case.images
    torch.testing.assert_close(case.attributions("grad-cam"), products.sum(1).relu() / (14 * 21))
    expected = ((case.weight * case.fractions).relu() * case.images).sum(1).relu()
    torch.testing.assert_close(case.attributions("layer-cam"), expected)


def test_the_score_falls_by_what_is_covered_of_the_region(case: Case) -> None:
    parts = (case.weight * case.images * case.fractions).sum(1)
    falls, covers = torch.zeros_like(parts), torch.zeros(14, 21)
    for square in squares(14, 21):
        falls[:, *square] += parts[:, *square].sum((1, 2))[:, None, None]
        covers[square] += 1
    torch.testing.assert_close(case.attributions("occlusion"), falls / covers, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("method", "name"),
    [(method, "fcn1s_resnet20_cifar") for method in METHODS if method not in ("cam", "score-cam")]
    + [("grad-cam", name) for name in NAMES[1:]],
)
def test_images_do_not_affect_each_other(method: str, name: str) -> None:
    """All at once, and one alone: the pixels of each are its own, also where a method repeats or splits the images."""
    of = segmentation_network(name)
    given = images(of, 3)
    target = region_score(given)
    together = attributions(of, method, given, target)
    alone = attributions(of, method, given[2:], target.take(torch.tensor([2])))
    tolerance = 1e-3 * float(alone.abs().max())
    torch.testing.assert_close(together[2:], alone, rtol=1e-3, atol=tolerance)
    assert together.isfinite().all()
    assert together.shape == (3, 32, 32)


def test_score_cam_weighs_by_the_region() -> None:
    of = segmentation_network("fcn1s_resnet20_cifar")
    given = images(of, 2)
    target = region_score(given)
    maps = of.features(given)["stage1"]
    found = attributions(of, "score-cam", given, target, "stage1")
    masks = (maps - maps.amin((2, 3), keepdim=True)) / (maps.amax((2, 3)) - maps.amin((2, 3)))[..., None, None]
    for index, (image, kind) in enumerate(zip(given, target.classes.tolist(), strict=True)):
        with torch.no_grad():
            scores = of(image * masks[index][:, None])[:, kind][:, target.regions[index]].mean(1)
        expected = (scores.softmax(0)[:, None, None] * maps[index]).sum(0).relu()
        torch.testing.assert_close(found[index], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["grad-cam", "score-cam", "guided-backpropagation", "occlusion"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_network_stays_as_it_is(method: str, fails: bool) -> None:
    of = segmentation_network("fcn1s_resnet20_cifar").train()
    of.stages["stage1"].eval().requires_grad_(False)
    if fails:
        of.head.register_forward_hook(_fail)
    given = images(of)
    before = _state(of)
    with pytest.raises(ArithmeticError) if fails else contextlib.nullcontext():
        attributions(of, method, given, region_score(given), "stage2" if method.endswith("cam") else None)
    assert _state(of) == before


def _fail(*_: object) -> None:
    raise ArithmeticError


def _state(of: Network) -> list[object]:
    modes = [(part.training, list(part._forward_hooks), list(part._forward_pre_hooks)) for part in of.modules()]
    gradients = [(value.requires_grad, value.grad) for value in of.parameters()]
    return [modes, gradients, [value.tolist() for value in of.state_dict().values()], torch.get_rng_state().tolist()]


def test_images_that_maximize_the_mean_over_all_positions() -> None:
    bounds = -torch.ones(3), torch.ones(3)
    target = SpatialMean(torch.arange(2))
    found = class_images(linear(WEIGHT), target, bounds, (6, 5), Ascent(steps=60, decay=0, blur=0))
    for row, image in zip(WEIGHT[:2], found.images, strict=True):
        for weight, channel in zip(row.tolist(), image, strict=True):
            if weight:
                assert float(channel.mean()) == pytest.approx(math.copysign(1, weight), abs=0.02)


def test_of_large_images_fewer_run_together() -> None:
    sizes = [(8, 256), (512, 300), (4608, 2700)]
    assert [batch_size(16, size) for size in sizes] == [16, 6, 1]


def test_what_needs_one_output_refuses_a_segmentation_network() -> None:
    of = segmentation_network("fcn1s_resnet20_cifar")
    check_image_output(network("resnet20_cifar"), "Anything")
    with pytest.raises(NetworkError, match="sum of contributions needs one output for an image, and fcn1s_resnet20"):
        contributions(of, images(of), torch.tensor([0, 1]))
    with pytest.raises(ExplainError, match=r"CAM explains the score of a class for the image as a whole.*grad-cam"):
        attributions(of, "cam", images(of), SpatialMean(torch.tensor([0, 1])))


def test_a_head_of_zeros_is_drawn_before_maps_are_compared() -> None:
    """As it is built, a fully convolutional network's scores are 0: no map could depend on anything."""
    of, initialized = segmentation_network("fcn1s_resnet20_cifar"), network("fcn1s_resnet20_cifar", seed=1)
    given = images(of)
    with torch.no_grad():
        assert not initialized(given).any()
        deviations = [randomized(given).std() for _, randomized in randomized_copies(of, initialized)]
        again = [randomized(given).std() for _, randomized in randomized_copies(of, initialized)]
        assert not initialized(given).any()
    assert deviations == again
    assert min(deviations) > 0
