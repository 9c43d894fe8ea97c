"""Maps of regions against pytorch-grad-cam, whose target sums the class's score over a mask."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import pytorch_grad_cam as theirs
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import Tensor, nn

from convolve.explainers.methods import attributions
from convolve.explainers.score_targets import RegionScore
from convolve.models import Network
from tests.explainers.dense_prediction import region_score, segmentation_network
from tests.explainers.small import images

CASES = (
    ("fcn1s_resnet20_cifar", "stage3"),
    ("fcn1s_resnet20_cifar", "stage1"),
    ("fcn8s_resnet18", "stage4"),
    ("unet_same", "stage3"),
    ("segnet_basic", "stage4"),
)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[Network, Tensor, RegionScore, str]:
    name, stage = request.param
    of = _steep(segmentation_network(name))
    given = images(of, 3)
    return of, given, region_score(given), stage


@torch.no_grad()
def _steep(of: Network) -> Network:
    """Scores so large that the constants of 1e-8 to 1e-6 which peers add to denominators do not count."""
    last = [layer for layer in of.head.modules() if isinstance(layer, nn.Conv2d) and layer.weight.requires_grad]
    for layer in last if of.card.name.startswith("fcn") else last[-1:]:
        for parameter in layer.parameters():
            parameter.mul_(1e5)
    return of


def _theirs(kind: type[theirs.GradCAM], case: tuple[Network, Tensor, RegionScore, str], *, summed: bool) -> Tensor:
    of, given, target, stage = case
    masks = [region.numpy() if summed else (region / region.sum()).numpy() for region in target.regions]
    targets = [
        SemanticSegmentationTarget(kind, mask) for kind, mask in zip(target.classes.tolist(), masks, strict=True)
    ]
    with kind(copy.deepcopy(of), []) as method:
        method.activations_and_grads.release()
        method.__init__(method.model, [method.model.stages[stage]])
        return torch.from_numpy(method(given.clone(), targets))


def _check(method: str, case: tuple[Network, Tensor, RegionScore, str], expected: Tensor) -> None:
    of, given, target, stage = case
    ours = attributions(of, method, given, target, stage)
    assert float(expected.std()) > 0.01
    found = torch.from_numpy(np.asarray(scale_cam_image(ours.numpy())))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("method", "kind"), [("grad-cam", theirs.GradCAM), ("layer-cam", theirs.LayerCAM)])
def test_the_mean_over_the_pixels_gives_the_map_of_their_sum(
    case: tuple[Network, Tensor, RegionScore, str], method: str, kind: type[theirs.GradCAM]
) -> None:
    _check(method, case, _theirs(kind, case, summed=True))


def test_grad_cam_plus_plus_of_the_mean(case: tuple[Network, Tensor, RegionScore, str]) -> None:
    """Its coefficients depend on the score's scale."""
    _check("grad-cam++", case, _theirs(theirs.GradCAMPlusPlus, case, summed=False))
