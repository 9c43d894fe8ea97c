"""Maps against pytorch-grad-cam and torch-cam: the same network, weights and layer give the same map.

Grad-CAM++ is held against the former alone: torch-cam 0.5 divides a copy of its coefficients, which stay numerators.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import pytorch_grad_cam as theirs
import torch
import torchcam.methods as torch_cam
from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.explainers.methods import METHODS, attributions
from convolve.explainers.rectifiers import guided_gradients
from convolve.explainers.score_targets import ClassScore
from convolve.models import Network
from tests.explainers.small import images, network

CASES = (
    ("resnet20_cifar", "stage3"),
    ("resnet20_cifar", "stage2"),
    ("vgg11", "stage4"),
    ("googlenet", "stage4"),
    ("densenet40_cifar", "stage3"),
    ("se_resnet50", "stage4"),
)
CLASSES = [1, 4]
TARGET = ClassScore(torch.tensor(CLASSES))


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[Network, Tensor, str]:
    name, stage = request.param
    of = _steep(network(name))
    return of, images(of), stage


@torch.no_grad()
def _steep(of: Network) -> Network:
    """Scores so large that the constants of 1e-8 to 1e-6 which peers add to denominators do not count."""
    assert isinstance(of.head, nn.Sequential)
    for parameter in of.head[-1].parameters():
        parameter.mul_(1e4)
    return of


def _close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def _of_pytorch_grad_cam(kind: type[theirs.GradCAM], of: Network, given: Tensor, stage: str) -> Tensor:
    with kind(copy.deepcopy(of), []) as method:
        method.activations_and_grads.release()
        method.__init__(method.model, [method.model.stages[stage]])
        targets: list[nn.Module] = [ClassifierOutputTarget(kind) for kind in CLASSES]
        return torch.from_numpy(method(given.clone(), targets))


@pytest.mark.parametrize(
    ("method", "kind"),
    [("grad-cam", theirs.GradCAM), ("grad-cam++", theirs.GradCAMPlusPlus), ("layer-cam", theirs.LayerCAM)],
)
def test_pytorch_grad_cam(case: tuple[Network, Tensor, str], method: str, kind: type[theirs.GradCAM]) -> None:
    of, given, stage = case
    ours = attributions(of, method, given, TARGET, stage)
    _close(torch.from_numpy(scale_cam_image(ours.numpy())), _of_pytorch_grad_cam(kind, of, given, stage))


def test_pytorch_grad_cams_principal_component(case: tuple[Network, Tensor, str]) -> None:
    of, given, stage = case
    ours = METHODS["eigen-cam"].attribute(of, given, TARGET, stage)
    with torch.no_grad():
        maps = of.features(given)[stage]
    for found, expected, strength in zip(ours, get_2d_projection(maps.numpy()), maps.norm(dim=1), strict=True):
        sign = 1 if np.sum(expected * strength.numpy()) >= 0 else -1  # theirs is arbitrary
        _close(found, torch.from_numpy(sign * expected).relu())


@pytest.mark.parametrize(("method", "kind"), [("grad-cam", torch_cam.GradCAM), ("layer-cam", torch_cam.LayerCAM)])
def test_torch_cam(case: tuple[Network, Tensor, str], method: str, kind: type[torch_cam.GradCAM]) -> None:
    of, given, stage = case
    _close(METHODS[method].attribute(of, given, TARGET, stage), _of_torch_cam(kind, of, given, stage))


def _of_torch_cam(kind: type[torch_cam.GradCAM], of: Network, given: Tensor, stage: str) -> Tensor:
    twin = copy.deepcopy(of)
    with kind(twin, twin.stages[stage]) as method:
        scores = twin(given.clone().requires_grad_())
        return method(CLASSES, scores, normalized=False)[0].detach()


@pytest.mark.parametrize("name", ["resnet20_cifar", "googlenet", "densenet40_cifar"])
def test_torch_cams_cam(name: str) -> None:
    of = network(name)
    assert isinstance(of.head, nn.Sequential)
    with torch_cam.CAM(of, of.stages[list(of.stages)[-1]], of.head[-1]) as method, torch.no_grad():
        of(images(of))
        expected = method(CLASSES, normalized=False)[0]
    _close(METHODS["cam"].attribute(of, images(of), TARGET, None), expected)


def test_score_cam_where_maps_are_as_large_as_images() -> None:
    """There neither peer enlarges masks, which both do in ways of their own."""
    of = network("resnet20_cifar")
    given, stage = images(of), "stage1"
    ours = METHODS["score-cam"].attribute(of, given, TARGET, stage)
    with torch_cam.ScoreCAM(of, of.stages[stage]) as method, torch.no_grad():
        of(given)
        _close(ours, method(CLASSES, normalized=False)[0])
    _close(torch.from_numpy(scale_cam_image(ours.numpy())), _of_pytorch_grad_cam(theirs.ScoreCAM, of, given, stage))


@pytest.mark.parametrize(("name", "stage"), [("resnet20_cifar", "stage3"), ("simple_cnn", "stage2")])
def test_score_cam_with_masks_enlarged_as_in_the_paper(name: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = network(name)
    given = images(of, 2)
    monkeypatch.setattr(nn, "UpsamplingBilinear2d", _Enlarged)  # theirs aligns the corners
    ours = METHODS["score-cam"].attribute(of, given, TARGET, stage)
    expected = _of_pytorch_grad_cam(theirs.ScoreCAM, of, given, stage)
    enlarged = F.interpolate(ours[:, None], given.shape[2:], mode="bilinear")[:, 0]
    _close(torch.from_numpy(scale_cam_image(enlarged.numpy())), expected)


class _Enlarged(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        return F.interpolate(maps, self.size, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("name", ["resnet20_cifar", "googlenet", "simple_cnn"])
def test_guided_backpropagation(name: str) -> None:
    of = network(name)
    given = images(of)
    for index, kind in enumerate(CLASSES):
        expected = GuidedBackpropReLUModel(copy.deepcopy(of), "cpu")(given[index : index + 1].clone(), kind)
        ours = guided_gradients(of, given, TARGET)[index]
        _close(ours.permute(1, 2, 0), torch.from_numpy(expected))
