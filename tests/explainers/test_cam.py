from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.errors import ExplainError
from convolve.explainers.cam import averaged_head, cam
from convolve.explainers.grad_cam import grad_cam
from convolve.explainers.methods import METHODS
from convolve.models import Network, create
from tests.explainers.small import CLASSES, images, network

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
    head = averaged_head(of)
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
def test_networks_of_other_libraries_have_their_averaged_heads_read(name: str) -> None:
    of = create(name, CLASSES, size=(96, 96)).eval()
    given = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    scores, blank = of(given), of.head(torch.zeros(1, of.channels[_last(of)], 3, 3))
    heat = cam(of, given, torch.tensor([1, 4]), None)
    expected = torch.stack([scores[0, 1] - blank[0, 1], scores[1, 4] - blank[0, 4]])
    torch.testing.assert_close(heat.mean((1, 2)), expected, rtol=1e-4, atol=1e-5 * float(heat.abs().max()))


@settings(max_examples=3)
@given(kind=st.integers(0, CLASSES - 1), seed=st.integers(0, 1000))
def test_the_maps_mean_is_the_score_without_its_bias(averaged: Network, kind: int, seed: int) -> None:
    given = images(averaged, 2, seed=seed)
    heat = cam(averaged, given, torch.tensor([kind, 0]), None)
    with torch.no_grad():
        scores = averaged(given)
    expected = torch.stack([scores[0, kind] - _bias(averaged, kind), scores[1, 0] - _bias(averaged, 0)])
    torch.testing.assert_close(heat.mean((1, 2)), expected, rtol=1e-5, atol=1e-5 * float(heat.abs().max()))


def test_grad_cam_is_cam_over_the_places_without_what_speaks_against(averaged: Network) -> None:
    if averaged.card.name == "nin_cifar":
        pytest.skip("its last layer is a rectified convolution, which Grad-CAM takes the slope through")
    given, classes = images(averaged), torch.tensor([1, 4])
    proper, by_slope = cam(averaged, given, classes, None), grad_cam(averaged, given, classes, _last(averaged))
    places = proper[0].numel()
    torch.testing.assert_close(places * by_slope, proper.relu(), rtol=1e-4, atol=1e-5 * float(proper.abs().max()))


@pytest.mark.parametrize("name", ["vgg11", "lenet5", "linear", "alexnet"])
def test_without_global_average_pooling_the_sentence_names_the_way_out(name: str) -> None:
    of = network(name)
    with pytest.raises(ExplainError, match=f"{name} has no global average pooling.*--gap.*grad-cam"):
        cam(of, images(of), torch.tensor([0, 1]), None)


def test_cam_reads_the_last_stage_only() -> None:
    of = network("resnet20_cifar")
    with pytest.raises(ExplainError, match="stage3 in resnet20_cifar; for stage1 take grad-cam"):
        cam(of, images(of), torch.tensor([0, 1]), "stage1")
    same = cam(of, images(of), torch.tensor([0, 1]), "stage3")
    torch.testing.assert_close(same, METHODS["cam"].heat(of, images(of), torch.tensor([0, 1]), None))


def _last(of: Network) -> str:
    return list(of.stages)[-1]
