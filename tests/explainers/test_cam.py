from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convolve.errors import ExplainError
from convolve.explainers.cam import averaging_head, cam, grad_cam
from convolve.explainers.score_targets import ClassScore, RegionScore
from convolve.models import Network, create
from tests.explainers.small import CLASSES, images, network

TARGET = ClassScore(torch.tensor([0, 1]))
AVERAGED = (
    "nin_cifar",
    "googlenet",
    "googlenet_keras",
    "bn_inception",
    "resnet20_cifar",
    "resnet18",
    "preact_resnet110_cifar",
    "densenet40_cifar",
    "se_resnet50",
)


@pytest.fixture(scope="module", params=AVERAGED)
def averaged(request: pytest.FixtureRequest) -> Network:
    return network(request.param)


@torch.no_grad()
def _bias(of: Network, kind: int) -> float:
    """What the dense layers behind the pooling give for an average of nothing."""
    head = averaging_head(of)
    assert head is not None
    if not head.dense:
        return 0.0
    found = torch.zeros(1, head.dense[0].in_features)
    for layer in head.dense:
        found = layer(found)
    return float(found[0, kind])


OTHERS = (
    *(
        "torchvision/resnet18",
        "torchvision/densenet121",
        "torchvision/mobilenet_v2",
    ),  # averaged by layer and by function
    *("torchvision/shufflenet_v2_x0_5", "timm/resnet18", "timm/regnetx_002"),
)


@torch.no_grad()
@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_other_libraries_have_their_averaging_heads_read(name: str) -> None:
    of = create(name, CLASSES, size=(96, 96)).eval()
    given = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    scores, blank = of(given), of.head(torch.zeros(1, of.channels[_last(of)], 3, 3))
    maps = cam(of, given, ClassScore(torch.tensor([1, 4])), None)
    expected = torch.stack([scores[0, 1] - blank[0, 1], scores[1, 4] - blank[0, 4]])
    torch.testing.assert_close(maps.mean((1, 2)), expected, rtol=1e-4, atol=1e-5 * float(maps.abs().max()))


@settings(max_examples=3)
@given(kind=st.integers(0, CLASSES - 1), seed=st.integers(0, 1000))
def test_the_maps_mean_is_the_score_without_its_bias(averaged: Network, kind: int, seed: int) -> None:
    given = images(averaged, 2, seed=seed)
    maps = cam(averaged, given, ClassScore(torch.tensor([kind, 0])), None)
    with torch.no_grad():
        scores = averaged(given)
    expected = torch.stack([scores[0, kind] - _bias(averaged, kind), scores[1, 0] - _bias(averaged, 0)])
    torch.testing.assert_close(maps.mean((1, 2)), expected, rtol=1e-5, atol=1e-5 * float(maps.abs().max()))


def test_grad_cam_is_cam_over_the_positions_without_what_speaks_against(averaged: Network) -> None:
    if averaged.card.name == "nin_cifar":
        pytest.skip("its last layer is a rectified convolution, which Grad-CAM takes the gradient through")
    given, target = images(averaged), ClassScore(torch.tensor([1, 4]))
    proper, by_gradient = cam(averaged, given, target, None), grad_cam(averaged, given, target, _last(averaged))
    positions = proper[0].numel()
    torch.testing.assert_close(positions * by_gradient, proper.relu(), rtol=1e-4, atol=1e-5 * float(proper.abs().max()))


@pytest.mark.parametrize("name", ["vgg11", "lenet5", "linear", "alexnet"])
def test_without_global_average_pooling_the_sentence_names_the_way_out(name: str) -> None:
    of = network(name)
    with pytest.raises(ExplainError, match=f"{name} has no global average pooling.*--gap.*grad-cam"):
        cam(of, images(of), TARGET, None)


def test_cam_reads_the_last_stage_only() -> None:
    of = network("resnet20_cifar")
    with pytest.raises(ExplainError, match="stage3 in resnet20_cifar; for stage1 take grad-cam"):
        cam(of, images(of), TARGET, "stage1")
    expected = cam(of, images(of), TARGET, None)
    for layer in ("stage3", of.stages["stage3"]):
        assert torch.equal(cam(of, images(of), TARGET, layer), expected)


def test_cam_explains_classes_of_whole_images_only() -> None:
    of = network("resnet20_cifar")
    with pytest.raises(ExplainError, match=r"CAM explains the score of a class for the image as a whole.*grad-cam"):
        cam(of, images(of), RegionScore(TARGET.classes, torch.ones(2, 32, 32, dtype=torch.bool)), None)
    with pytest.raises(ExplainError, match=r"the weights of a head of `convolve.models`, and Sequential is of another"):
        cam(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)), torch.zeros(2, 3, 4, 4), TARGET, None)


def _last(of: Network) -> str:
    return list(of.stages)[-1]
