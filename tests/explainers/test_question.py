"""A class's pixels: scores over regions, against closed forms of a head that is a matrix, and loops over images."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from torch import Tensor

from convolve.errors import ExplainError, NetworkError
from convolve.explainers.class_images import Ascent, class_images
from convolve.explainers.contributions import contributions
from convolve.explainers.heat import heat_maps
from convolve.explainers.methods import METHODS
from convolve.explainers.occlusion import squares
from convolve.explainers.question import Question, check_one_answer, everywhere
from convolve.explainers.sanity import cascade
from convolve.explainers.together import at_once
from convolve.models import Network
from tests.explainers.pixels import NAMES, for_pixels, linear, question
from tests.explainers.small import images, network

WEIGHT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 0.25], [-1.0, 0.0, 2.0], [0.5, 0.5, -0.5]])


@pytest.fixture
def case() -> tuple[Tensor, Question, Tensor, Tensor]:
    """Images, what is asked, the weights (N, 3, 1, 1) of its classes, and each pixel's share (N, 1, H, W) of it."""
    given = torch.randn(3, 3, 14, 21, generator=torch.Generator().manual_seed(1))
    asked = question(given)
    assert asked.regions is not None
    shares = asked.regions[:, None] / asked.regions.sum((1, 2))[:, None, None, None]
    return given, asked, WEIGHT[asked.classes][:, :, None, None], shares


def _heat(method: str, given: Tensor, asked: Question) -> Tensor:
    return heat_maps(asked.of(linear(WEIGHT)), method, given, asked.numbers)


def test_the_score_is_the_mean_over_the_pixels(case: tuple[Tensor, Question, Tensor, Tensor]) -> None:
    given, asked, weight, shares = case
    scores = asked.of(linear(WEIGHT))(given)
    assert scores.shape == (3, 3)
    torch.testing.assert_close(scores.diagonal(), (weight * given * shares).sum((1, 2, 3)))
    first = (WEIGHT[0, :, None, None] * given * shares[0]).sum((1, 2, 3))
    torch.testing.assert_close(scores[:, 0], first)  # of every image the first one's pixels
    nowhere = Question(torch.tensor([2]), torch.zeros(1, 14, 21, dtype=torch.bool))
    assert torch.equal(nowhere.of(linear(WEIGHT))(given), torch.zeros(3, 1))


def test_slopes_of_a_linear_head_are_its_weights_in_the_region(case: tuple[Tensor, Question, Tensor, Tensor]) -> None:
    given, asked, weight, shares = case
    slopes = weight * shares
    torch.testing.assert_close(_heat("saliency", given, asked), slopes.abs().amax(1))
    torch.testing.assert_close(_heat("smooth-grad", given, asked), slopes.abs().amax(1))
    torch.testing.assert_close(_heat("guided-backpropagation", given, asked), slopes.abs().amax(1))
    torch.testing.assert_close(_heat("integrated-gradients", given, asked), (slopes * given).sum(1))


def test_maps_of_a_linear_head(case: tuple[Tensor, Question, Tensor, Tensor]) -> None:
    given, asked, weight, shares = case
    torch.testing.assert_close(_heat("grad-cam", given, asked), (weight * given).sum(1).relu() / (14 * 21))
    torch.testing.assert_close(_heat("layer-cam", given, asked), ((weight * shares).relu() * given).sum(1).relu())


def test_what_is_covered_of_the_region_is_what_the_score_falls_by(
    case: tuple[Tensor, Question, Tensor, Tensor],
) -> None:
    given, asked, weight, shares = case
    parts = (weight * given * shares).sum(1)
    falls, covered = torch.zeros_like(parts), torch.zeros(14, 21)
    for square in squares(14, 21):
        falls[:, *square] += parts[:, *square].sum((1, 2))[:, None, None]
        covered[square] += 1
    torch.testing.assert_close(_heat("occlusion", given, asked), falls / covered, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("method", "name"),
    [(method, "fcn1s_resnet20_cifar") for method in METHODS if method not in ("cam", "score-cam")]
    + [("grad-cam", name) for name in NAMES[1:]],
)
def test_images_do_not_see_each_other(method: str, name: str) -> None:
    """All at once, and one by one: the pixels of each are its own, also where a method repeats or splits the images."""
    of = for_pixels(name)
    given = images(of, 3)
    asked = question(given)
    assert asked.regions is not None
    together = heat_maps(asked.of(of), method, given, asked.numbers)
    last = Question(asked.classes[2:], asked.regions[2:])
    alone = heat_maps(last.of(of), method, given[2:], last.numbers)
    tolerance = 1e-3 * float(alone.abs().max())
    torch.testing.assert_close(together[2:], alone, rtol=1e-3, atol=tolerance)
    assert together.isfinite().all()
    assert together.shape == (3, 32, 32)


def test_score_cam_weighs_by_the_region() -> None:
    of = for_pixels("fcn1s_resnet20_cifar")
    given = images(of, 2)
    asked = question(given)
    maps = of.features(given)["stage1"]
    heat = heat_maps(asked.of(of), "score-cam", given, asked.numbers, "stage1")
    masks = (maps - maps.amin((2, 3), keepdim=True)) / (maps.amax((2, 3)) - maps.amin((2, 3)))[..., None, None]
    assert asked.regions is not None
    for number, (image, kind) in enumerate(zip(given, asked.classes.tolist(), strict=True)):
        with torch.no_grad():
            scores = of(image * masks[number][:, None])[:, kind][:, asked.regions[number]].mean(1)
        expected = (scores.softmax(0)[:, None, None] * maps[number]).sum(0).relu()
        torch.testing.assert_close(heat[number], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_from_any_stage_on_the_scores_are_the_networks(name: str) -> None:
    of = for_pixels(name)
    given = images(of)
    with torch.no_grad():
        maps, scores = of.features(given), of(given)
        for stage in of.stages:
            assert torch.equal(of.forward_from(stage, maps[stage], maps, given.shape[2:]), scores)
    with pytest.raises(NetworkError, match="reads several maps; go on from stage1 by `forward_from`"):
        of.tail("stage1")


def test_a_network_for_images_is_asked_as_it_is() -> None:
    of = network("resnet20_cifar")
    asked = Question(torch.tensor([3, 1]))
    assert asked.of(of) is everywhere(of) is of
    assert asked.numbers is asked.classes
    scores = torch.randn(2, 4)
    assert asked.scores(scores) is scores


@pytest.mark.parametrize("method", ["grad-cam", "score-cam", "guided-backpropagation", "occlusion"])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(method: str, fails: bool) -> None:
    of = for_pixels("fcn1s_resnet20_cifar").train()
    of.stages["stage1"].eval().requires_grad_(False)
    if fails:
        of.head.register_forward_hook(_failing)
    given = images(of)
    before = _state(of)
    with pytest.raises(ArithmeticError) if fails else contextlib.nullcontext():
        heat_maps(question(given).of(of), method, given, torch.arange(2), "stage2" if method[-3:] == "cam" else None)
    assert _state(of) == before


def _failing(*_: object) -> None:
    raise ArithmeticError


def _state(of: Network) -> list[object]:
    modes = [(part.training, list(part._forward_hooks), list(part._forward_pre_hooks)) for part in of.modules()]
    asked = [(value.requires_grad, value.grad) for value in of.parameters()]
    return [modes, asked, [value.tolist() for value in of.state_dict().values()], torch.get_rng_state().tolist()]


def test_images_of_a_class_are_those_of_all_pixels() -> None:
    black, white = -torch.ones(3), torch.ones(3)
    found = class_images(linear(WEIGHT), torch.arange(2), (black, white), (6, 5), Ascent(steps=60, decay=0, blur=0))
    for row, image in zip(WEIGHT[:2], found.images, strict=True):
        for weight, channel in zip(row.tolist(), image, strict=True):
            if weight:
                assert float(channel.mean()) == pytest.approx(math.copysign(1, weight), abs=0.02)


def test_of_large_images_fewer_run_together() -> None:
    small, large = torch.zeros(1, 3, 8, 256), torch.zeros(1, 3, 512, 300)
    assert [at_once(16, images.shape[2:]) for images in (small, large, large.repeat(1, 1, 9, 9))] == [16, 6, 1]


def test_what_makes_no_sense_of_pixels_is_refused() -> None:
    of = for_pixels("unet_same")
    given = images(of)
    asked = question(given)
    with pytest.raises(ExplainError, match=r"unet_same tells the class of every pixel, so that .*; take grad-cam"):
        heat_maps(asked.of(of), "cam", given, asked.numbers)
    with pytest.raises(ExplainError, match="say by a `Question` which pixels are meant"):
        heat_maps(of, "grad-cam", given, torch.tensor([0, 1]))
    with pytest.raises(NetworkError, match="sum of contributions needs one answer for an image, and unet_same gives"):
        contributions(of, given, torch.tensor([0, 1]))
    with pytest.raises(NetworkError, match="--show embedding needs one answer"):
        check_one_answer(of, "--show embedding")


def test_a_head_of_zeros_is_drawn_before_maps_are_compared() -> None:
    """As it is made, a fully convolutional network's scores are 0: no map could survive that."""
    of, fresh = for_pixels("fcn1s_resnet20_cifar"), network("fcn1s_resnet20_cifar", seed=1)
    given = images(of)
    with torch.no_grad():
        assert not fresh(given).any()
        drawn = [bereft(given).std() for _, bereft in cascade(of, fresh)]
        again = [bereft(given).std() for _, bereft in cascade(of, fresh)]
        assert not fresh(given).any()
    assert drawn == again
    assert min(drawn) > 0
